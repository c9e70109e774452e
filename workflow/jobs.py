"""The rules of the workflow: the stage of each rule's jobs, and their costs."""

from collections.abc import Mapping
from inspect import signature
from pathlib import Path
from typing import Any

from radscale_lib.planning import stages
from radscale_lib.planning.costs import Costs
from radscale_lib.study.model import Run, Study

TRAINING = "pretrain_arm"
"""The rule of arms without intermediate encoders; the names of other training rules begin with
it."""
STAGES = {
    "make_phantom": "phantom",
    "ingest_partition": "ingest",
    "read_labels": "labels",
    "join_labels": "joined_labels",
    "sample_labels": "audit_sample",
    "score_labels": "audit",
    "draw_subset": "subset",
    "describe_subsets": "subset_card",
    "import_weights": "weights",
    "make_floor": "floor",
    "pretrain_base": "pretrain",
    TRAINING: "pretrain",
    "interpolate_arm": "interpolate",
    "evaluate_run": "evaluate",
    "score_run": "score",
    "gather_scores": "gather",
    "compare_encoders": "compare",
    "fit_scaling": "fit",
    "gather_elsewhere": "gather_elsewhere",
    "compare_elsewhere": "compare_elsewhere",
    "fit_elsewhere": "fit_elsewhere",
    "draw_similarity": "similarity",
    "choose_examples": "examples",
    "draw_figures": "figures",
    "write_report": "report",
    "export_encoder": "export",
}
"""Stage of each rule."""
BY_ARCHIVE = {
    "scan": "scan",
    "tables": "tables",
    "catalog": "catalog",
    "index_shards": "ranges",
}
"""Stage of the rules that exist once per archive, by the part of the name before the archive's."""


def training_rules(study: Study) -> dict[str, list[str]]:
    """The arms that each rule trains: those with intermediate encoders at the same shares."""
    rules: dict[str, list[str]] = {}
    for name, arm in study.trained_arms.items():
        shares = "_".join(f"{100 * share:g}".replace(".", "p") for share in arm.kept)
        rules.setdefault(f"{TRAINING}_keeping_{shares}" if shares else TRAINING, []).append(name)
    return rules


def stage_of(rule: str) -> str:
    """The stage of a rule's jobs.

    Raises:
        KeyError: if the rule has none, like the target `all`.
    """
    if rule in STAGES:
        return STAGES[rule]
    families = BY_ARCHIVE | {TRAINING: STAGES[TRAINING]}
    for name, stage in families.items():
        if rule.startswith(f"{name}_"):
            return stage
    raise KeyError(rule)


def makes_encoder(rule: str) -> bool:
    """Whether the jobs of a rule make encoders."""
    try:
        return stage_of(rule) in ("pretrain", "interpolate", "weights", "floor")
    except KeyError:
        return False


def names_of(rule: str, wildcards: Mapping[str, str]) -> dict[str, str]:
    """The `archive`, `arm` or `source`, if any, on which a job's slice of the study depends."""
    wanted = signature(stages.STAGES[stage_of(rule)].reads).parameters
    names = {"archive": rule.rpartition("_")[2], **wildcards}  # or of a rule for one archive
    return {name: names[name] for name in wanted if name != "study"}


def run_of(wildcards: Mapping[str, str]) -> Run:
    """The run of a job with these wildcards; a base has neither size nor seed."""
    return Run(wildcards["arm"], int(wildcards.get("size", 0)), int(wildcards.get("seed", 0)))


def following(dag: Any) -> dict[int, list[tuple[int, str]]]:
    """Number and rule of the jobs that wait for each job that Snakemake is to run."""
    to_run = {job: dag.jobid(job) for job in dag.needrun_jobs()}
    return {
        number: [
            (to_run[after], after.rule.name) for after in dag.depending[job] if after in to_run
        ]
        for job, number in to_run.items()
    }


def expected_seconds(study: Study) -> dict[str, float]:
    """Seconds of a typical job of each long-running rule of the study."""
    archive = {"archive": "institution", "part": "0"}
    first = next(iter(study.arms or study.evaluated_only))
    arm = {"arm": first, "size": str(study.subsets.sizes[0]), "seed": "0"}
    typical: dict[str, list[dict[str, str]]] = {
        "make_phantom": [archive],
        "ingest_partition": [archive],
        "pretrain_base": [{"arm": name} for name in study.bases],
        **{
            rule: [{**arm, "arm": name} for name in names]
            for rule, names in training_rules(study).items()
        },
        "evaluate_run": [arm],
        "score_run": [arm],
        "fit_scaling": [{}],
        "fit_elsewhere": [{"archive": name} for name in study.test_archives],
        "draw_figures": [{}],
    }
    costs = Costs(study)

    def seconds(rule: str, names: dict[str, str]) -> float:
        benchmark = Path(rule, "typical.tsv") if names else Path(f"{rule}.tsv")
        path = study.folder / "benchmarks" / benchmark
        return costs.of(stage_of(rule), names, benchmark=path).seconds

    return {
        rule: sum(seconds(rule, names) for names in jobs) / len(jobs)
        for rule, jobs in typical.items()
        if jobs
    }
