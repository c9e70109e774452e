"""Load an encoder from a file of ours, a folder, or a name in a library."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter, ValidationError

from radscale_lib.encoders.features import Tower
from radscale_lib.encoders.release import ReleaseError, read_release
from radscale_lib.encoders.storage import EncoderFile, read_encoder, tower_of
from radscale_lib.study.encoders import ENCODERS, Encoder, EncoderSection
from radscale_lib.study.encoders.library import LibraryEncoder, read_json
from radscale_lib.study.encoders.open_clip import CONFIG

_SECTION: TypeAdapter[EncoderSection] = TypeAdapter(Encoder)
ENCODER = "encoder.safetensors"
"""Name of a run's encoder file in its folder."""
NAMED = ("timm", "open_clip")
"""Libraries whose models have names."""


def load(spec: str | Path | EncoderSection) -> Tower:
    """An image tower with its weights and preprocessing, in evaluation mode, without gradients.

    `tower.prepare(images)` makes its input of grey images, uint8 [H, W] each; `tower(inputs)` is
    the global embedding [B, D], and `tower.levels(inputs)` has the four levels, too.

    Args:
        spec: an encoder file of ours, or the folder of a run; a folder in Hugging Face form (of
            transformers, timm or open_clip); `timm:NAME[,weights=PATH]` or
            `open_clip:NAME[,weights=PATH]`, with any other keys of the study's section after
            commas, such as `random=0` for random weights; or a section of a study file.

    Raises:
        ReleaseError, EncoderFileError: if there is no such encoder, or its weights are missing,
            unreadable, or of another architecture.

    Example:
        tower = load("timm:vit_base_patch14_dinov2.lvd142m,weights=dinov2.safetensors")
        embeddings = tower(tower.prepare([film]))
    """
    return tower_of(load_file(spec))


def load_file(spec: str | Path | EncoderSection) -> EncoderFile:
    """The encoder file from which `load` builds its tower."""
    if isinstance(spec, EncoderSection):
        return initial(spec)
    path = file_of(spec)
    return read_encoder(path) if path.is_file() else initial(section_of(spec))


def file_of(spec: str | Path) -> Path:
    """The encoder file of a run if its folder is given; otherwise the given path."""
    path = Path(spec)
    return path / ENCODER if (path / ENCODER).is_file() else path


def section_of(spec: str | Path) -> EncoderSection:
    """The study-file section for a folder or for `KIND:NAME,key=value…`.

    Raises:
        ReleaseError: if there is none.
    """
    kind, colon, rest = str(spec).partition(":")
    if colon and kind in ENCODERS:
        return named(kind, rest)
    path = Path(spec)
    if not path.is_dir():
        raise ReleaseError(
            f"{spec}: no encoder: give an encoder file, a run's folder, a folder in Hugging Face "
            "form, or timm:NAME or open_clip:NAME with ,weights=PATH"
        )
    return of_folder(path)


def initial(section: EncoderSection) -> EncoderFile:
    """An encoder's released weights, or random ones if its section says so.

    Raises:
        ReleaseError: if the section gives neither.
    """
    if section.weights is not None:
        return read_release(section, section.weights)
    if not isinstance(section, LibraryEncoder) or section.random is None:
        raise ReleaseError(
            f"a {section.kind} encoder without weights: give 'weights' (nothing is downloaded; "
            "radscale fetch-weights does, where there is a network), or 'random', a seed of "
            "random weights"
        )
    return random_weights(section, section.random)


def random_weights(section: EncoderSection, seed: int) -> EncoderFile:
    """An encoder's image tower with random weights, determined by the seed."""
    module = import_module(section.implementation)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tower: Tower = module.build_tower(section)
    tensors = {f"image.{name}": each for name, each in tower.state_dict().items()}
    without = tower.encoder.model_copy(update={"weights": None})
    return EncoderFile(without, tensors)


def named(kind: str, rest: str) -> EncoderSection:
    """The section of a kind from `[NAME,]key=value…`; nested keys are written `image.width`.

    Raises:
        ReleaseError: if a key or value is not valid in the section.
    """
    settings = rest.split(",")
    values: dict[str, Any] = {"kind": kind}
    if kind in NAMED and "=" not in settings[0]:
        values["name"] = settings.pop(0) or None
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise ReleaseError(f"{kind}:{rest}: {setting!r} is not of the form key=value")
        *above, last = key.split(".")
        section = values
        for part in above:
            section = section.setdefault(part, {})
        section[last] = value
    return _parsed(f"{kind}:{rest}", values)


def of_folder(path: Path) -> EncoderSection:
    """The section for a folder saved by transformers, timm or open_clip.

    Raises:
        ReleaseError: if it is none of these.
    """
    if (path / CONFIG).is_file():
        kind = "open_clip"
    elif "architecture" in (values := read_json(path / "config.json")):
        kind = "timm"
    elif "model_type" in values or "auto_map" in values:
        kind = "transformers"
    else:
        raise ReleaseError(
            f"{path}: no config.json of transformers or timm, and no {CONFIG}: give a folder that "
            "one of them saved"
        )
    return _parsed(str(path), {"kind": kind, "weights": path})


def _parsed(spec: str, values: dict[str, Any]) -> EncoderSection:
    try:
        section = _SECTION.validate_python(values)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, each['loc'][1:]))}: {each['msg']}" for each in error.errors()]
        raise ReleaseError(f"{spec}: {'; '.join(lines)}") from None
    for key, text in section.problems():
        raise ReleaseError(f"{spec}: {key}: {text}")
    return section
