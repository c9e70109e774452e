"""Score a run's predictions, without its encoder and without torch."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from radscale_lib.files import atomic_write
from radscale_lib.metrics import metrics
from radscale_lib.shards.labels import targets
from radscale_lib.study.model import Run, Study
from radscale_lib.tasks import draws as drawn
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.predictions import HEAD, Predicted
from radscale_lib.tasks.runs import scored_files
from radscale_lib.tasks.scorable import Scorable
from radscale_lib.tasks.scores import MACRO, SCHEMA, Score, failed, score_table
from radscale_lib.tasks.subgroups import SCHEMA as SUBGROUPS
from radscale_lib.tasks.subgroups import Grouping, groupings, shortcut, subgroup_scores

RUN = pl.Schema(
    {
        "arm": pl.String(),
        "encoder": pl.String(),
        "size": pl.Int64(),
        "images": pl.Int64(),
        "seed": pl.Int64(),
        "task": pl.String(),
        "head": pl.String(),
    }
)
"""Columns that name the run and head of a row."""


def score_run(
    study: Study,
    run: Run,
    encoder: str,
    tables: Mapping[str, Path],
    catalog: Path | None = None,
    file: Path | None = None,
) -> pl.DataFrame:
    """Write scores, draws and subgroup scores beside the predictions of each task.

    A head without predictions has no scores, and is named on standard error with the reason.

    Args:
        study: the study.
        run: of the study or from elsewhere.
        encoder: name of its encoder.
        tables: `predictions.parquet` of each task, by name.
        catalog: catalog of the predicted images, whose columns define subgroups; None: no
            subgroups.
        file: file of the encoder that must have made the predictions; None: any.

    Returns:
        The scores of all tasks, with their draws.

    Raises:
        InputError: if predictions are of another encoder.
    """
    scored = []
    for name, path in tables.items():
        predicted = Predicted.read(path)
        if file is not None:
            predicted.require(path, file)
        one = _Scoring(study, run, encoder, name, predicted, _images(study, catalog))
        results = one.tables()
        scored.append(results["scores"])
        results["scores"], results["draws"] = drawn.apart(results["scores"])
        for written in scored_files(study, name):
            with atomic_write(path.with_name(written)) as partial:
                results[Path(written).stem].write_parquet(partial)
    return pl.concat([SCHEMA.to_frame(), *scored])


def _images(study: Study, catalog: Path | None) -> pl.DataFrame:
    """The columns of the catalog that define subgroups."""
    if catalog is None:
        return pl.DataFrame(schema={"image_id": pl.String()})
    protocol = study.evaluation
    tubes = [f"tube:{tube}" for tube in study.shortcuts.values()]
    wanted = {"image_id", "labelled", *protocol.subgroups, *tubes}
    known = pl.read_parquet_schema(catalog)
    return pl.read_parquet(catalog, columns=[name for name in known if name in wanted])


class _Scoring:
    """The scoring of one task."""

    def __init__(
        self,
        study: Study,
        run: Run,
        encoder: str,
        name: str,
        predicted: Predicted,
        catalog: pl.DataFrame,
    ) -> None:
        self.study, self.run, self.encoder, self.name = study, run, encoder, name
        self.predicted, self.catalog = predicted, catalog
        self.task = study.evaluation.tasks[name]
        self.module = import_module(self.task.scoring)

    def tables(self) -> dict[str, pl.DataFrame]:
        """Every table by its name."""
        faults, scores = dict(self.predicted.faults), list[Score]()
        groups, more = list[pl.DataFrame](), dict[str, list[pl.DataFrame]]()
        heads = self.predicted.table.partition_by(HEAD, as_dict=True, maintain_order=True)
        for (head,), table in heads.items():
            note = self.predicted.notes.get(head)
            try:
                of_head, of_groups = self._scores(table, note)
                others = self._others(table, note)
            except NotFiniteError as error:
                faults[head] = str(error)
                continue
            choice = self.predicted.choices.get(head)
            scores += [replace(score, head=head, choice=choice) for score in of_head]
            groups += [self._named(head, part) for part in of_groups]
            for kind, part in others.items():
                more.setdefault(kind, []).append(self._named(head, part))
        for name, fault in faults.items():
            print(f"{self._what(name)}: {fault}: no scores", file=sys.stderr)
        if scores:  # Without any, the run has no scores of the task and is reported as missing.
            scores += self._failed(faults)
        study, images = self.study, self.predicted.images
        confidence = study.evaluation.confidence
        table = score_table(scores, self.run, self.encoder, self.name, confidence, images)
        self._tell(table)
        subgroups = pl.concat([_subgroups().to_frame(), *groups])
        return {
            "scores": table,
            "subgroups": subgroups.with_columns(confidence=pl.lit(confidence)),
            **{kind: pl.concat(parts) for kind, parts in more.items()},
            **{kind: RUN.to_frame() for kind in self.task.tables if kind not in more},
        }

    def _failed(self, faults: Mapping[str, str]) -> Iterator[Score]:
        """Rows of the heads that failed, including their label shares."""
        names = list(metrics(self.task.kind))
        for part, fault in faults.items():
            section = self.task.head(part) if part in self.task.parts else None
            for head in section.names(part) if section else (part,):
                of_head = failed(names, self.study.evaluation.resamples, fault)
                yield from (replace(score, head=head) for score in of_head)

    def _scores(
        self, table: pl.DataFrame, note: str | None
    ) -> tuple[list[Score], list[pl.DataFrame]]:
        """Scores of all test images and of subgroups."""
        study = self.study
        if not hasattr(self.module, "prepare"):
            return self.module.score(study, self.name, table, note), []
        prepared: Scorable = self.module.prepare(study, self.name, table, note)
        draws = prepared.draws(study.evaluation)
        scores = prepared.scores(draws)
        if note is not None:
            return scores, []
        smallest = study.smallest_cell("institution")
        return scores, [
            subgroup_scores(grouping, prepared.score, draws, study.evaluation.confidence, smallest)
            for grouping in self._groupings(prepared.images, table, smallest)
        ]

    def _groupings(
        self, images: pl.DataFrame, table: pl.DataFrame, smallest: int
    ) -> Iterator[Grouping]:
        known = images.join(self.catalog, on="image_id", how="left", maintain_order="left")
        yield from groupings(known, self.study.evaluation.subgroups, smallest)
        scored = self.task.targets(self.study.labels)
        for finding, tube in self.study.shortcuts.items():
            column = f"target:{finding}"
            if tube not in self.study.labels.tubes:
                continue  # not annotated in this archive
            if finding in scored and column in table.columns and f"tube:{tube}" in known.columns:
                placed = targets(known, [f"tube:{tube}"], self.study.labels)[:, 0]
                rows = images.join(
                    table.select("image_id", column), on="image_id", maintain_order="left"
                )
                found = rows[column].cast(pl.Float64).fill_null(np.nan).to_numpy()
                yield shortcut(finding, tube, found, placed)

    def _others(self, table: pl.DataFrame, note: str | None) -> dict[str, pl.DataFrame]:
        if not self.task.tables:
            return {}
        tables: dict[str, pl.DataFrame] = self.module.tables(self.study, self.name, table, note)
        return tables

    def _named(self, head: str, table: pl.DataFrame) -> pl.DataFrame:
        """Add the columns that name the run and head of the rows."""
        names: dict[str, Any] = {
            "arm": self.run.arm,
            "encoder": self.encoder,
            "size": self.run.size,
            "images": self.predicted.images,
            "seed": self.run.seed,
            "task": self.name,
            "head": head,
        }
        literals = [pl.lit(names[name], kind).alias(name) for name, kind in RUN.items()]
        return table.select(*literals, pl.all())

    def _what(self, head: str) -> str:
        return f"{self.run.path} {self.name} ({head})"

    def _tell(self, table: pl.DataFrame) -> None:
        """Print mean scores on standard error."""
        for row in table.filter(pl.col("target") == MACRO).iter_rows(named=True):
            figures = ", ".join(
                f"{key} {row[key]:.3f}"
                for key in ("value", "lower", "upper")
                if row[key] is not None
            )
            what = f"{self._what(row['head'])}: {row['metric']}"
            print(f"{what} {figures or row['note'] or 'undefined'}", file=sys.stderr)


def _subgroups() -> pl.Schema:
    """Columns of the subgroups table, except the level of its intervals."""
    return pl.Schema({**RUN, **SUBGROUPS})
