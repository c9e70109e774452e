"""Scores of masks: of each tube, from both masks of each film, and their mean over tubes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.digests import text_number
from radscale_lib.metrics import metrics
from radscale_lib.metrics.base import MaskMetric
from radscale_lib.study.model import Study
from radscale_lib.study.tasks.segmentation import Segmentation
from radscale_lib.tasks.bootstrap import Floats, PatientDraws
from radscale_lib.tasks.confidence import share_family
from radscale_lib.tasks.masks import decode_mask
from radscale_lib.tasks.overlap import Masks
from radscale_lib.tasks.scorable import Scorable
from radscale_lib.tasks.scores import Score, macro, sampled_score


def prepare(study: Study, name: str, table: pl.DataFrame, note: str | None) -> Scorable:
    """Prepare a decoder's test images for scoring.

    Metrics add up their statistics over all test images, per tube; macro is the mean over tubes.
    The score of a decoder trained from several seeds is the mean over seeds, and its draws also
    include the standard error of that mean.

    Args:
        study: the study.
        name: the task's name.
        table: the decoder's predictions.
        note: always None: every encoder can have a decoder.
    """
    task = study.evaluation.tasks[name]
    assert isinstance(task, Segmentation)
    tubes = study.labels.tubes
    by_seed = [
        statistics(task, tubes, rows)
        for rows in table.partition_by("decoder_seed", maintain_order=True)
    ]
    computed = [
        (metric, np.stack([each[metric.name] for each in by_seed])) for metric in mask_metrics()
    ]

    def score(images: NDArray[np.intp], draws: PatientDraws) -> list[Score]:
        scores: list[Score] = []
        for metric, of_all in computed:
            of_seeds = of_all[:, images]
            values = metric.of(of_seeds.sum(axis=1))
            errors = seed_errors(values, len(draws))
            by_tube = [
                _score(metric, tube, of_seeds[:, :, index], draws, errors[:, index])
                for index, tube in enumerate(tubes)
            ]
            scores += [*by_tube, macro(by_tube, len(images))]
        return scores

    films = table.filter(decoder_seed=0)
    return Scorable(films.select("image_id", "patient_id"), score)


def tables(
    study: Study, name: str, table: pl.DataFrame, note: str | None
) -> dict[str, pl.DataFrame]:
    """`masks`: those of a fixed set of films, for the report."""
    from radscale_lib.tasks.examples import kept  # whose films are ranked by these statistics

    return {"masks": kept(study, name, table).drop("head")}


def mask_metrics() -> list[MaskMetric]:
    """The metrics of masks."""
    found = metrics("segmentation").values()
    return [metric for metric in found if isinstance(metric, MaskMetric)]


def statistics(
    task: Segmentation, tubes: Sequence[str], table: pl.DataFrame
) -> Mapping[str, NDArray[np.float64]]:
    """Statistics of each metric, by name: [N, K, C] of N films, K tubes and C numbers.

    Args:
        task: the task's settings.
        tubes: K names.
        table: predictions of a decoder and seed.
    """
    computed = mask_metrics()
    of_empty: dict[Any, list[Sequence[float]]] = {}  # most films do not show most tubes

    def of(pair: Masks) -> list[Sequence[float]]:
        if len(pair.tips) or pair.predicted.any() or pair.true.any():
            return [metric.statistics(pair) for metric in computed]
        key = pair.shape, pair.millimetres
        if key not in of_empty:
            of_empty[key] = [metric.statistics(pair) for metric in computed]
        return of_empty[key]

    films = [
        [of(_pair(task, row, tube, (row["rows"], row["columns"]))) for tube in tubes]
        for row in table.iter_rows(named=True)
    ]
    return {
        metric.name: np.array([[pair[place] for pair in film] for film in films], np.float64)
        for place, metric in enumerate(computed)
    }


def _pair(task: Segmentation, row: dict[str, Any], tube: str, shape: tuple[int, int]) -> Masks:
    predicted, true = (decode_mask(row[f"{kind}:{tube}"], shape) for kind in ("predicted", "true"))
    return Masks.of(predicted, true, task, row[f"tips:{tube}"], row["pixel_mm"])


def _score(
    metric: MaskMetric,
    tube: str,
    statistics: NDArray[np.float64],
    draws: PatientDraws,
    errors: Floats,
) -> Score:
    """The score of a tube, from the statistics [S, N, C] of S seeds and the draws' errors [B]."""
    values = metric.of(statistics.sum(axis=1))
    resamples = np.mean([metric.of(draws.sums(each)) for each in statistics], axis=0)
    # Which films count depends on the truth, the same for all seeds.
    counted = statistics[0][:, metric.counted] > 0
    score = sampled_score(
        tube,
        metric.name,
        float(values.mean()),
        (resamples + errors).clip(0, metric.most),
        len(counted),
        int(counted.sum()),
        len(np.unique(draws.patient[counted])),
        draws.sums(counted[:, None])[:, 0],
        metric.most,
    )
    if metric.share and score.families:
        family = share_family(score.value, int(counted.sum()), float(np.nanvar(score.order)))
        score = replace(score, families=(family,))
    return score


def seed_errors(values: Floats, draws: int) -> Floats:
    """Draws [B, K] of the error of K scores' means over S seeds; 0 for a single seed.

    Normal, with the standard errors of the means and the scores' correlation over seeds. Draws for
    other values, such as those of another encoder, are independent.

    Args:
        values: [S, K], the scores by seed.
        draws: number of draws.
    """
    seeds = len(values)
    if seeds == 1:
        return np.zeros((draws, values.shape[1]))
    random = np.random.default_rng(text_number(values.tobytes().hex()))
    apart = np.nan_to_num(values - values.mean(axis=0))
    errors: Floats = random.normal(size=(draws, seeds)) @ apart / np.sqrt(seeds * (seeds - 1))
    return errors
