"""Targets that report on a study without running it: the output of `plan` and `status`."""

from typing import Any

from radscale_lib.study.model import Study
from radscale_lib.texts import plain
from workflow import plan, status
from workflow.dag import listed
from workflow.site import Site


def report(study: Study, site: Site, at_once: int, name: str, dag: Any) -> None:
    """Print a report, and keep it in the study's `logs/<name>.log`.

    Args:
        study: the study.
        site: the cluster.
        at_once: jobs that run at a time.
        name: `plan` or `status`.
        dag: Snakemake's DAG of the jobs that a run would have.

    Raises:
        OverBudgetError: if the plan is above the study's budget.
        OSError: if the log cannot be written.
    """
    jobs, above = plan.read_jobs(study, listed(dag)), None
    if name == "status":
        text = status.render(study, status.status(study, jobs))
    else:
        text, above = (
            plan.render(study, jobs, site, at_once),
            plan.over_budget(study, jobs, at_once),
        )
    print(plain(text), flush=True)
    log = study.folder / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(plain("\n".join(filter(None, [text, above]))) + "\n", encoding="utf-8")
    if above:
        raise plan.OverBudgetError(above)
