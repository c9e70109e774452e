"""An arm without training: weights interpolated between another arm's and its base's (WiSE-FT)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from radscale_lib.encoders.storage import EncoderFile, read_encoder, save_encoder
from radscale_lib.files import read_json, write_json
from radscale_lib.pretrain.card import blank_card, versions
from radscale_lib.pretrain.log import write_log
from radscale_lib.study.model import Run
from radscale_lib.study.pretrain import Interpolation

LEARNT = (
    *("samples_budget", "samples_seen", "steps", "images", "repeats_per_image", "paradigm"),
    *("subset_digest", "damaged_images", "left_out", "texts", "encoder", "supervision"),
)
"""Fields of a card that also hold for an interpolation of its run."""


def interpolate(
    run: Run, section: Interpolation, trained: Path, base: Path, out: Path, stage: str
) -> None:
    """Write the run folder of an interpolation: encoder, card and empty log.

    If one of the two encoders is from a failed run, the card says so and the encoder is empty.

    Args:
        run: the interpolated arm at a size and seed.
        section: its section of the study.
        trained: `encoder.safetensors` of the interpolated arm at that size and seed; its card,
            `encoder.json`, lies beside it.
        base: `encoder.safetensors` of the base from which that arm continued.
        out: folder for the run's files.
        stage: the stage id.
    """
    before, after = read_encoder(base), read_encoder(trained)
    learnt = read_json(trained.with_name("encoder.json"))
    card: dict[str, Any] = blank_card() | {
        **run._asdict(),
        **{name: learnt[name] for name in LEARNT},
        "status": "ok",
        "stage_id": stage,
        "versions": versions(),
        "interpolates": {"arm": section.interpolates, "share": section.share},
    }
    tensors = between(before.tensors, after.tensors, section.share)
    if not (before.tensors and after.tensors):
        of = section.interpolates if before.tensors else "the base"
        card |= {"status": "failed", "reason": f"the run of {of} failed: see its encoder.json"}
        tensors = {}
    content = EncoderFile(after.encoder, tensors, after.tokenizer)
    save_encoder(out / "encoder.safetensors", content)
    write_log(out / "log.parquet", [])
    write_json(out / "encoder.json", card)


def between(
    base: Mapping[str, Tensor], trained: Mapping[str, Tensor], share: float
) -> dict[str, Tensor]:
    """Weights on the line from a base's (share 0) to trained ones (share 1), both exact.

    Args:
        base: tensors by name.
        trained: tensors by name; those that the base lacks, such as a new head, are kept as they
            are.
        share: of the trained weights, 0 to 1 (arXiv 2109.01903, eq. 1).
    """
    return {
        name: torch.lerp(base[name], tensor, share) if name in base else tensor
        for name, tensor in trained.items()
    }
