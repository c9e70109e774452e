"""The plan: which jobs would run, why, and what they cost, without running any."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from radscale_lib.planning.costs import Cost, Costs
from radscale_lib.planning.disk import disk, peak_bytes, size_text
from radscale_lib.planning.memory import step_bytes, too_large
from radscale_lib.planning.scale import grid_bytes, shard_bytes
from radscale_lib.planning.stages.labels import asked
from radscale_lib.study.model import Study
from workflow.jobs import stage_of
from workflow.progress import duration
from workflow.site import Site

_CHANGED = re.compile("Params have changed since last execution: (.*)")
_FOLLOWS = "updated by another job"


class OverBudgetError(RuntimeError):
    """The plan is above the study's budget."""


@dataclass(frozen=True)
class Job:
    """One job that Snakemake would run."""

    rule: str
    wildcards: Mapping[str, str]
    reason: str
    cost: Cost
    number: int = 0
    after: tuple[int, ...] = ()
    inputs: tuple[Path, ...] = ()
    outputs: tuple[Path, ...] = ()
    command: str = ""


@dataclass
class Row:
    """All jobs of one rule."""

    rule: str
    jobs: int = 0
    gpu_hours: float = 0.0
    core_hours: float = 0.0
    seconds: float = 0.0
    longest: float = 0.0
    sources: set[str] = field(default_factory=set)
    reasons: dict[str, int] = field(default_factory=dict)


def read_jobs(study: Study, listed: Iterable[Mapping[str, Any]]) -> list[Job]:
    """The jobs that Snakemake would run, with their costs.

    Args:
        study: the study.
        listed: as returned by `dag.listed`.
    """
    costs, jobs, rules = Costs(study), [], dict[int, str]()
    for values in listed:
        wildcards = {key: str(value) for key, value in values["wildcards"].items()}
        rules[values["number"]] = values["rule"]
        jobs.append(
            Job(
                values["rule"],
                wildcards,
                explain(values["reason"], (rules[number] for number in values["causes"])),
                costs.of(
                    stage_of(values["rule"]),
                    wildcards,
                    values["threads"],
                    values["gpus"],
                    Path(values["benchmark"]),
                ),
                values["number"],
                tuple(values["after"]),
                tuple(map(Path, values["inputs"])),
                tuple(map(Path, values["outputs"])),
                values["command"],
            )
        )
    return jobs


def explain(reason: str, makers: Iterable[str] = ()) -> str:
    """Snakemake's reason in plain words.

    Args:
        reason: Snakemake's.
        makers: rules of the planned jobs for which it waits.
    """
    names = ", ".join(dict.fromkeys(makers))
    if "Missing output" in reason:
        return "not made yet"
    if _FOLLOWS in reason and names:
        return f"follows from {names}"
    if "forced" in reason:
        return "forced"
    if changed := _CHANGED.search(reason):  # also of a job tied to another by an ancient input
        return changed[1]
    if _FOLLOWS in reason:
        return "follows from another job"
    return reason.strip() or "needed"


def rows(jobs: Iterable[Job]) -> list[Row]:
    """Jobs summed by rule, in the order of the workflow."""
    table: dict[str, Row] = {}
    for job in jobs:
        row = table.setdefault(job.rule, Row(job.rule))
        row.jobs += 1
        row.gpu_hours += job.cost.gpu_hours
        row.core_hours += job.cost.core_hours
        row.seconds += job.cost.seconds
        row.longest = max(row.longest, job.cost.seconds)
        row.sources.add(job.cost.source)
        row.reasons[job.reason] = row.reasons.get(job.reason, 0) + 1
    return list(table.values())


def critical_path_seconds(jobs: Iterable[Job]) -> float:
    """Lower bound on wall time: seconds of the longest chain of jobs that wait for each other."""
    ends: dict[int, float] = {}
    for job in jobs:  # each job comes after those it waits for
        begin = max((ends.get(number, 0.0) for number in job.after), default=0.0)
        ends[job.number] = begin + job.cost.seconds
    return max(ends.values(), default=0.0)


def max_wall_seconds(jobs: Iterable[Job], at_once: int) -> float:
    """Upper bound on wall time for any schedule of `at_once` jobs (queueing excluded).

    R. L. Graham, "Bounds on multiprocessing timing anomalies", 1969: work / N + chain (1 - 1 / N).
    """
    jobs = list(jobs)
    work = sum(job.cost.seconds for job in jobs)
    return work / at_once + critical_path_seconds(jobs) * (1 - 1 / at_once)


def render(study: Study, jobs: list[Job], site: Site, at_once: int = 1) -> str:
    """The plan as a table for the terminal.

    Args:
        study: the study.
        jobs: what would run.
        site: the cluster, for chained jobs and node-local copies.
        at_once: number of concurrent jobs.
    """
    if not jobs:
        return "Nothing to do: every result is current."
    table = rows(jobs)
    head = f"{'rule':<26}{'jobs':>6}{'GPU-h':>10}{'core-h':>10}{'longest':>10}  {'from':<10}why"
    lines = [f"Plan of study {study.name!r}", head, "-" * len(head)]
    for row in table:
        reasons = [
            f"{text}" + (f" ({count})" if len(row.reasons) > 1 else "")
            for text, count in sorted(row.reasons.items(), key=lambda item: -item[1])
        ]
        more = f"; and {len(reasons) - 3} more reasons" if len(reasons) > 3 else ""
        lines.append(
            f"{row.rule:<26}{row.jobs:>6}{row.gpu_hours:>10.3g}{row.core_hours:>10.3g}"
            f"{duration(row.longest):>10}  {'+'.join(sorted(row.sources)):<10}"
            + "; ".join(reasons[:3])
            + more
        )
    total = totals(study, jobs, at_once)
    lines += [
        "-" * len(head),
        f"{'total':<26}{len(jobs):>6}{total['gpu_hours']:>10.3g}{total['core_hours']:>10.3g}"
        f"{duration(total['longest_seconds']):>10}",
        "",
        f"time without queues: at least {duration(total['at_least_seconds'])}, "
        f"at most {duration(total['at_most_seconds'])} with {at_once} jobs at once",
        *_chains(table, site),
        f"{'disk':<18}{'whole':>10}{'there':>10}{'left':>10}",
    ]
    for name, (whole, there) in disk(study).items():
        left = max(whole - there, 0)
        lines.append(f"{name:<18}{size_text(whole):>10}{size_text(there):>10}{size_text(left):>10}")
    lines.append(f"{'peak':<18}{size_text(total['disk_gb'] * 1e9):>10}")
    trained = study.trained_arms | study.bases if study.compute.device == "cuda" else {}
    needs = {arm: step_bytes(study, arm) for arm in trained}
    known = ", ".join(f"{arm} {size_text(size)}" for arm, size in needs.items() if size is not None)
    if known:
        lines.append(f"memory of a GPU in training, about: {known}")
    for arm, problem in too_large(study, site.gpu_gb).items():
        lines.append(f"WARNING: {arm}: {problem}")
    if maps := _feature_maps(study):
        lines.append(f"of the peak, in TMPDIR while a run is evaluated: {size_text(maps)}")
    if any(job.rule == "read_labels" and job.wildcards["source"] == "endpoint" for job in jobs):
        lines.append(f"endpoint of labels: {asked(study).told()}")
    if site.scratch:
        size = size_text(shard_bytes(study))
        lines.append(f"on each node that trains, in {site.scratch}: {size}")
    return "\n".join(lines)


def chained(row: Row, site: Site) -> int:
    """Number of chained jobs that a rule's longest job needs under the site's time limit."""
    return math.ceil(row.longest / max(60 * site.walltime_minutes - site.warning_seconds, 60))


def _chains(table: list[Row], site: Site) -> list[str]:
    return [
        f"{row.rule}: chains of up to {chained(row, site)} jobs of {site.walltime_minutes} min"
        for row in table
        if stage_of(row.rule) == "pretrain" and chained(row, site) > 1
    ]


def totals(study: Study, jobs: Iterable[Job], at_once: int = 1) -> dict[str, float]:
    """Sums over the jobs, bounds of the wall time, and the disk need of the whole study."""
    jobs = list(jobs)
    return {
        "jobs": len(jobs),
        "gpu_hours": sum(job.cost.gpu_hours for job in jobs),
        "core_hours": sum(job.cost.core_hours for job in jobs),
        "longest_seconds": max((job.cost.seconds for job in jobs), default=0.0),
        "at_least_seconds": critical_path_seconds(jobs),
        "at_most_seconds": max_wall_seconds(jobs, at_once),
        "disk_gb": peak_bytes(study, at_once) / 1e9,
    }


def as_json(study: Study, jobs: list[Job], site: Site, at_once: int = 1) -> dict[str, Any]:
    """The plan as plain values; arguments as for `render`."""
    table = [
        {**vars(row), "sources": sorted(row.sources), "chained": chained(row, site)}
        for row in rows(jobs)
    ]
    listed = [
        {"rule": job.rule, "wildcards": dict(job.wildcards), "reason": job.reason}
        | {"number": job.number, "after": list(job.after)}
        | asdict(job.cost)
        for job in jobs
    ]
    room = {name: {"whole": whole, "there": there} for name, (whole, there) in disk(study).items()}
    return {
        "study": study.name,
        "rules": table,
        "jobs": listed,
        "totals": totals(study, jobs, at_once),
        "disk_bytes": room,
        "too_large": too_large(study, site.gpu_gb),
        "feature_map_bytes_per_job": _feature_maps(study),
        "endpoint": asdict(asked(study)) if "endpoint" in study.labels.readers else None,
        "scratch_bytes_per_node": shard_bytes(study) if site.scratch else 0,
    }


def over_budget(study: Study, jobs: Iterable[Job], at_once: int = 1) -> str | None:
    """The parts of the plan that exceed the study's budget.

    Returns:
        Each exceeded limit, by how much, and the key to change; None if there is none.
    """
    sums = totals(study, jobs, at_once)
    over = [
        f"{name.replace('_', ' ')} {sums[name]:.3g} above compute.budget.{name} {limit:g}"
        for name, limit in study.compute.budget.model_dump().items()
        if limit is not None and sums[name] > limit
    ]
    if not over:
        return None
    return (
        f"the plan is above the study's budget: {'; '.join(over)}. Raise the budget, or lower "
        "subsets.sizes, seeds or samples"
    )


def _feature_maps(study: Study) -> float:
    """Bytes of the largest temporary file of any run."""
    return max(grid_bytes(study, run.arm) for run in study.runs)
