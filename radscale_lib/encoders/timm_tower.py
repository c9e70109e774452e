"""timm's image towers."""

from __future__ import annotations

import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data.config import resolve_model_data_config
from torch import Tensor, nn

from radscale_lib.encoders.features import Features
from radscale_lib.encoders.library import (
    LibraryTower,
    check_weights,
    floats,
    quarters,
    read_state_dict,
    weights_file,
)
from radscale_lib.encoders.release import ReleaseError
from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.study.encoders.timm import Timm

FILES = ("model.safetensors", "pytorch_model.bin")
"""timm's names of the weights file in a folder."""


class TimmTower(LibraryTower):
    """A timm model without its classifier.

    The global embedding is the model's output with `num_classes=0`. Levels come from
    `forward_intermediates`: for a model whose blocks all have the same resolution, those at a
    quarter, half, three quarters and all of the depth, each after the final norm; for a pyramid,
    its last four stages.
    """

    encoder: Timm

    def __init__(self, encoder: Timm) -> None:
        super().__init__()
        self.encoder = encoder
        self.model = create(encoder)
        self.taken, self.plain = stages(self.model, encoder.name)

    def forward(self, images: Tensor) -> Tensor:
        """Global embedding [B, D] of grey images, float32 [B, 1, S, S] in [0, 1]."""
        pooled: Tensor = self.model(self._normalised(images))
        return pooled

    def levels(self, images: Tensor) -> Features:
        """Features of grey images: float32 [B, 1, S, S] in [0, 1]."""
        final, levels = self.model.forward_intermediates(
            self._normalised(images), indices=self.taken, norm=self.plain, output_fmt="NCHW"
        )
        first, second, third, fourth = levels
        return Features(self.model.forward_head(final), (first, second, third, fourth))


def stages(model: Any, name: str | None) -> tuple[list[int], bool]:
    """The stages or blocks of a model that are its levels, and whether it is not a pyramid.

    Raises:
        ReleaseError: if the model has no stages, or fewer than four.
    """
    told = getattr(model, "feature_info", None)
    if not hasattr(model, "forward_intermediates") or not told:
        raise ReleaseError(f"{name}: timm has no feature interface for this model: use another")
    sides = [stage["reduction"] for stage in (told if isinstance(told, list) else told.info)]
    plain = len(set(sides)) == 1
    if plain:
        return quarters(len(sides)), True
    if len(sides) < 4:
        raise ReleaseError(f"{name}: a pyramid of {len(sides)} stages, and four are needed")
    return list(range(len(sides) - 4, len(sides))), False


def create(section: Timm) -> nn.Module:
    """The model with random weights.

    Raises:
        ReleaseError: if timm has no such model, or the model does not take these options.
    """
    options = {key: value for key, value in section.options.items() if key != "num_classes"}
    if section.resolution:
        options["img_size"] = section.resolution
    name = section.name
    assert name is not None
    with torch.device("cpu"):  # buffers that are not in files need storage
        try:
            return _create(name, section.published, options)
        except TypeError as error:
            if "img_size" not in str(error):
                raise ReleaseError(f"timm's {name} does not take the options: {error}") from None
            del options["img_size"]  # a convolutional model: any size will do
            return _create(name, section.published, options)
        except RuntimeError as error:
            if not str(error).startswith("Unknown model"):
                raise
            close = get_close_matches(name.partition(".")[0], timm.list_models(), n=3)
            hint = f"did you mean {' or '.join(close)}?" if close else "see timm.list_models()"
            raise ReleaseError(f"timm has no model {name!r}: {hint}") from None


def _create(name: str, published: dict[str, Any] | None, options: dict[str, Any]) -> nn.Module:
    model: nn.Module = timm.create_model(
        name, pretrained=False, num_classes=0, pretrained_cfg=published, **options
    )
    return model


def resolve(section: Timm, model: nn.Module) -> Timm:
    """The section with the input published by timm for the model.

    Raises:
        ReleaseError: if that is not a square with three channels.
    """
    if section.input:
        return section
    side = section.side
    args = {"input_size": (3, side, side)} if side else None
    data: dict[str, Any] = resolve_model_data_config(model, args)  # type: ignore[no-untyped-call]
    try:
        return section.model_copy(update={"input": section.input_of(data)})
    except ValueError as error:
        raise ReleaseError(f"timm's {section.name}: {error}: give 'input'") from None


def build_tower(section: Timm) -> TimmTower:
    """The image tower with random weights."""
    tower = TimmTower(section.located())
    tower.encoder = resolve(tower.encoder, tower.model)
    return tower


def import_release(section: Timm, path: Path, *, headers_only: bool = False) -> EncoderFile:
    """Import timm's weights from a file, or from a folder saved by timm for the Hub.

    As when timm loads them itself, names of other releases are converted and position embeddings
    are resized; the classifier is left out.

    Args:
        section: the study's section.
        path: the file or folder.
        headers_only: compare names and shapes only, without reading the weights.

    Raises:
        ReleaseError: if they are missing, unreadable, or of another architecture.
    """
    section = section.model_copy(update={"weights": path}).located()
    if section.name is None:
        raise ReleaseError(f"{path}: no model is named: give its name in timm")
    file = weights_file(path, FILES) if path.is_dir() else path
    weights = read_state_dict(file, headers_only=headers_only)
    tower = build_tower(section)
    convert = getattr(sys.modules[type(tower.model).__module__], "checkpoint_filter_fn", None)
    if convert is not None:
        weights = convert(weights, tower.model)
    own = tower.model.state_dict()
    classifiers = tower.model.pretrained_cfg.get("classifier") or ()
    classifiers = (classifiers,) if isinstance(classifiers, str) else tuple(classifiers)
    left_out = {f"{each}.{kind}" for each in classifiers for kind in ("weight", "bias")}
    weights = {name: each for name, each in weights.items() if name in own or name not in left_out}
    check_weights(str(file), tower.model, weights)
    return EncoderFile(
        tower.encoder.model_copy(update={"weights": None}), floats(weights, "image.model.")
    )
