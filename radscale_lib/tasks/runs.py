"""Runs and tasks of a study, and the names of their tables."""

from collections.abc import Collection, Iterable
from pathlib import Path

from radscale_lib.provenance.step import InputError
from radscale_lib.study.model import Run, Study

TABLE, SCORES = "predictions.parquet", "scores.parquet"
"""File of the predictions of a task and run."""
SCORED = ("scores", "draws", "subgroups")
"""Tables that the scoring of every task writes."""


def scored_files(study: Study, task: str) -> list[str]:
    """Names of the files that the scoring of a task writes beside its predictions."""
    return [f"{name}.parquet" for name in (*SCORED, *study.evaluation.tasks[task].tables)]


class UnknownRunError(InputError):
    """A run or task that the study does not have."""


def check_run(study: Study, run: Run, tasks: Iterable[str] = ()) -> None:
    """Check that the study has a run and tasks.

    Raises:
        UnknownRunError: naming the existing ones.
    """
    if run not in study.runs:
        known = ", ".join(sorted(each.path for each in study.runs))
        raise UnknownRunError(f"{run.path}: no run of study {study.name}: use one of {known}")
    for task in tasks:
        if task not in study.evaluation.tasks:
            known = ", ".join(study.evaluation.tasks)
            raise UnknownRunError(f"{task}: no task of study {study.name}: use one of {known}")


def tables_elsewhere(
    study: Study,
    run: Run,
    folder: Path | None,
    archives: Iterable[str],
    tasks: Collection[str],
    table: str,
) -> dict[str, dict[str, Path]]:
    """Tables of a run by test archive and task, for the tasks scored there.

    Args:
        study: the study.
        run: the run.
        folder: has a folder for each test archive; needed if there are archives.
        archives: names.
        tasks: names of the requested tasks.
        table: `TABLE` or `SCORES`.
    """
    return {
        archive: {
            task: (folder or Path()) / archive / "tasks" / task / run.path / table
            for task in study.tasks_at(archive)
            if task in tasks
        }
        for archive in archives
    }
