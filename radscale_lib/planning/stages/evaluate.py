"""Evaluation: predictions and scores of runs, the scores table, patch similarity."""

from collections.abc import Iterator, Mapping

from radscale_lib.metrics import modules as metric_modules
from radscale_lib.planning.scale import archive_images, encoding, grid_numbers, held_out
from radscale_lib.planning.stages.base import (
    READ,
    READ_USUALLY,
    START_SECONDS,
    Kind,
    Slice,
    Stage,
    arms_encoder,
    encoder_of,
    flatten,
    hardware,
    labels_of,
    largest_side,
    megaimages,
    positions_of,
    reading_of,
    task_kinds,
    without,
)
from radscale_lib.study.evaluation import KEPT_BYTES
from radscale_lib.study.heads.base import Encoding, HeadSection
from radscale_lib.study.model import Study

ENCODED = {"cpu": 500 * 64**2, "cuda": 50.0}
"""Lower bounds per second: pixels through an encoder on a core, images on a GPU."""


def _features(study: Study, arm: str) -> Slice:
    """All levels and poolings except the grid are kept; each head chooses what it reads."""
    return {
        "features.batch": study.evaluation.features.batch,
        **({"features.grid": True} if study.evaluation.reads_grid else {}),
        **({} if study.labels.readers else {"labels": _labels(study)}),
        **hardware(study),
    }


def _labels(study: Study) -> Slice:
    return labels_of(study) | positions_of(study.labels)


def _head(study: Study, task: str, part: str, arm: str) -> Slice:
    section = study.evaluation.tasks[task]
    head = section.head(part)
    of_head = {f"{task}.heads.{part}": head} if head else {}
    labels: Slice = {}
    if section.needs != "reports":
        labels = {"labels": _labels(study)}
    shared: Slice = {}
    if section.reads_features:
        shared = {"features": without(study.evaluation.features, "batch")}
    machine: Slice = {}
    if (head or section).runs_encoder:
        machine = {"features.batch": study.evaluation.features.batch, **hardware(study)}
    return {
        task: without(section, *section.unread_by(part)),
        **of_head,
        "seed": study.evaluation.seed,
        **labels,
        **shared,
        **machine,
        **_elsewhere(study, task),
    }


def _elsewhere(study: Study, task: str) -> Slice:
    """The test archives on which a task is scored, and the labels that each lacks."""
    return {
        f"elsewhere.{name}": sorted({*study.labels.columns} - {*study.labels_in(name).columns})
        for name in study.test_archives
        if task in study.tasks_at(name)
    }


def _evaluate(study: Study, arm: str) -> Slice:
    """The settings on which the features and all heads of all tasks depend."""
    parts = [_head(study, *each, arm) for each in parts_of(study)]
    flat = [flatten(part) for part in (_features(study, arm), *parts)]
    return {key: value for part in flat for key, value in part.items()}


def _score(study: Study, arm: str) -> Slice:
    tasks = study.evaluation.tasks
    reports: Slice = {}
    if any(task.needs == "reports" for task in tasks.values()):
        reports = reading_of(study.institution.language)
    protocol = {
        name: getattr(study.evaluation, name)
        for name in ("resamples", "confidence", "seed", "subgroups")
    }
    return {
        "encoder": study.encoder_of(arm),
        "labels": _labels(study),
        **{name: without(task) for name, task in tasks.items()},
        "shortcuts": study.shortcuts,
        "smallest_cell": study.smallest_cell("institution"),
        **{f"smallest_cell.{name}": study.smallest_cell(name) for name in study.test_archives},
        **protocol,
        **reports,
        **{
            f"{name}.{key}": value
            for name in tasks
            for key, value in _elsewhere(study, name).items()
        },
    }


def parts_of(study: Study) -> Iterator[tuple[str, str]]:
    """Task and name of each separately predicted and kept part of a run's evaluation."""
    for name, task in study.evaluation.tasks.items():
        yield from ((name, part) for part in task.parts)


def runs_and_tasks(study: Study) -> Slice:
    """The runs and tasks with scores in a study."""
    return {"runs": [run.path for run in study.runs], "tasks": list(study.evaluation.tasks)}


def _gather(study: Study) -> Slice:
    """The scores of a study, and the facts of intermediate encoders."""
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
    along = {"kept": kept, "spent": spent, "checkpoint_by": chosen}
    return runs_and_tasks(study) | along


def _gather_elsewhere(study: Study, archive: str) -> Slice:
    return runs_and_tasks(study.seen_from(archive))


def tasks_elsewhere(study: Study) -> Slice:
    """The tasks scored on each test archive."""
    return {f"at.{name}": study.tasks_at(name) for name in study.test_archives}


def _gather_modules(study: Study) -> list[str]:
    return list(metric_modules("classification").values()) if study.scaling.checkpoint_by else []


def _compare(study: Study) -> Slice:
    return {"order": [*study.arms, *study.evaluated_only, *study.floors]}


def _compare_elsewhere(study: Study, archive: str) -> Slice:
    return _compare(study)


def heads_drawn(study: Study) -> dict[str, str]:
    """The head of each task that is fitted and drawn."""
    return {task: study.head_of(task) for task in study.evaluation.tasks}


def _similarity(study: Study, arm: str) -> Slice:
    """The drawn tip is one that every encoder of the study sees."""
    return {
        "labels.tubes": study.labels.tubes,
        "encoders": {name: without(each, "weights") for name, each in study.encoders.items()},
        "tips": {
            "resamples": study.evaluation.resamples,
            "seed": study.evaluation.seed,
            "confidence": study.evaluation.confidence,
            "batch": study.evaluation.features.batch,
            "smallest": study.smallest_cell("institution"),
        },
        **hardware(study),
    }


def _examples(study: Study, task: str) -> Slice:
    """Labels name the masks, and the claims that reports are searched for."""
    return {
        "labels": labels_of(study),
        "head": study.head_of(task),
        **reading_of(study.institution.language),
        "phrases": getattr(study.evaluation.tasks[task], "phrases", None),
    }


def _examples_kinds(study: Study, task: str) -> Iterator[Kind]:
    yield type(study.evaluation.tasks[task])


def _similarity_minutes(study: Study) -> float:
    """At most three encoders see the test films."""
    return 15 + 3 * _tested(study) / _encoded_a_second(study) / 60


def _similarity_megabytes(study: Study) -> float:
    """With several batches of feature maps."""
    maps = 16 * study.evaluation.features.batch * _largest_features(study) / 1e6
    return 2000 + 20 * _tiles(study) + maps


def _head_kinds(study: Study, task: str, part: str, arm: str) -> Iterator[Kind]:
    section = study.evaluation.tasks[task]
    head = section.head(part)
    yield type(section)
    if head:
        yield type(head)
    if (head or section).runs_encoder:
        yield from arms_encoder(study, arm)


def _evaluate_kinds(study: Study, arm: str) -> Iterator[Kind]:
    for task, part in parts_of(study):
        yield from _head_kinds(study, task, part, arm)
    yield from arms_encoder(study, arm)


def _facts_of_encoders(study: Study) -> list[str]:
    """Modules with the facts of all encoders, since the drawn tip is one that all see."""
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


def _evaluate_seconds(study: Study, names: Mapping[str, str], rate: float) -> float:
    """Encoding plus training of heads, where a step on an image costs as much as encoding it."""
    encoder = encoder_of(study, names["arm"])
    asked = _asked(study)
    computing = (_tested(study) + asked.encoded + asked.learnt) * encoder.flops() / rate
    reading = asked.read * encoder.feature_numbers() / READ_USUALLY
    probed = sum(task.reads_features for task in study.evaluation.tasks.values())
    return START_SECONDS + computing + reading + probed * _tested(study) / 2000


def _asked(study: Study) -> Encoding:
    """Number of images that all tasks together encode."""
    return Encoding.in_turn(encoding(study, task) for task in study.evaluation.tasks)


def _score_seconds(study: Study, names: Mapping[str, str], rate: float) -> float:
    return 2 + len(study.evaluation.tasks) * study.evaluation.resamples * _tested(study) / 1e8


def _score_minutes(study: Study) -> float:
    """With 20 ms for each film or report of each decoder and seed."""
    tested = archive_images(study) * study.splits.test
    decoded = 0.0
    for task in study.evaluation.tasks.values():
        limit = getattr(getattr(task, "decoder", None), "test_images", None) or tested
        decoded += min(tested, limit) * len(task.parts) * (task.decoder_seeds or 0)
    return 15 + (_tested(study) / 2000 + 0.02 * decoded) / 60


def _evaluate_minutes(study: Study) -> float:
    """Minutes for features, for the images that heads encode, and for the maps that they read."""
    asked = _asked(study)
    seconds = (_tested(study) + asked.encoded + asked.learnt) / _encoded_a_second(study)
    return 25 + (seconds + asked.read * _largest_features(study) / READ) / 60


def _largest_features(study: Study) -> float:
    """Bytes of an image's feature maps in a file."""
    return max(study.section_of(run.arm).feature_numbers() for run in study.runs)


def _evaluate_megabytes(study: Study) -> float:
    """Includes three batches of feature maps as bytes, and several copies of one as numbers.

    Also includes pooled features over a grid, in half, single and double precision, and the
    features of each archive that are kept in memory.
    """
    sizes = [getattr(task, "decoder", None) for task in study.evaluation.tasks.values()]
    batch = max((decoder.batch for decoder in sizes if decoder), default=0)
    several = 3 + 4 * (1 if study.compute.device == "cuda" else _held(study))
    maps = several * batch * _largest_features(study) / 1e6
    grid = 24 * _tested(study) * max(grid_numbers(study, run.arm) for run in study.runs) / 1e6
    kept = KEPT_BYTES / 1e6 * (1 + len(study.test_archives))
    return 3500 + 8000 * megaimages(study) + 100 * _tiles(study) + maps + grid + kept


def _held(study: Study) -> float:
    """Numbers that a training step holds, for each of its batch's feature maps."""
    tasks = study.evaluation.tasks.values()
    heads = (head for task in tasks for head in map(task.head, task.parts) if head)
    return max((head.held for head in heads), default=HeadSection.held)


STAGES = {
    "evaluate": Stage(
        script="evaluate.py",
        reads=_evaluate,
        kinds=_evaluate_kinds,
        megabytes=_evaluate_megabytes,
        minutes=_evaluate_minutes,
        seconds=_evaluate_seconds,
    ),
    "features": Stage(
        reads=_features,
        kinds=arms_encoder,
        modules=lambda study: ["radscale_lib.tasks.extraction"],
    ),
    "head": Stage(
        reads=_head,
        kinds=_head_kinds,
        modules=lambda study: ["radscale_lib.tasks.parts"],
    ),
    "score": Stage(
        script="score_run.py",
        reads=_score,
        kinds=task_kinds,
        runs="scoring",
        megabytes=lambda study: 2000 + 2000 * megaimages(study),
        minutes=_score_minutes,
        seconds=_score_seconds,
    ),
    "compare": Stage(script="compare.py", reads=_compare, megabytes=lambda study: 3000.0),
    "compare_elsewhere": Stage(
        script="compare.py", reads=_compare_elsewhere, megabytes=lambda study: 3000.0
    ),
    "gather": Stage(script="gather.py", reads=_gather, modules=_gather_modules),
    "gather_elsewhere": Stage(script="gather.py", reads=_gather_elsewhere),
    "similarity": Stage(
        script="similarity.py",
        reads=_similarity,
        kinds=arms_encoder,
        facts=_facts_of_encoders,
        megabytes=_similarity_megabytes,
        minutes=_similarity_minutes,
    ),
    "examples": Stage(
        script="examples.py",
        reads=_examples,
        kinds=_examples_kinds,
        megabytes=lambda study: 2500.0,
    ),
}
