"""Evaluation: features, tasks, the scores table, patch similarity."""

from collections.abc import Iterator, Mapping

from radscale_lib.languages.phrases import digest_of as phrases_digest
from radscale_lib.metrics import modules as metric_modules
from radscale_lib.planning.scale import archive_images, held_out
from radscale_lib.planning.stages.base import (
    START_SECONDS,
    Kind,
    Slice,
    Stage,
    arms_encoder,
    encoder_of,
    hardware,
    labels_of,
    largest_side,
    megaimages,
    positions_of,
    without,
)
from radscale_lib.study.model import Study

ENCODED = {"cpu": 500 * 64**2, "cuda": 50.0}
"""At least so many a second: pixels through an encoder on a core, images on a GPU."""


def _features(study: Study, arm: str) -> Slice:
    return {
        "features": study.evaluation.features,
        "labels": labels_of(study),
        **positions_of(study.labels),
        **hardware(study),
    }


def _evaluate(study: Study, task: str, arm: str) -> Slice:
    section = study.evaluation.tasks[task]
    protocol = {
        name: getattr(study.evaluation, name) for name in ("resamples", "confidence", "seed")
    }
    shared = {"features": study.evaluation.features} if section.reads_features else {}
    machine = hardware(study) if section.runs_encoder else {}
    reports = {}
    if section.needs == "reports":
        language = study.institution.language
        reports = {"language": language, "language.phrases": phrases_digest(language)}
    labels = labels_of(study) | positions_of(study.labels)
    return {task: section, "labels": labels, **protocol, **shared, **machine, **reports}


def runs_and_tasks(study: Study) -> Slice:
    """Which scores a study has."""
    return {"runs": [run.path for run in study.runs], "tasks": list(study.evaluation.tasks)}


def _gather(study: Study) -> Slice:
    """Which scores there are, and what is known of encoders that were kept on the way."""
    by = study.scaling.checkpoint_by
    chosen = [by, study.scaling.metrics[by], study.head_of(by)] if by else None
    kept = study.kept
    spent = {
        arm: [
            study.trained_arms[arm].recipe.optimiser.samples,
            study.trained_arms[arm].recipe.sample_flops(encoder_of(study, arm)),
        ]
        for arm, _ in kept.values()
    }
    return runs_and_tasks(study) | {"kept": kept, "spent": spent, "checkpoint_by": chosen}


def _gather_modules(study: Study) -> list[str]:
    return list(metric_modules("classification").values()) if study.scaling.checkpoint_by else []


def heads_drawn(study: Study) -> dict[str, str]:
    """The head of each task that is fitted and drawn."""
    return {task: study.head_of(task) for task in study.evaluation.tasks}


def _similarity(study: Study, arm: str) -> Slice:
    """The tip that is drawn is one that every encoder of the study sees."""
    return {
        "labels.tubes": study.labels.tubes,
        "encoders": {name: without(each, "weights") for name, each in study.encoders.items()},
        **hardware(study),
    }


def _evaluate_kinds(study: Study, task: str, arm: str) -> Iterator[Kind]:
    section = study.evaluation.tasks[task]
    yield type(section)
    yield from section.head_kinds()
    if section.runs_encoder:
        yield from arms_encoder(study, arm)


def _facts_of_encoders(study: Study) -> list[str]:
    """Modules with the facts of all encoders, since the tip that is drawn is one that all see."""
    return [
        module
        for encoder in study.encoders.values()
        for module in (type(encoder).__module__, *encoder.more_facts)
    ]


def _tested(study: Study) -> float:
    return archive_images(study) * held_out(study)


def _encoded_a_second(study: Study) -> float:
    if study.compute.device == "cuda":
        return ENCODED["cuda"]
    return ENCODED["cpu"] / largest_side(study) ** 2


def _tiles(study: Study) -> float:
    return (max(largest_side(study), 64) / 64) ** 2


def _features_seconds(study: Study, names: Mapping[str, str], rate: float) -> float:
    return START_SECONDS + _tested(study) * encoder_of(study, names["arm"]).flops() / rate


def _evaluate_seconds(study: Study, names: Mapping[str, str], rate: float) -> float:
    task = study.evaluation.tasks[names["task"]]
    if not task.runs_encoder:
        return START_SECONDS + _tested(study) / 2000
    encoded = task.images_encoded(archive_images(study) * study.splits.test)
    return START_SECONDS + encoded * encoder_of(study, names["arm"]).flops() * 2 / rate


def _evaluate_minutes(study: Study) -> float:
    """For the task that runs the encoder most often."""
    tested = archive_images(study) * study.splits.test
    encoded = [task.images_encoded(tested) for task in study.evaluation.tasks.values()]
    return 15 + max(min(_tested(study), 2e5), *encoded) / _encoded_a_second(study) / 60


STAGES = {
    "features": Stage(
        script="features.py",
        reads=_features,
        kinds=arms_encoder,
        megabytes=lambda study: 2500 + 4000 * megaimages(study) + 20 * _tiles(study),
        minutes=lambda study: 10 + _tested(study) / _encoded_a_second(study) / 60,
        seconds=_features_seconds,
    ),
    "evaluate": Stage(
        script="evaluate.py",
        reads=_evaluate,
        kinds=_evaluate_kinds,
        megabytes=lambda study: 3500 + 8000 * megaimages(study) + 100 * _tiles(study),
        minutes=_evaluate_minutes,
        seconds=_evaluate_seconds,
    ),
    "gather": Stage(script="gather.py", reads=_gather, modules=_gather_modules),
    "similarity": Stage(
        script="similarity.py",
        reads=_similarity,
        kinds=arms_encoder,
        facts=_facts_of_encoders,
        megabytes=lambda study: 2000 + 20 * _tiles(study),
    ),
}
