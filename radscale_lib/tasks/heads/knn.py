"""k-NN head: votes of the nearest training images, as in DINO (arXiv 2104.14294)."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from radscale_lib.study.heads.knn import Knn
from radscale_lib.tasks.choice import chosen
from radscale_lib.tasks.heads.cases import Answer, Cases, Films
from radscale_lib.tasks.probe import Standardiser, log_loss

Floats = NDArray[np.float32]

AT_ONCE = 64_000_000
"""Number of cosines held at once (256 MB)."""


def predict(section: Knn, cases: Cases) -> Answer:
    """Vote with the training rows; features, k and temperature are chosen on validation.

    The log odds of a label are those of the weighted share of neighbours that have it, among those
    for which it is known. One additional neighbour, as near as the nearest, votes with the label's
    share of the training rows, so that no odds are infinite.

    Args:
        section: the head's settings; a number of neighbours above that of training rows means all
            of them.
        cases: images and labels.

    Raises:
        NoCasesError: without validation images, if there is anything to choose.
    """
    truth = cases.truth[cases.train]
    known = ~np.isnan(truth)
    prior = (np.nansum(truth, axis=0) + 0.5) / (known.sum(axis=0) + 1)
    ks = sorted({min(k, len(truth)) for k in section.neighbours})
    sets = cases.sets(section.features)
    voters = [_Voters(which, names, cases) for which, names in sets.items()]
    # Widest first, so that the smoother vote wins ties.
    votes_tried = [(k, t) for k in reversed(ks) for t in sorted(section.temperatures, reverse=True)]
    best, vote = voters[0], votes_tried[0]
    if len(voters) * len(votes_tried) > 1:
        rows, least = cases.validation, float("inf")
        for each in voters:
            near = each.nearest(cases, rows, ks[-1])
            for tried in votes_tried:
                odds = log_odds(near, truth, prior, *tried)
                loss = float(np.nansum(log_loss(odds, cases.truth[rows])))
                if loss < least:
                    best, vote, least = each, tried, loss

    def logits(films: Films, rows: NDArray[np.intp] | slice) -> Floats:
        near = best.nearest(films, rows, vote[0])
        return log_odds(near, truth, prior, *vote).astype(np.float32)

    notes = [f"features {best.which}"] if len(voters) > 1 else []
    notes.append(chosen("neighbours", vote[0], ks))
    notes.append(chosen("temperature", vote[1], section.temperatures))
    return Answer(
        logits(cases, cases.asked),
        "; ".join(notes),
        {name: logits(films, slice(None)) for name, films in cases.elsewhere.items()},
    )


class _Voters:
    """The training rows as unit vectors of standardised features."""

    def __init__(self, which: str, names: Sequence[str], cases: Cases) -> None:
        self.which, self.names = which, names
        features = cases.pooled(names)[cases.train]
        self.standardise = Standardiser.fit(features)
        self.train = self._unit(features)

    def nearest(
        self, films: Films, rows: NDArray[np.intp] | slice, k: int
    ) -> tuple[NDArray[np.intp], Floats]:
        """The k nearest training rows of the given images, like `nearest`."""
        return nearest(self._unit(films.pooled(self.names)[rows]), self.train, k)

    def _unit(self, features: Floats) -> Floats:
        values = self.standardise(features)
        length = np.linalg.norm(values, axis=1, keepdims=True)
        return (values / np.where(length > 0, length, 1)).astype(np.float32)


def nearest(rows: Floats, train: Floats, k: int) -> tuple[NDArray[np.intp], Floats]:
    """The k training rows with the largest cosine; the first wins ties.

    Args:
        rows: [n, D], unit vectors.
        train: [N, D], unit vectors.
        k: at most N.

    Returns:
        Positions and cosines, [n, k], nearest first.
    """
    found = list(_nearest(rows, train, k))
    return np.concatenate([part[0] for part in found]), np.concatenate([part[1] for part in found])


def _nearest(rows: Floats, train: Floats, k: int) -> Iterator[tuple[NDArray[np.intp], Floats]]:
    step = max(1, AT_ONCE // len(train))
    for start in range(0, max(len(rows), 1), step):
        cosine = rows[start : start + step] @ train.T
        least = np.partition(cosine, len(train) - k, axis=1)[:, [len(train) - k]]
        nearer, tied = cosine > least, cosine == least
        wanted = k - nearer.sum(axis=1, keepdims=True)
        taken = nearer | (tied & (np.cumsum(tied, axis=1) <= wanted))
        place = np.nonzero(taken)[1].reshape(-1, k)
        of = np.take_along_axis(cosine, place, axis=1)
        order = np.argsort(-of, axis=1, kind="stable")
        yield np.take_along_axis(place, order, axis=1), np.take_along_axis(of, order, axis=1)


def votes(
    near: tuple[NDArray[np.intp], Floats], truth: Floats, k: int, temperature: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted votes of the first k neighbours; the nearest neighbour's weight is 1.

    Args:
        near: from `nearest`, [n, at least k].
        truth: [N, K], 1, 0 or NaN (unknown), of the training rows.
        k: neighbours that vote.
        temperature: temperature of the weights exp(cosine / temperature).

    Returns:
        Weight of neighbours with the label, and of those for which it is known, [n, K].
    """
    place, cosine = near[0][:, :k], near[1][:, :k].astype(np.float64)
    weight = np.exp((cosine - cosine[:, :1]) / temperature)
    known = ~np.isnan(truth)
    has = np.einsum("nk,nkl->nl", weight, np.where(known, truth, 0)[place])
    told = np.einsum("nk,nkl->nl", weight, known.astype(np.float64)[place])
    return has, told


def log_odds(
    near: tuple[NDArray[np.intp], Floats],
    truth: Floats,
    prior: NDArray[np.floating],
    k: int,
    temperature: float,
) -> NDArray[np.float64]:
    """Log odds [n, K] of the votes, with an additional neighbour that votes with the prior [K]."""
    has, told = votes(near, truth, k, temperature)
    chance = (has + prior) / (told + 1)
    odds: NDArray[np.float64] = np.log(chance) - np.log1p(-chance)
    return odds
