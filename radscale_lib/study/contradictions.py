"""Rules across sections of a study file; each yields `key: problem and remedy`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from radscale_lib.metrics import metrics
from radscale_lib.study.archive import DEMOGRAPHICS, PHANTOM_LABELS, PHRASED
from radscale_lib.study.encoders import EncoderSection
from radscale_lib.study.labels import Audit
from radscale_lib.study.paradigms import PARADIGMS
from radscale_lib.study.pretrain import Arm, Base, Interpolation

if TYPE_CHECKING:
    from radscale_lib.study.archive import Archive
    from radscale_lib.study.model import Study
    from radscale_lib.study.tasks import TaskSection

_IMAGES_PER_PATIENT = 4
"""Upper bound on the mean number of selected images per phantom patient."""


def contradictions(study: Study) -> Iterator[str]:
    """All contradictions between sections, in the order of the file."""
    yield from _archives(study)
    yield from _phantom_labels(study)
    yield from _sources(study)
    yield from _sizes(study)
    yield from _initial_weights(study)
    yield from _baselines(study)
    for name, base in study.bases.items():
        if study.public is None:
            yield f"bases.{name}: there is no 'public' archive to train it on: add one"
        else:
            yield from _pretraining(study, f"bases.{name}", base, "public", study.public)
    for name, arm in study.arms.items():
        if isinstance(arm, Interpolation):
            yield from _interpolation(study, name, arm)
        else:
            yield from _pretraining(study, f"arms.{name}", arm, "institution", study.institution)
            yield from _continued(study, name, arm)
        yield from _arm(study, name, arm)
    yield from _tasks(study)
    yield from _metrics(study)
    yield from _subgroups(study)
    yield from _heads(study)
    yield from _checkpoints(study)
    yield from _claims(study)
    for name in study.report.colours:
        if name not in study.arms:
            yield f"report.colours.{name}: no such arm: use one of {sorted(study.arms)}"


def _archives(study: Study) -> Iterator[str]:
    yield from _test_archives(study)
    if study.public is None:
        return
    if study.public.dicom is not None and study.public.dicom == study.institution.dicom:
        yield (
            f"public.dicom: {str(study.public.dicom)!r} is the institution's folder too: baselines "
            "would have seen the test patients: give another archive"
        )
    if study.public.phantom is not None and study.public.phantom == study.institution.phantom:
        yield (
            f"public.phantom.seed: {study.public.phantom.seed} with the same settings gives the "
            "institution's images again: give another seed and site: public"
        )


def _test_archives(study: Study) -> Iterator[str]:
    for name, archive in study.test_archives.items():
        key = f"test_archives.{name}"
        if name in ("institution", "public"):
            yield f"{key}: the name is taken by an archive from which encoders learn: rename it"
        for other, taken in study.learnt_archives.items():
            if archive.dicom is not None and archive.dicom == taken.dicom:
                yield (
                    f"{key}.dicom: {str(archive.dicom)!r} is the folder of '{other}' too, which "
                    "encoders learn from: give another archive"
                )
            if archive.phantom is not None and archive.phantom == taken.phantom:
                yield (
                    f"{key}.phantom.seed: {archive.phantom.seed} with the same settings gives the "
                    f"images of '{other}' again: give another seed"
                )
        if archive.ingested:
            yield (
                f"{key}.ingested: a test archive is compared, during its ingest, with the archives "
                "from which this study learns: remove this key and give dicom"
            )
        if archive.image != study.institution.image:
            yield (
                f"{key}.image: differs from institution.image, so scores would also reflect the "
                "preparation: make both equal"
            )
        unknown = [label for label in archive.without_labels if label not in study.labels.columns]
        if unknown:
            yield (
                f"{key}.without_labels: {unknown} not among the study's labels: use some of "
                f"{list(study.labels.columns)}"
            )
        if not (archive.has_reports or archive.has_labels or archive.has_tubes):
            yield f"{key}: there is no table to score with: give reports, labels or tubes"


def _phantom_labels(study: Study) -> Iterator[str]:
    phantoms = [
        name
        for name, archive in study.archives.items()
        if archive.phantom is not None and "labels" in study.tables_of(name)
    ]
    if not phantoms:
        return
    for key, known in PHANTOM_LABELS.items():
        named = {label for name in phantoms for label in getattr(study.labels_in(name), key)}
        unknown = [label for label in getattr(study.labels, key) if label in named - {*known}]
        if unknown:
            yield (
                f"labels.{key}: {unknown} not among the phantom's labels: use some of {list(known)}"
            )
    every = [*PHANTOM_LABELS["findings"], *PHANTOM_LABELS["tubes"]]
    named = {label for name in phantoms for label in study.labels_in(name).others}
    unknown = [label for label in study.labels.others if label in named - {*every}]
    if unknown:
        yield f"labels.others: {unknown} not among the phantom's labels: use some of {every}"


def _sources(study: Study) -> Iterator[str]:
    """Sources of labels, and settings for labels that do not exist."""
    labels, archive = study.labels, study.institution
    known = [*labels.columns]
    for key in ("definitions", "phrases"):
        for name in getattr(labels, key):
            if name not in known:
                yield f"labels.{key}.{name}: no such label: use one of {known}"
    for source in labels.sources if labels.sources != ("table",) else ():
        if source == "table" and not archive.has_labels:
            yield (
                "labels.source: 'table' needs institution.labels: set it, or use rules, which read "
                "the reports"
            )
        if source in labels.readers and not archive.has_reports:
            yield f"labels.source: {source!r} needs institution.reports: set it, or use table"
    if "rules" in labels.readers and archive.language not in PHRASED:
        yield (
            f"labels.source: 'rules' has no phrases in {archive.language!r}: use endpoint or table"
        )
    yield from _endpoint(study)
    audit = labels.audit
    if audit != Audit() and not labels.readers:
        yield "labels.audit: no source reads reports: name rules or endpoint, or remove the audit"
    elif audit.table is None and (audit.least.precision or audit.least.recall):
        yield (
            "labels.audit.least: there is no filled table to judge by: run snakemake audit_labels, "
            "fill its table, and name it as labels.audit.table"
        )


def _endpoint(study: Study) -> Iterator[str]:
    labels = study.labels
    if "endpoint" not in labels.readers:
        if labels.endpoint is not None:
            yield "labels.endpoint: no source asks it: add endpoint to labels.source, or remove it"
        return
    if labels.endpoint is None:
        yield "labels.endpoint: labels.source asks an endpoint: give its url and model"
    if not study.institution.scrub_reports:
        yield (
            "institution.scrub_reports: only scrubbed texts are sent to an endpoint: set true, "
            "which leaves texts without names and dates as they are"
        )
    for name in labels.columns:
        if labels.definition(name) is None:
            yield (
                f"labels.definitions.{name}: a model needs to know what the label means: give a "
                "sentence"
            )


def _sizes(study: Study) -> Iterator[str]:
    phantom = study.institution.phantom
    if phantom is None or not study.arms or "sizes" not in study.subsets.model_fields_set:
        return
    most = int(phantom.patients * _IMAGES_PER_PATIENT * study.splits.pool)
    if study.subsets.sizes[-1] > most:
        yield (
            f"subsets.sizes: {study.subsets.sizes[-1]} is above what the pool of a phantom of "
            f"{phantom.patients} patients can hold ({most}): raise institution.phantom.patients "
            "or lower the size"
        )


def _initial_weights(study: Study) -> Iterator[str]:
    used = {arm.encoder for arm in study.arms.values()}
    for name, encoder in study.encoders.items():
        made = [base for base, section in study.bases.items() if section.encoder == name]
        if not encoder.has_weights and name in used and len(made) != 1:
            yield (
                f"encoders.{name}.weights: no initial weights: give released weights, or one entry "
                f"of 'bases' that trains them (found {len(made)})"
            )
        if encoder.weights is not None and made:
            yield (
                f"bases.{made[0]}: encoder {name!r} has released weights "
                f"({encoder.weights}): remove one of the two"
            )
        for key, problem in encoder.problems():
            yield f"encoders.{name}.{key}: {problem}"


def _baselines(study: Study) -> Iterator[str]:
    if not study.arms and not study.baselines and not study.bases:
        yield "arms: neither arms nor baselines: name an encoder to train, or one to evaluate"
    if study.arms and "sizes" not in study.subsets.model_fields_set:
        yield "subsets.sizes: required key is missing: add it"
    taken = {*study.bases, *study.arms, *study.origins.values()}
    for name, baseline in study.baselines.items():
        key, encoder = f"baselines.{name}", study.encoders.get(baseline.encoder)
        if name in taken:
            yield f"{key}: the name is taken by an arm or its initial weights: rename it"
        if encoder is None:
            yield (
                f"{key}.encoder: {baseline.encoder!r} is not an encoder: use one of "
                f"{sorted(study.encoders)}"
            )
        elif baseline.encoder in study.origins:
            yield (
                f"{key}.encoder: {baseline.encoder!r} is a baseline already, as the initial "
                "weights of an arm: remove the entry"
            )
        elif not encoder.has_weights:
            yield (
                f"encoders.{baseline.encoder}.weights: no weights, which baselines.{name} "
                f"evaluates: name local ones{encoder.without_weights}"
            )
    for name in study.floors:
        if name in taken or name in study.baselines:
            yield (
                f"evaluation.floors: {name!r} is the name of a floor: rename the arm or baseline, "
                "or set floors to false"
            )


def _pretraining(
    study: Study, key: str, run: Arm | Base, archive_name: str, archive: Archive
) -> Iterator[str]:
    encoder = study.encoders.get(run.encoder)
    if encoder is None:
        known = sorted(study.encoders)
        yield f"{key}.encoder: {run.encoder!r} is not an encoder: use one of {known}"
        return
    recipe = run.recipe
    if recipe.paradigm not in encoder.paradigms and not recipe.any_tower:
        yield (
            f"{key}.recipe.paradigm: {recipe.paradigm!r} does not train a {encoder.kind} encoder: "
            f"use {' or '.join(map(repr, _paradigms(encoder)))}"
        )
    if "reports" in run.supervision and not archive.has_reports:
        yield (
            f"{key}.supervision: 'reports' needs a reports table: set {archive_name}.reports or "
            "remove 'reports' here"
        )
    if "labels" in run.supervision and not study.has_labels(archive_name):
        yield (
            f"{key}.supervision: 'labels' needs a label table: set {archive_name}.labels or "
            "remove 'labels' here" + _or_rules(study, archive_name)
        )
    if "labels" in run.supervision and not (study.labels.findings or study.labels.tubes):
        yield f"{key}.supervision: 'labels' needs label names: name columns in labels.findings"
    if recipe.optimiser.batch % study.compute.devices:
        yield (
            f"{key}.recipe.optimiser.batch: {recipe.optimiser.batch} does not divide over "
            f"compute.devices {study.compute.devices}: change one of the two"
        )
    for below, problem in recipe.problems(encoder):
        yield f"{key}.recipe.{below}: {problem}"


def _or_rules(study: Study, archive: str) -> str:
    """A hint that labels can be read from reports, if there are any."""
    if archive != "institution" or not study.institution.has_reports:
        return ""
    return ", or read labels from the reports (labels.source: rules)"


def _paradigms(encoder: EncoderSection) -> list[str]:
    """The paradigms that can train a kind of encoder."""
    anything = [name for name, recipe in PARADIGMS.items() if recipe.any_tower]
    return [*encoder.paradigms, *anything]


def _continued(study: Study, name: str, arm: Arm) -> Iterator[str]:
    """A paradigm that needs more of its base than an image tower."""
    for base, section in study.bases.items():
        tower_only = section.recipe.any_tower and arm.recipe.continues_whole
        if section.encoder == arm.encoder and tower_only:
            yield (
                f"arms.{name}.recipe.paradigm: {arm.recipe.paradigm!r} continues more than an "
                f"image tower, which is all that bases.{base} ({section.recipe.paradigm}) makes: "
                "train that base with the same paradigm"
            )


def _interpolation(study: Study, name: str, arm: Interpolation) -> Iterator[str]:
    """An interpolation must refer to an arm that is trained, and match it."""
    key, trained = f"arms.{name}", study.trained_arms.get(arm.interpolates)
    if trained is None:
        yield (
            f"{key}.interpolates: {arm.interpolates!r} is not an arm that is trained: use one of "
            f"{list(study.trained_arms)}"
        )
        return
    for shared in ("encoder", "supervision"):
        if getattr(arm, shared) != getattr(trained, shared):
            yield f"{key}.{shared}: differs from that of arms.{arm.interpolates}: remove it"
    for shared, known in (
        ("seeds", trained.seeds),
        ("sizes", trained.sizes or study.subsets.sizes),
    ):
        unknown = sorted(set(getattr(arm, shared) or ()) - set(known))
        if unknown:
            yield (
                f"{key}.{shared}: {unknown} not among those of arms.{arm.interpolates} "
                f"{list(known)}: remove them here"
            )


def _arm(study: Study, name: str, arm: Arm | Interpolation) -> Iterator[str]:
    if name in study.bases or name in study.origins.values():
        yield f"arms.{name}: the name is taken by a baseline: rename the arm"
    unknown = sorted(set(arm.sizes or ()) - set(study.subsets.sizes))
    if unknown:
        yield (
            f"arms.{name}.sizes: {unknown} not among subsets.sizes {list(study.subsets.sizes)}: "
            "add them there or remove them here"
        )


def _tasks(study: Study) -> Iterator[str]:
    archive = study.institution
    for name, task in study.evaluation.tasks.items():
        key = f"evaluation.tasks.{name}"
        wanted = f"has_{task.needs}"
        if not (
            study.has_labels("institution") if task.needs == "labels" else getattr(archive, wanted)
        ):
            more = _or_rules(study, "institution") if task.needs == "labels" else ""
            needs = f"{task.kind} needs institution.{task.needs}"
            yield f"{key}: {needs}: set it or remove the task{more}"
        if task.names and not task.targets(study.labels):
            yield f"labels.{task.names}: [] leaves task {name!r} without a target: name its columns"
        for below, problem in task.problems(study.labels):
            yield f"{key}.{below}: {problem}"


def _subgroups(study: Study) -> Iterator[str]:
    for name in study.evaluation.subgroups:
        if name in DEMOGRAPHICS and name not in study.institution.demographics:
            yield (
                f"evaluation.subgroups: the archive does not keep {name!r}: add it to "
                "institution.demographics, or remove it here"
            )
    for finding, tube in (study.evaluation.shortcuts or {}).items():
        for label, kind in ((finding, "findings"), (tube, "tubes")):
            known = getattr(study.labels, kind)
            if label not in known:
                yield (
                    f"evaluation.shortcuts.{finding}: {label!r} is not in labels.{kind}: use one "
                    f"of {list(known)}"
                )


def _metrics(study: Study) -> Iterator[str]:
    tasks = study.evaluation.tasks
    for name, task in tasks.items():
        if name not in study.scaling.metrics:
            yield (
                f"scaling.metrics.{name}: the task has no metric to fit: give one of "
                f"{_fitted(task)}"
            )
    for name, metric in study.scaling.metrics.items():
        if name not in tasks:
            yield f"scaling.metrics.{name}: no such task: remove it, or use one of {sorted(tasks)}"
        elif metric not in (known := metrics(tasks[name].kind)):
            yield (
                f"scaling.metrics.{name}: {metric!r} is not a metric of this task: use one of "
                f"{_fitted(tasks[name])}"
            )
        elif known[metric].is_error:
            yield (
                f"scaling.metrics.{name}: smaller is better for {metric!r}, and laws are fitted to "
                f"metrics for which larger is better: use one of {_fitted(tasks[name])}"
            )
        elif known[metric].needs_phrases and study.institution.language not in PHRASED:
            others = [
                repr(other)
                for other, each in known.items()
                if not (each.needs_phrases or each.weights)
            ]
            yield (
                f"scaling.metrics.{name}: {metric!r} has no phrases in "
                f"{study.institution.language!r}: use {' or '.join(others)}"
            )
        elif (key := known[metric].weights) and getattr(tasks[name], key, None) is None:
            yield (
                f"scaling.metrics.{name}: {metric!r} needs weights: give their folder as "
                f"evaluation.tasks.{name}.{key}, or use another metric"
            )


def _fitted(task: TaskSection) -> list[str]:
    """Metrics of a task to which laws can be fitted."""
    return [name for name, metric in metrics(task.kind).items() if not metric.is_error]


def _heads(study: Study) -> Iterator[str]:
    tasks = study.evaluation.tasks
    for name, head in study.scaling.heads.items():
        if name not in tasks:
            yield f"scaling.heads.{name}: no such task: remove it, or use one of {sorted(tasks)}"
        elif head not in (known := tasks[name].head_names):
            yield (
                f"scaling.heads.{name}: {head!r} is not a head of this task: use one of "
                f"{list(known)}"
            )
    for name in study.scaling.metrics:
        if name in tasks and name not in study.scaling.heads and tasks[name].only_head is None:
            yield (
                f"scaling.heads.{name}: missing, and the task has several heads: name the one that "
                f"is fitted and drawn, one of {list(tasks[name].head_names)}"
            )


def _checkpoints(study: Study) -> Iterator[str]:
    key, by = "scaling.checkpoint_by", study.scaling.checkpoint_by
    if by is None:
        return
    known = [name for name, task in study.evaluation.tasks.items() if task.kind == "classification"]
    if by not in known:
        yield f"{key}: {by!r} is not a classification task: use one of {known}"
    if not study.kept:
        yield f"{key}: no arm keeps an encoder on the way: give one 'keep', or remove this"


RESERVED_CLAIMS = (
    "mi2-scales-better-on-findings",
    "rad-dino-stronger-on-tubes",
    "labels-improve-on-reports",
    "smallest-size-suffices-for-some",
    "continuing-pays",
)
"""Names of the claims of the paper's abstract."""


def _claims(study: Study) -> Iterator[str]:
    baselines = list(study.evaluated_only)
    for name, claim in study.scaling.claims.items():
        key = f"scaling.claims.{name}"
        if name in RESERVED_CLAIMS:
            yield f"{key}: the name is taken by a claim of the paper's abstract: rename it"
        if claim.better not in study.arms:
            yield f"{key}.better: {claim.better!r} is not an arm: use one of {list(study.arms)}"
        if claim.than not in (*study.arms, *baselines):
            yield (
                f"{key}.than: {claim.than!r} is neither an arm nor a baseline: use one of "
                f"{[*study.arms, *baselines]}"
            )
        elif claim.than in baselines and claim.what == "slope":
            yield f"{key}.what: baseline {claim.than!r} has no slope: compare values, or two arms"
        for task in claim.on:
            if task not in study.scaling.metrics:
                yield f"{key}.on: {task!r} is not a task: use some of {list(study.scaling.metrics)}"
        if claim.what == "slope" and claim.at != "largest":
            yield f"{key}.at: slopes are those at the largest size: remove 'at'"
        for side in (claim.better, claim.than):
            sizes = study.arms[side].sizes or study.subsets.sizes if side in study.arms else None
            if sizes is not None and isinstance(claim.at, int) and claim.at not in sizes:
                yield f"{key}.at: {claim.at} is not a size of {side!r}: use one of {list(sizes)}"
