"""Released weights as a baseline run."""

from importlib import import_module
from pathlib import Path

import torch
from torch import nn

from radscale_lib.encoders.release import ReleaseError, read_release
from radscale_lib.encoders.storage import EncoderFile, save_encoder
from radscale_lib.files import file_digest, write_json
from radscale_lib.pretrain.card import blank_card, versions
from radscale_lib.pretrain.log import write_log
from radscale_lib.pretrain.setup import mismatches
from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.model import Study
from radscale_lib.study.paradigms import PARADIGMS


def import_weights(study: Study, name: str, out: Path) -> None:
    """Write the run folder of an encoder's released weights: encoder, card and empty log.

    Args:
        study: the study.
        name: of the encoder, whose section has `weights`.
        out: folder for the run's files.

    Raises:
        ReleaseError: if the weights are missing, unreadable, or of another architecture.
    """
    content = released_weights(study, name)
    save_encoder(out / "encoder.safetensors", content)
    write_log(out / "log.parquet", [])
    card = blank_card() | {
        "arm": study.baselines.get(name, f"{name}-open"),
        "size": 0,
        "seed": 0,
        "encoder": name,
        "supervision": [],
        "status": "released",
        "base_digest": file_digest(out / "encoder.safetensors"),
        "versions": versions(),
    }
    write_json(out / "encoder.json", card)


def released_weights(study: Study, name: str, *, headers_only: bool = False) -> EncoderFile:
    """An encoder's released weights, compared with the architecture that its section states.

    Args:
        study: the study.
        name: of the encoder, whose section has `weights`.
        headers_only: compare names and shapes, without reading the weights.

    Raises:
        ReleaseError: if the weights are missing, unreadable, or of another architecture.
    """
    encoder = study.encoders[name]
    if encoder.weights is None:
        raise ReleaseError(f"encoders.{name}.weights: nothing to import: name the released weights")
    content = read_release(encoder, encoder.weights, headers_only=headers_only)
    wrong = mismatches(_model(encoder), content)
    if wrong:
        raise ReleaseError(
            f"{encoder.weights}: {len(wrong)} weights are missing, unknown or of another shape "
            f"than encoders.{name} says, such as {', '.join(wrong[:3])}: compare that section "
            "with the release's configuration"
        )
    return content


def _model(encoder: EncoderSection) -> nn.Module:
    """The model that would continue the weights, without memory for its own."""
    recipe = PARADIGMS[encoder.paradigms[0]]
    with torch.device("meta"):
        model: nn.Module = import_module(recipe.implementation).build_model(encoder)
    return model
