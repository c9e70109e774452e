"""Single test images to show: films with masks, and generated reports."""

from collections.abc import Sequence

import cv2
import polars as pl

from radscale_lib.report.schema import FILMS_SCHEMA, TEXTS_SCHEMA
from radscale_lib.shards.reader import ShardReader
from radscale_lib.study import Study
from radscale_lib.study.tasks.generation import Generation
from radscale_lib.tasks.examples import shown


def films(
    study: Study,
    task: str,
    tables: Sequence[pl.DataFrame],
    catalog: pl.DataFrame,
    reader: ShardReader,
) -> pl.DataFrame:
    """The best, median and worst film by mean Dice over runs, with the masks of each run.

    Args:
        study: the study.
        task: a segmentation task.
        tables: `masks.parquet` of the runs; those of failed runs are left out.
        catalog: the catalog of the shards.
        reader: reads the shards.

    Returns:
        Rows of `FILMS_SCHEMA`: for each film a row with its pixels (`arm` null), then a row for
        each run and tube. No rows if no run has masks.
    """
    head = study.head_of(task)
    tables = _of_head(tables, head)
    chosen = shown(tables, head)
    rows: list[dict[str, object]] = []
    for rank, image in chosen._asdict().items() if chosen else ():
        of = [table.filter(image_id=image).row(0, named=True) for table in tables]
        shape = (of[0]["rows"], of[0]["columns"])
        shared = {"task": task, "rank": rank, "rows": shape[0], "columns": shape[1]}
        place = catalog.filter(image_id=image).row(0, named=True)
        (stored,) = reader.images([place["shard"]], [place["row"]])
        picture = cv2.resize(stored, shape[::-1], interpolation=cv2.INTER_AREA)
        rows.append(shared | {"image": picture.ravel().tolist()})
        for row in of:
            for tube in study.labels.tubes:
                masks = {"true": row[f"true:{tube}"], "predicted": row[f"predicted:{tube}"]}
                run = {name: row[name] for name in ("arm", "size", "dice")}
                rows.append(shared | run | {"tube": tube} | masks)
    return pl.DataFrame(rows, schema=FILMS_SCHEMA)


def texts(study: Study, task: str, tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """The best, median and worst report by mean ROUGE-L over runs, as each run wrote it.

    Labels are those that the rules find affirmed in the reference, the generated report
    or both; none in a language without phrases.

    Args:
        study: the study.
        task: a generation task.
        tables: `examples.parquet` of the runs; those of failed runs are left out.

    Returns:
        Rows of `TEXTS_SCHEMA`. No rows if no run has reports.
    """
    from radscale_lib.labels.rules import RuleReader
    from radscale_lib.labels.states import PRESENT
    from radscale_lib.tasks.lexical import states
    from radscale_lib.tasks.report_scoring import Reports

    section = study.evaluation.tasks[task]
    assert isinstance(section, Generation)
    tables = _of_head(tables, study.head_of(task))
    chosen = shown(tables, study.head_of(task), "rouge_l")
    found = [
        table.filter(image_id=image).row(0, named=True) | {"task": task, "rank": rank}
        for rank, image in (chosen._asdict().items() if chosen else ())
        for table in tables
    ]
    language = study.institution.language
    names = Reports([], [], study.labels, section.phrases, language).names
    said, wanted = (
        [
            {name for name, state in zip(names, of_text, strict=True) if state == PRESENT}
            for of_text in states(
                RuleReader(names, section.phrases, language), [row[column] for row in found]
            )
        ]
        if names
        else [set[str]()] * len(found)
        for column in ("generated", "reference")
    )
    rows = [
        {name: row[name] for name in TEXTS_SCHEMA if name in row}
        | {
            "both": [name for name in names if name in ours & theirs],
            "missed": [name for name in names if name in theirs - ours],
            "invented": [name for name in names if name in ours - theirs],
        }
        for row, ours, theirs in zip(found, said, wanted, strict=True)
    ]
    return pl.DataFrame(rows, schema=TEXTS_SCHEMA)


def _of_head(tables: Sequence[pl.DataFrame], head: str) -> list[pl.DataFrame]:
    """Tables of the runs that have rows of a head."""
    known = [table.filter(head=head) for table in tables if "image_id" in table.columns]
    return [table for table in known if len(table)]
