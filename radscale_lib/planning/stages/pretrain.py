"""Encoders: released weights, trainings, interpolations."""

from collections.abc import Iterator, Mapping

from radscale_lib.planning.disk import encoder_bytes
from radscale_lib.planning.stages.base import (
    READ,
    READ_USUALLY,
    START_SECONDS,
    Kind,
    Slice,
    Stage,
    arms_encoder,
    encoder_of,
    hardware,
    labels_of,
    largest_side,
    without,
)
from radscale_lib.study.model import Study
from radscale_lib.study.paradigms import PARADIGMS, RecipeSection


def _weights(study: Study, arm: str) -> Slice:
    whole = study.encoder_of(arm) in study.continued_whole
    return {"encoder": encoder_of(study, arm), "trained": whole}


def _floor(study: Study, arm: str) -> Slice:
    return {"encoder": encoder_of(study, arm)}


def _pretrain(study: Study, arm: str) -> Slice:
    section = study.bases[arm] if arm in study.bases else study.trained_arms[arm]
    encoder = encoder_of(study, arm)
    archive = "public" if arm in study.bases else "institution"
    return {
        **({"smallest_cell": study.smallest_cell(archive)} if encoder.learns_words else {}),
        arm: without(section, "seeds", "sizes", "keep"),
        "encoder": without(encoder, "weights"),
        **_labels(study, section.supervision),
        "devices": study.compute.devices,
        **({"compile": True} if study.compute.compile else {}),
        **hardware(study),
    }


def _labels(study: Study, supervision: tuple[str, ...]) -> Slice:
    """Label settings of an arm that learns from labels."""
    if "labels" not in supervision:
        return {}
    return {"labels": {**labels_of(study), "others": study.labels.others}}


def _interpolate(study: Study, arm: str) -> Slice:
    section = study.interpolated_arms[arm]
    return {"interpolates": section.interpolates, "share": section.share}


def _weights_kinds(study: Study, arm: str) -> Iterator[Kind]:
    encoder = encoder_of(study, arm)
    yield type(encoder)
    if encoder.paradigms:
        yield PARADIGMS[encoder.paradigms[0]]


def _pretrain_kinds(study: Study, arm: str) -> Iterator[Kind]:
    yield type(encoder_of(study, arm))
    yield type((study.bases | study.trained_arms)[arm].recipe)


def _pretrain_megabytes(study: Study) -> float:
    """Memory per process: torch, and loaders that hold decoded images of several steps."""
    if study.compute.device == "cuda":
        return 12_000
    return 3000 + 40 * (max(largest_side(study), 64) / 64) ** 2


def _pretrain_seconds(study: Study, names: Mapping[str, str], rate: float) -> float:
    recipe, flops = training(study, names["arm"])
    return START_SECONDS + recipe.optimiser.samples * flops / rate


def training(study: Study, arm: str) -> tuple[RecipeSection, float]:
    """Recipe of an arm or base, and FLOPs of one of its samples."""
    recipe = (study.bases | study.trained_arms)[arm].recipe
    return recipe, recipe.sample_flops(encoder_of(study, arm))


def _interpolate_seconds(study: Study, names: Mapping[str, str], rate: float) -> float:
    return START_SECONDS + 3 * encoder_bytes(study, names["arm"]) / READ_USUALLY


def largest_encoder(study: Study) -> float:
    """Bytes of the largest encoder file."""
    return max(encoder_bytes(study, run.arm) for run in study.runs)


def _held_megabytes(study: Study) -> float:
    """Memory for the largest encoder and its copies."""
    return 1500 + 2.5 * largest_encoder(study) / 1e6


STAGES = {
    "weights": Stage(
        script="import_weights.py",
        reads=_weights,
        kinds=_weights_kinds,
        megabytes=_held_megabytes,
    ),
    "floor": Stage(script="floor.py", reads=_floor, kinds=arms_encoder, megabytes=_held_megabytes),
    "pretrain": Stage(
        script="pretrain.py",
        reads=_pretrain,
        kinds=_pretrain_kinds,
        megabytes=_pretrain_megabytes,
        minutes=lambda study: 60.0 if study.compute.device == "cpu" else 24 * 60.0,
        seconds=_pretrain_seconds,
    ),
    "interpolate": Stage(
        script="interpolate.py",
        reads=_interpolate,
        # Two encoders, the mean, and its file before it is written.
        megabytes=lambda study: 1500 + 5 * largest_encoder(study) / 1e6,
        minutes=lambda study: 10 + 3 * largest_encoder(study) / READ / 60,
        seconds=_interpolate_seconds,
    ),
}
