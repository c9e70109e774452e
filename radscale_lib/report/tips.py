"""Tip localisation: whether the patch most similar to tube tips is at the tip.

The query is the mean of the unit vectors at the tips of one kind of tube on training films. On each
test film the most similar patch is taken; the tip is found if that patch's centre lies within
`NEAR` of it (the pointing game: Zhang et al. 2018, doi:10.1007/s11263-017-1059-x, with a radius
instead of a box). Since tubes end in the same region of most films, the result is also given for a
guess that ignores the film: the mean position of the training tips.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import normalize

from radscale_lib.encoders.features import Tower
from radscale_lib.encoders.prepare import map_points
from radscale_lib.encoders.storage import read_encoder, tower_of
from radscale_lib.pseudonyms import unit_interval
from radscale_lib.report.schema import TIPS_SCHEMA
from radscale_lib.shards.reader import ShardReader
from radscale_lib.study import Study
from radscale_lib.study.encoders.library import UnknownFactError
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.confidence import Confidence, share_family

NEAR = 0.1
"""Maximum distance of a hit from the tip, as a share of the side of the square that encoders
see."""
LEARNT = 200
"""Maximum number of training tips per label in the mean, the first by keyed hash."""
ALL = "all"
"""Label of the rows for all tips."""


class Tip(NamedTuple):
    """A tube tip of one image of the catalog: `x`, `y` in pixels of the stored image."""

    image: str
    patient: str
    shard: str
    row: int
    height: int
    width: int
    label: str
    x: float
    y: float


def tips_of(study: Study, catalog: pl.DataFrame, split: str) -> Iterator[Tip]:
    """Tube tips of a split, each inside what every encoder sees of its image.

    A tip is the last point of a polyline, which runs from entry to tip; a tube drawn as an area has
    no known tip.
    """
    rows = catalog.filter((pl.col("split") == split) & pl.col("tubes").is_not_null())
    columns = ("image_id", "patient_id", "shard", "row", "height", "width", "tubes")
    for image, patient, shard, row, height, width, tubes in rows.select(columns).iter_rows():
        for tube in json.loads(tubes):
            if "points" in tube:
                x, y = tube["points"][-1]
                tip = Tip(image, patient, shard, row, height, width, tube["label"], x, y)
                if _visible(study, tip):
                    yield tip


def _visible(study: Study, tip: Tip) -> bool:
    places = []
    for encoder in study.encoders.values():
        try:
            places.append(map_points([(tip.x, tip.y)], tip.height, tip.width, encoder)[0])
        except UnknownFactError:  # a library's crop is not known here: use what all encoders see
            shorter = min(tip.height, tip.width)
            edge = [(tip.width - shorter) / 2, (tip.height - shorter) / 2]
            places.append((np.array([tip.x, tip.y]) - edge) / shorter * 1.3 - 0.15)
    return all(((place > 0.02) & (place < 0.98)).all() for place in places)


def towers(sizes: Sequence[int], encoders: Sequence[Path]) -> Iterator[tuple[int, Tower]]:
    """Size and tower of each encoder file, one at a time; failed runs are left out."""
    for size, path in zip(sizes, encoders, strict=True):
        content = read_encoder(path)
        if content.tensors:
            yield size, tower_of(content)


def localise_tips(
    study: Study,
    catalog: pl.DataFrame,
    reader: ShardReader,
    arm: str,
    sizes: Sequence[int],
    encoders: Sequence[Path],
) -> pl.DataFrame:
    """Share of the test films' tips that each encoder finds, at its four levels.

    Args:
        study: names labels, intervals, and what encoders see.
        catalog: the catalog of the shards.
        reader: reads the shards.
        arm: whose encoders these are.
        sizes: number of images of each encoder.
        encoders: encoder files; those of failed runs are left out.

    Returns:
        Rows of `TIPS_SCHEMA`. Labels of fewer patients than `disclosure.smallest_cell` count only
        among all tips. No rows if training or test films have no tips.
    """
    learnt = _few_of_each(tips_of(study, catalog, "train"))
    known = {tip.label for tip in learnt}
    test = [tip for tip in tips_of(study, catalog, "test") if tip.label in known]
    if not test:
        return pl.DataFrame(schema=TIPS_SCHEMA)
    seed = study.evaluation.seed
    draws = PatientDraws.draw([tip.patient for tip in test], study.evaluation.resamples, seed)
    rows: list[dict[str, Any]] = []
    for size, tower in towers(sizes, encoders):
        tower = tower.to(study.compute.device)
        errors, by_place = _errors(tower, reader, learnt, test, study.evaluation.features.batch)
        for level, of_level in enumerate(errors.T, start=1):
            for label in (ALL, *study.labels.tubes):
                chosen = np.array([label in (ALL, tip.label) for tip in test])
                patients = len({tip.patient for tip in test if label in (ALL, tip.label)})
                smallest = study.smallest_cell("institution")
                if patients and (label == ALL or patients >= smallest):
                    names = {"arm": arm, "size": size, "level": level, "label": label}
                    rows.append(
                        names
                        | {"tips": int(chosen.sum()), "patients": patients}
                        | _found(of_level, chosen, draws, study.evaluation.confidence)
                        | {"error": float(np.median(of_level[chosen]))}
                        | {"by_place": float((by_place[chosen] <= NEAR).mean())}
                    )
    return pl.DataFrame(rows, schema=TIPS_SCHEMA)


def _few_of_each(tips: Iterator[Tip]) -> list[Tip]:
    """The first tips of each label by keyed hash."""
    ordered = sorted(tips, key=lambda tip: (unit_interval(tip.image, "tips"), tip))
    counts: dict[str, int] = {}
    kept = []
    for tip in ordered:
        counts[tip.label] = counts.get(tip.label, 0) + 1
        if counts[tip.label] <= LEARNT:
            kept.append(tip)
    return kept


def _found(
    errors: NDArray[np.float64], chosen: NDArray[np.bool_], draws: PatientDraws, confidence: float
) -> dict[str, float]:
    """Share of tips found, with its interval over patients."""
    near = (errors <= NEAR) & chosen
    patients = draws.counts.shape[1]
    found, tips = (
        draws.counts @ np.bincount(draws.patient[which], minlength=patients)
        for which in (near, chosen)
    )
    shares = found[tips > 0] / tips[tips > 0]
    share = float(near.sum() / chosen.sum())
    family = share_family(share, float(chosen.sum()), float(shares.var()) if len(shares) else 0.0)
    lower, upper = Confidence.from_families([family], np.eye(1), share).interval(confidence)
    return {"found": share, "lower": lower, "upper": upper}


def _errors(
    tower: Tower, reader: ShardReader, learnt: Sequence[Tip], test: Sequence[Tip], batch: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances of the most similar patches from tips, [N, levels], and of mean positions, [N]."""
    vectors: dict[str, list[list[Tensor]]] = {}
    places: dict[str, list[NDArray[np.float64]]] = {}
    for tip, maps in _encoded(tower, reader, learnt, batch):
        x, y = _place(tower, tip)
        cells = [_at(normalize(one, dim=0), x, y) for one in maps]
        vectors.setdefault(tip.label, []).append(cells)
        places.setdefault(tip.label, []).append(np.array([x, y]))
    wanted = {
        label: [normalize(torch.stack(level).mean(0), dim=0) for level in zip(*of, strict=True)]
        for label, of in vectors.items()
    }
    errors = []
    for tip, maps in _encoded(tower, reader, test, batch):
        place = np.array(_place(tower, tip))
        errors.append(
            [
                float(np.hypot(*(_most_like(one, vector) - place)))
                for one, vector in zip(maps, wanted[tip.label], strict=True)
            ]
        )
    means = {label: np.mean(of, axis=0) for label, of in places.items()}
    guesses = [float(np.hypot(*(means[tip.label] - _place(tower, tip)))) for tip in test]
    return np.array(errors), np.array(guesses)


def _encoded(
    tower: Tower, reader: ShardReader, tips: Sequence[Tip], batch: int
) -> Iterator[tuple[Tip, list[Tensor]]]:
    """Tips with their film's feature maps [C, H, W] at each level; each film is encoded once."""
    device = next(tower.parameters()).device
    images = list(dict.fromkeys((tip.shard, tip.row) for tip in tips))
    of: dict[tuple[str, int], list[int]] = {}
    for number, tip in enumerate(tips):
        of.setdefault((tip.shard, tip.row), []).append(number)
    waiting: dict[int, list[Tensor]] = {}
    sent = 0
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        stored = reader.images([shard for shard, _ in part], [row for _, row in part])
        with torch.inference_mode():
            levels = tower.levels(tower.prepare(stored).to(device)).levels
        for place, image in enumerate(part):
            maps = [level[place].float() for level in levels]
            waiting |= dict.fromkeys(of[image], maps)
        while sent in waiting:
            yield tips[sent], waiting.pop(sent)
            sent += 1


def _place(tower: Tower, tip: Tip) -> tuple[float, float]:
    """Position of a tip in the square that the tower sees, as shares of its side."""
    x, y = map_points([(tip.x, tip.y)], tip.height, tip.width, tower.encoder)[0]
    return float(x), float(y)


def _at(maps: Tensor, x: float, y: float) -> Tensor:
    """The vector of the cell at (x, y)."""
    _, height, width = maps.shape
    return maps[:, min(int(y * height), height - 1), min(int(x * width), width - 1)]


def _most_like(maps: Tensor, vector: Tensor) -> NDArray[np.float64]:
    """Centre of the cell most similar to a vector, (x, y) as shares of the sides."""
    _, height, width = maps.shape
    likeness = torch.einsum("c,chw->hw", vector, normalize(maps, dim=0))
    row, column = divmod(int(likeness.argmax()), width)
    return np.array([(column + 0.5) / width, (row + 0.5) / height])
