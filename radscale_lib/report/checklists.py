"""Reporting checklists, filled in from the study file, and blank where a person must write.

CLAIM 2024 (Tejani et al., doi:10.1148/ryai.240300) and TRIPOD+AI (Collins et al. 2024,
doi:10.1136/bmj-2023-078378): the item numbers are theirs, the item names ours.
"""

from collections.abc import Callable

import polars as pl

from radscale_lib.report.words import format_count, listed, metric_name, percent, task_title
from radscale_lib.study import Study

Told = Callable[[Study], str]


def checklist_rows(study: Study) -> list[dict[str, str]]:
    """A row for each item: `Checklist`, `Item`, `About` and `Filled in from the study`.

    Empty text is left for a person to write.
    """
    return [
        {"Checklist": name, "Item": item, "About": about, "Filled in from the study": tell(study)}
        for name, items in CHECKLISTS.items()
        for item, about, tell in items
    ]


def checklist_table(study: Study) -> pl.DataFrame:
    """The same as a table."""
    return pl.DataFrame(checklist_rows(study))


def _blank(study: Study) -> str:
    return ""


def _says(text: str) -> Told:
    return lambda study: text


def _model(study: Study) -> str:
    if not study.arms:
        return "Encoders are only evaluated: see Settings."
    kinds = dict.fromkeys(
        f"{name}: {arm.encoder} ({study.encoders[arm.encoder].kind}), "
        f"{' and '.join(arm.supervision) or 'images only'}"
        for name, arm in study.arms.items()
    )
    return f"{'; '.join(kinds)}. All settings: How to read this, Settings of the study."


def _start(study: Study) -> str:
    starts = dict.fromkeys(study.baseline_of(arm).arm for arm in study.arms)
    return f"Arms continue from {listed(starts)}." if starts else ""


def _training(study: Study) -> str:
    each = [
        f"{name}: {arm.recipe.paradigm}, {arm.recipe.optimiser.samples:,} samples in batches of "
        f"{arm.recipe.optimiser.batch:,}"
        for name, arm in study.trained_arms.items()
    ]
    return f"{'; '.join(each)}." if each else ""


def _sizes(study: Study) -> str:
    sizes = listed(format_count(size) for size in study.subsets.sizes)
    return f"Nested subsets of {sizes} images: see Subsets."


def _partition(study: Study) -> str:
    splits = study.splits
    return (
        "By a keyed hash of the patient: "
        f"{percent(splits.train)} train, {percent(splits.validation)} validation, "
        f"{percent(splits.test)} test, all others the pool that subsets are drawn from."
    )


def _selection(study: Study) -> str:
    if study.scaling.checkpoint_by:
        by = study.scaling.checkpoint_by
        return f"Encoders of each run are chosen on the validation images of {by}."
    return "The encoder at the end of its budget; heads are chosen on the validation split."


def _metrics(study: Study) -> str:
    metrics = listed(
        f"{metric_name(study, task)} of {task_title(study, task).lower()}"
        for task in study.scaling.metrics
    )
    return f"{metrics}; all further ones are in scores.parquet."


def _uncertainty(study: Study) -> str:
    return (
        f"{study.evaluation.resamples:,} resamples of test patients, seeds, and doubt about the "
        "law; verdicts are corrected for all claims of the study."
    )


def _external(study: Study) -> str:
    if study.test_archives:
        return f"Test archives {listed(study.test_archives)}: see Test archives."
    return "None in this study."


def _subgroups(study: Study) -> str:
    groups = study.evaluation.subgroups
    named = listed(str(group) for group in groups) if groups else ""
    return f"Scores by {named}: see Differences and subgroups." if named else ""


def _outcome(study: Study) -> str:
    parts = [
        f"{listed(names)} ({what})".replace("_", " ")
        for names, what in ((study.labels.findings, "findings"), (study.labels.tubes, "tubes"))
        if names
    ]
    read = " Labels are read from reports: see Labels." if study.labels.readers else ""
    return f"{'; '.join(parts)}.{read}" if parts else ""


def _identifiers(study: Study) -> str:
    if study.institution.phantom is not None:
        return "Simulated images: nobody’s."
    return "Keyed hashes in place of identifiers, dates dropped but for the year, texts scrubbed."


def _language_models(study: Study) -> str:
    return "One encoder for each run; none are combined." if study.arms else ""


_FLOW = _says("See Archives: the flow diagram, and the reasons.")
_TABLE = _says("See Table 1.")
_SOFTWARE = _says("See How to read this, Software.")
_MISSING = _says("What is not known is left out, and counted: see Table 1 and Archives.")
_SCORES = _says("See Scores, Differences and subgroups.")
_PREPARED = _says("See How to read this, Settings of the study (image, select, prepare).")

CHECKLISTS: dict[str, tuple[tuple[str, str, Told], ...]] = {
    "CLAIM 2024": (
        ("1", "title names the kind of AI", _blank),
        ("2", "structured abstract", _blank),
        ("3", "background and clinical role", _blank),
        ("4", "aims and hypotheses", _says("Claims stated beforehand: see Verdicts.")),
        ("5", "prospective or retrospective", _blank),
        ("6", "goal of the study", _says("How scores change with pretraining images.")),
        ("7", "sources of the data", _blank),
        ("8", "inclusion and exclusion", _FLOW),
        ("9", "preparation of images", _PREPARED),
        ("10", "subsets of the data", _sizes),
        ("11", "de-identification", _identifiers),
        ("12", "missing data", _MISSING),
        ("13", "how images were taken", _blank),
        ("14", "reference standard", _outcome),
        ("15", "why that standard", _blank),
        ("16", "who annotated", _blank),
        ("17", "annotation of the test set", _blank),
        ("18", "agreement of annotators", _blank),
        ("19", "assignment to partitions", _partition),
        ("20", "level at which partitions are apart", _says("Patients.")),
        ("21", "sample size and its reason", _blank),
        ("22", "description of the model", _model),
        ("23", "software", _SOFTWARE),
        ("24", "initialisation", _start),
        ("25", "training", _training),
        ("26", "choice of the final model", _selection),
        ("27", "ensembles", _language_models),
        ("28", "metrics", _metrics),
        ("29", "uncertainty and significance", _uncertainty),
        ("30", "robustness", _subgroups),
        ("31", "explanations", _says("Patch similarity and tip localisation, where drawn.")),
        ("32", "test on own data", _SCORES),
        ("33", "test on data from elsewhere", _external),
        ("34", "trial registration", _blank),
        ("35", "numbers included and excluded", _FLOW),
        ("36", "patients in each partition", _TABLE),
        ("37", "performance and uncertainty", _SCORES),
        ("38", "diagnostic performance, its precision", _SCORES),
        ("39", "analysis of failures", _says("By label; the worst films and reports.")),
        ("40", "limitations", _blank),
        ("41", "meaning for practice", _blank),
        ("42", "protocol", _blank),
        ("43", "availability of software, model, data", _blank),
        ("44", "funding", _blank),
    ),
    "TRIPOD+AI": (
        ("1", "title", _blank),
        ("2", "abstract", _blank),
        ("3a", "healthcare context", _blank),
        ("3b", "target population and users", _blank),
        ("3c", "known inequalities", _blank),
        ("4", "objectives", _says("Claims stated beforehand: see Verdicts.")),
        ("5a", "sources of data, and how representative", _blank),
        ("5b", "dates", _TABLE),
        ("6a", "setting and centres", _blank),
        ("6b", "eligibility", _FLOW),
        ("6c", "treatments", _blank),
        ("7", "preparation of data", _PREPARED),
        ("8a", "outcome", _outcome),
        ("8b", "assessors of the outcome", _blank),
        ("8c", "blinding of the outcome", _blank),
        ("9a", "choice of predictors", _says("Whole images.")),
        ("9b", "definition of predictors", _PREPARED),
        ("9c", "assessors of predictors", _says("None: images are read by encoders.")),
        ("10", "sample size", _blank),
        ("11", "missing data", _MISSING),
        ("12a", "use of data for development and evaluation", _partition),
        ("12b", "handling of predictors", _PREPARED),
        ("12c", "type of model, building, tuning", _model),
        ("12d", "differences between clusters", _subgroups),
        ("12e", "measures of performance", _metrics),
        ("12f", "updating of the model", _start),
        ("12g", "calculation of predictions", _says("Heads on frozen encoders: see Settings.")),
        ("13", "class imbalance", _says("No resampling of cases: see Table 1 for prevalence.")),
        ("14", "fairness", _subgroups),
        ("15", "output of the model", _blank),
        ("16", "development against evaluation data", _TABLE),
        ("17", "ethical approval", _blank),
        ("18a", "funding", _blank),
        ("18b", "conflicts of interest", _blank),
        ("18c", "protocol", _blank),
        ("18d", "registration", _blank),
        ("18e", "sharing of data", _blank),
        ("18f", "sharing of code", _blank),
        ("19", "involvement of patients and public", _blank),
        ("20a", "flow of participants", _FLOW),
        ("20b", "characteristics", _TABLE),
        ("20c", "development and evaluation compared", _TABLE),
        ("21", "participants and events of each analysis", _says("See Table 1 and Scores.")),
        ("22", "specification of the model", _says("Encoders and cards: the study’s results.")),
        ("23a", "performance with intervals", _SCORES),
        ("23b", "performance by cluster", _subgroups),
        ("24", "results of updating", _says("See Verdicts: gain over the open weights.")),
        ("25", "interpretation", _blank),
        ("26", "limitations", _blank),
        ("27a", "poor or missing input in use", _blank),
        ("27b", "what users must do and know", _blank),
        ("27c", "next steps", _blank),
    ),
}  # fmt: skip
"""Items of each checklist: number, subject, and what the study says about it."""
