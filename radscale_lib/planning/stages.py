"""Stages of the workflow and their ids.

A stage id is a digest of (a) the slice of the study that the stage reads, resolved, and (b) the
code that the stage's script reaches. A job whose manifest has another id runs again. Data reach a
job as input files and are not part of its id.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from radscale_lib.languages import digest_of
from radscale_lib.languages.phrases import digest_of as phrases_digest
from radscale_lib.metrics import modules as metric_modules
from radscale_lib.planning.code import code_of
from radscale_lib.pseudonyms import KeyMissingError, key_fingerprint, read_key
from radscale_lib.study.archive import TABLES, Archive
from radscale_lib.study.base import Section
from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.kinds import kind_name, modules_of
from radscale_lib.study.model import Study
from radscale_lib.study.paradigms import PARADIGMS, RecipeSection
from radscale_lib.study.pretrain import Arm
from radscale_lib.study.tasks import TaskSection

ROOT = Path(__file__).resolve().parents[2]

Slice = dict[str, Any]


def _key(archive: Archive) -> str:
    try:
        return key_fingerprint(read_key(archive))
    except KeyMissingError:
        return "missing"


def _phantom(study: Study, archive: str) -> Slice:
    return {"phantom": study.archives[archive].phantom}


def _scan(study: Study, archive: str) -> Slice:
    return {"partitions": study.archives[archive].partitions}


def _tables(study: Study, archive: str) -> Slice:
    joins = study.archives[archive].joins
    return {
        **{f"joins.{name}": _without(getattr(joins, name), "most_unmatched") for name in TABLES},
        "labels.findings": study.labels.findings,
        "labels.tubes": study.labels.tubes,
    }


def _ingest(study: Study, archive: str) -> Slice:
    source = study.archives[archive]
    return {
        "select": source.select,
        "image": source.image,
        "scrub_reports": source.scrub_reports,
        "language": source.language,
        "language.rules": digest_of(source.language),
        "partitions": source.partitions,
        "key": _key(source),
        "labels.findings": study.labels.findings,
        "labels.tubes": study.labels.tubes,
    }


def _catalog(study: Study, archive: str) -> Slice:
    splits = study.splits if archive == "institution" else None
    source = study.archives[archive]
    return {
        "splits": splits,
        "partitions": source.partitions,
        "most_quarantined": source.most_quarantined,
        "most_of_one_patient": source.most_of_one_patient,
        "smallest_cell": study.smallest_cell(archive),
        "language": source.language,
        "most_foreign_reports": source.most_foreign_reports,
        **{
            f"joins.{name}.most_unmatched": getattr(source.joins, name).most_unmatched
            for name in TABLES
        },
    }


def _ranges(study: Study) -> Slice:
    return {}


def _subset(study: Study) -> Slice:
    return {"subsets": _without(study.subsets, "sizes")}


def _subset_card(study: Study) -> Slice:
    return {"labels": study.labels, "smallest_cell": study.smallest_cell("institution")}


def _hardware(study: Study) -> Slice:
    return {"device": study.compute.device, "precision": study.compute.precision}


def _encoder(study: Study, arm: str) -> EncoderSection:
    return study.encoders[study.encoder_of(arm)]


def _pretrain(study: Study, arm: str) -> Slice:
    section = study.bases[arm] if arm in study.bases else study.trained_arms[arm]
    encoder = _encoder(study, arm)
    archive = "public" if arm in study.bases else "institution"
    return {
        **({"smallest_cell": study.smallest_cell(archive)} if encoder.learns_words else {}),
        arm: _without(section, "seeds", "sizes"),
        "encoder": _without(encoder, "weights"),
        "labels": study.labels,
        "devices": study.compute.devices,
        **_hardware(study),
    }


def _interpolate(study: Study, arm: str) -> Slice:
    section = study.interpolated_arms[arm]
    return {"interpolates": section.interpolates, "share": section.share}


def _weights(study: Study, arm: str) -> Slice:
    return {"encoder": _encoder(study, arm)}


def _features(study: Study, arm: str) -> Slice:
    return {
        "features": study.evaluation.features,
        "labels": study.labels,
        **_hardware(study),
    }


def _evaluate(study: Study, task: str, arm: str) -> Slice:
    section = study.evaluation.tasks[task]
    protocol = {
        name: getattr(study.evaluation, name) for name in ("resamples", "confidence", "seed")
    }
    shared = {} if section.runs_encoder else {"features": study.evaluation.features}
    hardware = _hardware(study) if section.runs_encoder else {}
    reports = {}
    if section.needs == "reports":
        language = study.institution.language
        reports = {"language": language, "language.phrases": phrases_digest(language)}
    return {task: section, "labels": study.labels, **protocol, **shared, **hardware, **reports}


def _gather(study: Study) -> Slice:
    return {"runs": [run.path for run in study.runs], "tasks": list(study.evaluation.tasks)}


def _fit(study: Study) -> Slice:
    """The stated claims find arms by kind, paradigm and supervision, tasks by kind and target."""
    arms = {
        name: {
            "encoder": arm.encoder,
            "kind": study.encoders[arm.encoder].kind,
            "supervision": list(arm.supervision),
            "paradigm": arm.recipe.paradigm if isinstance(arm, Arm) else "",
        }
        for name, arm in study.arms.items()
    }
    kinds = {
        name: [task.kind, getattr(task, "target", "")]
        for name, task in study.evaluation.tasks.items()
    }
    return {
        "scaling": study.scaling,
        "baselines": study.baselines,
        "arms": arms,
        "kinds": kinds,
        **_gather(study),
    }


def _similarity(study: Study, arm: str) -> Slice:
    """The tip that is drawn is one that every encoder of the study sees."""
    return {
        "labels.tubes": study.labels.tubes,
        "encoders": {name: _without(each, "weights") for name, each in study.encoders.items()},
        **_hardware(study),
    }


def _figures(study: Study) -> Slice:
    return {
        "report": study.report,
        "scaling": study.scaling,
        "evaluation.confidence": study.evaluation.confidence,
        "baselines": study.baselines,
        "arms": {name: study.encoder_of(name) for name in study.arms},
        **_gather(study),
    }


def _report(study: Study) -> Slice:
    return {"study": _without(study, "results", "compute")}


STAGES: dict[str, tuple[str, Callable[..., Slice]]] = {
    "phantom": ("make_phantom.py", _phantom),
    "scan": ("scan.py", _scan),
    "tables": ("tables.py", _tables),
    "ingest": ("ingest.py", _ingest),
    "catalog": ("catalog.py", _catalog),
    "ranges": ("index_shards.py", _ranges),
    "subset": ("subset.py", _subset),
    "subset_card": ("subset_card.py", _subset_card),
    "weights": ("import_weights.py", _weights),
    "pretrain": ("pretrain.py", _pretrain),
    "interpolate": ("interpolate.py", _interpolate),
    "features": ("features.py", _features),
    "evaluate": ("evaluate.py", _evaluate),
    "gather": ("gather.py", _gather),
    "fit": ("fit.py", _fit),
    "similarity": ("similarity.py", _similarity),
    "figures": ("figures.py", _figures),
    "report": ("report.py", _report),
}
"""Each stage's script, and the slice of the study it reads."""


def components(study: Study, stage: str, **names: str) -> dict[str, dict[str, str]]:
    """What a stage id is made of.

    Args:
        study: the resolved study.
        stage: a key of `STAGES`.
        **names: what the slice depends on: `archive`, `arm` or `task`.

    Returns:
        `study`: dotted key -> canonical JSON of its value; `code`: definition -> digest.
    """
    script, slice_of = STAGES[stage]
    values = {key: canonical(value) for key, value in flatten(slice_of(study, **names)).items()}
    return {"study": values, "code": _code(study, stage, script, **names)}


def stage_id(parts: dict[str, dict[str, str]]) -> str:
    """The id made of a stage's components: 16 hex digits of their SHA-256."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


TITLED = ("figures", "report")
"""Stages that ask tasks and metrics for their titles only."""


def _kinds(
    study: Study, stage: str, arm: str = "", task: str = "", **_: str
) -> Iterator[type[EncoderSection | RecipeSection | TaskSection]]:
    """The kinds that a job uses, by the stage and what it is for."""
    if stage in TITLED:
        yield from map(type, study.evaluation.tasks.values())
    if task:
        section = study.evaluation.tasks[task]
        yield type(section)
        if not section.runs_encoder:
            return
    if arm and stage != "interpolate":
        encoder = study.encoders[study.encoder_of(arm)]
        yield type(encoder)
        if stage == "pretrain":
            yield type((study.bases | study.trained_arms)[arm].recipe)
        if stage == "weights":
            yield PARADIGMS[encoder.paradigms[0]]


def _code(study: Study, stage: str, script: str, **names: str) -> dict[str, str]:
    code, facts = list[str](), list[str]()
    for kind in dict.fromkeys(_kinds(study, stage, **names)):
        facts += [kind.__module__, *kind.more_facts]
        code += [] if stage in TITLED else [kind.implementation]
        if issubclass(kind, TaskSection):
            computed = metric_modules(kind_name(kind, "kind")).values()
            (facts if stage in TITLED else code).extend(computed)
    if stage == "figures":
        code += modules_of("radscale_lib.report.figures", "radscale.figures")
    if stage == "similarity":
        for encoder in study.encoders.values():
            facts += [type(encoder).__module__, *encoder.more_facts]
    return _digests(script, tuple(code), tuple(facts))


@lru_cache
def _digests(script: str, modules: tuple[str, ...], facts: tuple[str, ...]) -> dict[str, str]:
    return code_of(ROOT / "scripts" / script, modules, facts)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings and sections as one mapping with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Section):
            value = _without(value)
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def canonical(value: Any) -> str:
    """One text per value.

    Raises:
        TypeError: for a type whose text is not stable.
    """
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))


def _without(section: Section, *names: str) -> Slice:
    values: Slice = _pathless(section.model_dump(exclude=set(names)))
    return values


def _pathless(value: Any) -> Any:
    """Values with `given` for a path: what lies there is an input, compared by its content."""
    if isinstance(value, Mapping):
        return {key: _pathless(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_pathless(inner) for inner in value]
    return "given" if isinstance(value, Path) else value
