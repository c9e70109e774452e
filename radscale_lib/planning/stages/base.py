"""The description of a stage."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from radscale_lib.languages import digest_of as headings_digest
from radscale_lib.languages.cues import digest_of as cues_digest
from radscale_lib.languages.phrases import digest_of as phrases_digest
from radscale_lib.planning.scale import archive_images
from radscale_lib.study.archive import Labels
from radscale_lib.study.base import Section
from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.floors import Pixels
from radscale_lib.study.heads import HeadSection
from radscale_lib.study.model import Study
from radscale_lib.study.paradigms import RecipeSection
from radscale_lib.study.tasks import TaskSection

Slice = dict[str, Any]
Kind = type[EncoderSection | RecipeSection | TaskSection | HeadSection]

START_SECONDS = 5.0
"""Assumed start-up time of a process with torch, seconds."""
READ = 50e6
"""Lower bound on bytes per second from the file system of the results."""
READ_USUALLY = 200e6
"""Assumed bytes per second from the file system of the results."""


def no_kinds(study: Study, **names: str) -> Iterator[Kind]:
    """For a stage that uses no kinds."""
    return iter(())


def usual_seconds(study: Study, names: Mapping[str, str], rate: float) -> float:
    """Seconds of a job that processes a table of all images."""
    return START_SECONDS + archive_images(study) / 1e5


@dataclass(frozen=True, kw_only=True)
class Stage:
    """A stage of the workflow: the part of the study it reads, and the needs of its jobs.

    Attributes:
        script: its file in `scripts/`; empty for a stage that is only part of a job.
        reads: returns the slice of the study on which its results depend, given `archive`, `arm` or
            `task`.
        kinds: the encoders, paradigms, tasks and heads whose code it runs.
        runs: the class variable of kinds that names the module it runs; empty if it only uses their
            facts.
        modules: further modules whose code it runs.
        facts: further modules whose facts it uses.
        megabytes: bound on memory, MB, before the factor for retries; per process.
        minutes: bound on run time, before the factor for retries.
        seconds: estimated run time if nothing similar was measured, at a rate in FLOPs per second.
    """

    script: str = ""
    reads: Callable[..., Slice]
    kinds: Callable[..., Iterator[Kind]] = no_kinds
    runs: Literal["implementation", "scoring", ""] = "implementation"
    modules: Callable[[Study], list[str]] = lambda study: []
    facts: Callable[[Study], list[str]] = lambda study: []
    megabytes: Callable[[Study], float] = lambda study: 1500.0
    minutes: Callable[[Study], float] = lambda study: 15.0
    seconds: Callable[[Study, Mapping[str, str], float], float] = usual_seconds


def megaimages(study: Study) -> float:
    """Number of images in the institution's archive, in millions."""
    return archive_images(study) / 1e6


def largest_side(study: Study) -> int:
    """Shorter side of the largest stored images, pixels."""
    return max(archive.image.shorter_side for archive in study.archives.values())


def encoder_of(study: Study, arm: str) -> EncoderSection:
    """The encoder of an arm, base, baseline or floor."""
    return study.section_of(arm)


def hardware(study: Study) -> Slice:
    """The properties of the machine that affect the last bits of a result."""
    return {"device": study.compute.device, "precision": study.compute.precision}


def labels_of(study: Study) -> Slice:
    """The label settings that cards and tasks read."""
    names = ("findings", "tubes", "uncertain", "blank")
    return {name: getattr(study.labels, name) for name in names}


def positions_of(labels: Labels) -> Slice:
    """Tube positions; studies without them keep the ids from before positions existed."""
    return {"labels.positions": labels.positions} if labels.positions else {}


def reading_of(language: str) -> Slice:
    """The data files of the rules that read reports in a language."""
    return {
        "language": language,
        "language.headings": headings_digest(language),
        "language.phrases": phrases_digest(language),
        "language.phrases.en": phrases_digest("en"),  # by which labels are named
        "language.cues": cues_digest(language),
    }


def arms_encoder(study: Study, arm: str, **names: str) -> Iterator[Kind]:
    """The kind of an arm's encoder, or of the encoder that a floor imitates."""
    encoder = encoder_of(study, arm)
    yield type(encoder)
    if isinstance(encoder, Pixels):
        yield type(encoder.like)


def task_kinds(study: Study, **names: str) -> Iterator[Kind]:
    """The kinds of all tasks."""
    yield from map(type, study.evaluation.tasks.values())


def without(section: Section, *names: str) -> Slice:
    """A section's values without the named ones, with `given` in place of paths."""
    values: Slice = _pathless(section.model_dump(exclude=set(names)))
    return values


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings and sections as one mapping with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Section):
            value = without(value)
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def _pathless(value: Any) -> Any:
    """Values with `given` for each path: the file there is an input, compared by content."""
    if isinstance(value, Mapping):
        return {key: _pathless(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_pathless(inner) for inner in value]
    return "given" if isinstance(value, Path) else value
