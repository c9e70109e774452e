"""Snakemake's DAG as plain values: the jobs it would run."""

from typing import Any

from workflow import provenance


def listed(dag: Any) -> list[dict[str, Any]]:
    """The jobs that Snakemake would run, as plain values, each after those it waits for.

    Targets such as `all` do nothing and are left out.

    Args:
        dag: Snakemake's, built.
    """
    rules = {rule.name: place for place, rule in enumerate(dag.workflow.rules)}

    def place(job: Any) -> tuple[int, int]:
        return rules[job.rule.name], dag.jobid(job)

    layers = dag.toposorted(set(dag.needrun_jobs()))
    order = [job for layer in layers for job in sorted(layer, key=place) if job.benchmark]
    numbers = {job: number for number, job in enumerate(order, 1)}
    return [_values(dag, job, numbers) for job in order]


def _values(dag: Any, job: Any, numbers: dict[Any, int]) -> dict[str, Any]:
    reason = dag.reason(job)
    makers = {maker: files for maker, files in dag.dependencies[job].items() if maker in numbers}
    causes = [
        maker
        for maker, files in makers.items()
        if any(file in reason.updated_input_run and not file.is_ancient for file in files)
    ]
    freed = bool(reason.missing_output) and dag.workflow.persistence.decisions.freed(job)
    return {
        "number": numbers[job],
        "after": sorted(numbers[maker] for maker in makers),
        "causes": sorted(numbers[maker] for maker in causes),
        "rule": job.rule.name,
        "wildcards": dict(job.wildcards_dict),
        "reason": "freed, and needed again" if freed else str(reason),
        "threads": job.threads,
        "gpus": int(job.resources.get("gpu", 0) or 0),
        "benchmark": str(job.benchmark),
        "inputs": list(map(str, job.input)),
        "outputs": list(map(str, job.output)),
        "command": provenance.COMMANDS.get(job.rule.name, ""),
    }
