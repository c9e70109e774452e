"""Choose the films whose masks are kept for the report, the same for all runs, and those shown."""

from collections.abc import Sequence
from typing import NamedTuple

import polars as pl

from radscale_lib.metrics.dice import METRIC as DICE
from radscale_lib.pseudonyms import unit_interval
from radscale_lib.study.model import Study
from radscale_lib.study.tasks.segmentation import Segmentation
from radscale_lib.tasks.mask_scoring import statistics

KEPT = 48
"""Number of test films with a tube, the first by keyed hash."""


class Shown(NamedTuple):
    """Ids of the films that are shown."""

    best: str
    median: str
    worst: str


def kept(study: Study, name: str, table: pl.DataFrame) -> pl.DataFrame:
    """Masks of the kept films, from the first seed of each decoder.

    Args:
        study: the study.
        name: the task's name.
        table: the task's predictions.

    Returns:
        head, image_id, rows, columns, dice (of all pixels of the film's tubes together), and
        `true:<tube>`, `predicted:<tube>` as in the predictions; sorted by head and image.
    """
    task = study.evaluation.tasks[name]
    assert isinstance(task, Segmentation)
    tubes = study.labels.tubes
    shown = pl.any_horizontal(pl.col(f"true:{tube}").is_not_null() for tube in tubes)
    table = table.filter(shown, decoder_seed=0)
    images = sorted(set(table["image_id"]), key=_order)[:KEPT]
    table = table.filter(pl.col("image_id").is_in(images)).sort("head", "image_id")
    dice = DICE.of(statistics(task, tubes, table)[DICE.name].sum(axis=1))
    masks = [f"{kind}:{tube}" for tube in tubes for kind in ("true", "predicted")]
    return table.select("head", "image_id", "rows", "columns", pl.Series("dice", dice), *masks)


def shown(tables: Sequence[pl.DataFrame], head: str, by: str = "dice") -> Shown | None:
    """The best, median and worst image by a mean over runs, among those kept by all.

    So the same images are shown for every run. Ties are in the order of their keyed hash; of two in
    the middle, the worse is the median.

    Args:
        tables: what was kept for each run (`kept`, or generated reports); runs without predictions
            are left out.
        head: the decoder.
        by: column to average; more is better.
    """
    of_head = [table.filter(head=head).select("image_id", by) for table in tables]
    of_head = [table for table in of_head if len(table)]
    if not of_head:
        return None
    means = (
        pl.concat(of_head)
        .group_by("image_id")
        .agg(pl.col(by).mean(), pl.len())
        .filter(pl.col("len") == len(of_head))
    )
    ranked = sorted((mean, _order(image)) for image, mean, _ in means.iter_rows())
    if not ranked:
        return None
    ids = [image for _, (_, image) in ranked]
    return Shown(ids[-1], ids[(len(ids) - 1) // 2], ids[0])


def _order(image: str) -> tuple[float, str]:
    return unit_interval(image, "masks shown"), image
