"""Released weights as a baseline run."""

from collections.abc import Iterable
from importlib import import_module
from pathlib import Path

import torch
from torch import nn

from radscale_lib.encoders.loading import initial, section_of
from radscale_lib.encoders.release import ReleaseError, read_release
from radscale_lib.encoders.storage import EncoderFile, save_encoder
from radscale_lib.files import file_digest, write_json
from radscale_lib.pretrain.card import blank_card, versions
from radscale_lib.pretrain.log import write_log
from radscale_lib.pretrain.setup import mismatches
from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.encoders.library import LibraryEncoder
from radscale_lib.study.model import Study
from radscale_lib.study.paradigms import PARADIGMS


def import_weights(study: Study, arm: str, out: Path) -> None:
    """Write the run folder of a baseline: encoder, card and empty log.

    Args:
        study: the study.
        arm: name of the baseline, whose encoder has weights.
        out: folder for the run's files.

    Raises:
        ReleaseError: if the weights are missing, unreadable, or of another architecture.
    """
    name = study.encoder_of(arm)
    section = study.encoders[name]
    content = released_weights(section, f"encoders.{name}", trained=name in study.continued_whole)
    status = "released" if section.weights is not None else "random"
    write_run(out, content, arm=arm, encoder=name, status=status)


def import_alone(spec: str, out: Path) -> None:
    """Write the run folder of released weights without a study.

    Args:
        spec: an encoder, as for `encoders.loading.load`.
        out: folder for the run's files.

    Raises:
        ReleaseError: if the weights are missing, unreadable, or of another architecture.
    """
    section = section_of(spec)
    content = released_weights(section, spec, trained=False)
    kind = section.kind.replace("_", "-")
    write_run(out, content, arm=f"{kind}-open", encoder=kind, status="released")


def write_run(out: Path, content: EncoderFile, *, arm: str, encoder: str, status: str) -> None:
    """Write the folder of a run that was not trained here: encoder, card and empty log."""
    save_encoder(out / "encoder.safetensors", content)
    write_log(out / "log.parquet", [])
    card = blank_card() | {
        "arm": arm,
        "size": 0,
        "seed": 0,
        "encoder": encoder,
        "supervision": [],
        "status": status,
        "base_digest": file_digest(out / "encoder.safetensors"),
        "versions": versions(),
    }
    write_json(out / "encoder.json", card)


def released_weights(
    encoder: EncoderSection, key: str, *, trained: bool, headers_only: bool = False
) -> EncoderFile:
    """An encoder's released weights, checked against the architecture in its section.

    Args:
        encoder: the section.
        key: the section's key in the study, for messages.
        trained: whether an arm continues training from them, which may need more than a tower.
        headers_only: compare names and shapes only, without reading the weights.

    Raises:
        ReleaseError: if the weights are missing, unreadable, or of another architecture.
    """
    if encoder.weights is None:
        return initial(encoder)
    if isinstance(encoder, LibraryEncoder):  # its library checks them
        return read_release(encoder, encoder.weights, headers_only=headers_only)
    content = read_release(encoder, encoder.weights, headers_only=True)
    needed = {n: x for n, x in content.tensors.items() if not n.startswith(encoder.spare)}
    wrong = mismatches(_model(encoder, content.tokenizer), EncoderFile(encoder, needed))
    given = content.tensors
    lacking = tuple(part for part in encoder.only_trained if not _any_of(part, given))
    spared = {name for name in wrong if name.startswith(lacking)}
    if wrong and not spared.issuperset(wrong):
        raise ReleaseError(
            f"{encoder.weights}: {len(wrong)} weights are missing, unknown or of another shape "
            f"than {key} says, such as {', '.join(wrong[:3])}: compare that section "
            "with the release's configuration"
        )
    if spared and trained:
        raise ReleaseError(f"{encoder.weights}: {encoder.without_trained}")
    return content if headers_only else read_release(encoder, encoder.weights)


def _any_of(beginning: str, names: Iterable[str]) -> bool:
    return any(name.startswith(beginning) for name in names)


def _model(encoder: EncoderSection, tokenizer: str | None = None) -> nn.Module:
    """The model that would continue the weights, without allocating its own."""
    module = import_module(PARADIGMS[encoder.paradigms[0]].implementation)
    words = {"tokenizer": tokenizer} if tokenizer is not None else {}
    with torch.device("meta"):
        model: nn.Module = module.build_model(encoder, **words)
    return model
