"""One scores table of the whole study."""

import sys
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from radscale_lib.files import atomic_write
from radscale_lib.provenance.step import InputError
from radscale_lib.study.model import Study
from radscale_lib.tasks.checkpoints import separated, validation_scores
from radscale_lib.tasks.draws import FILE, apart, read_scores
from radscale_lib.tasks.scores import ORDER, SCHEMA
from radscale_lib.tasks.scoring import RUN

TOGETHER = ("subgroups", "reliability")
"""Tables of tasks and runs that are gathered into one per study."""


class MissingScoresError(InputError):
    """A strict study lacks the scores of a run."""


def gather(
    study: Study,
    paths: Sequence[Path],
    out: Path,
    checkpoints: Path | None = None,
    predictions: Sequence[Path] = (),
) -> None:
    """Write the rows of all tasks and runs as one sorted table, and their draws beside it.

    Tables of subgroups and of reliability beside the scores are gathered too.

    Runs of the study without scores are named on standard error.

    Args:
        study: the study, or its view from a test archive.
        paths: `scores.parquet` of tasks and runs; an empty table is a failed run.
        out: the table to write, without intermediate encoders.
        checkpoints: the table to write with these, and with the completed runs of their arms.
        predictions: predictions of the task by which checkpoints are chosen.

    Raises:
        MissingScoresError: if the study is strict and scores are missing.
    """
    tables = [
        read_scores(path).match_to_schema(
            SCHEMA, missing_columns=dict.fromkeys(("images", "head", "note", "choice"), "insert")
        )
        for path in paths
    ]
    first = {name: task.head_names[0] for name, task in study.evaluation.tasks.items()}
    scores = (
        pl.concat([SCHEMA.to_frame(), *tables])
        .with_columns(pl.col("head").fill_null(pl.col("task").replace_strict(first, default=None)))
        .sort(ORDER)
    )
    scored = set(scores.select("task", "arm", "size", "seed").unique().iter_rows())
    missing = [
        f"{task} of {run.path}"
        for task in study.evaluation.tasks
        for run in study.runs
        if (task, *run) not in scored
    ]
    expected = len(study.evaluation.tasks) * len(study.runs)
    if missing and study.strict:
        raise MissingScoresError(
            f"{len(missing)} of {expected} scores are missing: {', '.join(missing)}: run them "
            "again, or set strict to false"
        )
    whole, along = separated(study, scores, validation_scores(study, predictions))
    whole, draws = apart(whole)
    written = {out: whole, out.with_name(FILE): draws} | {checkpoints: along}
    written |= {out.with_name(f"{name}.parquet"): _together(paths, name) for name in TOGETHER}
    for path, table in written.items():
        if path is not None:
            with atomic_write(path) as partial:
                table.write_parquet(partial)
    for name in missing:
        print(f"no scores: {name}", file=sys.stderr)
    found = expected - len(missing)
    print(f"scores of {found} of {expected} tasks and runs", file=sys.stderr)


def _together(paths: Sequence[Path], name: str) -> pl.DataFrame:
    """Rows of a table beside each of the scores, in run order, without intermediate encoders."""
    beside = [path.with_name(f"{name}.parquet") for path in paths]
    found = [pl.read_parquet(path) for path in beside if path.exists()]
    # Without rows, a table has only the columns of a run, whatever others it would have.
    table = pl.concat([t for t in found if len(t)] or found[:1] or [RUN.to_frame()])
    runs = ["arm", "size", "seed", "task"]
    return table.filter(~pl.col("arm").str.contains("@")).sort(runs, maintain_order=True)
