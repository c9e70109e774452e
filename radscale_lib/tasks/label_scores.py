"""Scores of labels from their logits: by rank, at thresholds, and of probabilities."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from radscale_lib.metrics import metrics
from radscale_lib.metrics.base import RankingMetric
from radscale_lib.tasks.bootstrap import PatientDraws, at_prevalence, covariance
from radscale_lib.tasks.confidence import Family, Floats
from radscale_lib.tasks.families import Cases
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.ranking import Ranking, resampled
from radscale_lib.tasks.scores import FEWEST, MICRO, TOO_FEW, Score, macro

SPECIFICITIES = (90, 95)
"""Specificities at which sensitivity is given, per cent."""
BINS = 15
"""Number of equally wide bins of the calibration error."""
NO_THRESHOLD = "no threshold: no validation images of both kinds"

Validation = tuple[NDArray[np.bool_], NDArray[np.floating]]
"""Truth and logits of a label's validation images, of both classes."""


def label_scores(
    labels: Sequence[str],
    truth: NDArray[np.floating],
    logits: NDArray[np.floating],
    draws: PatientDraws,
    validation: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None,
) -> list[Score]:
    """All scores of the labels, their macro means, and micro averages.

    A micro average is the score of all labels' known cells together; for F1 and sensitivity, of the
    labels with a threshold, each at its own.

    Args:
        labels: K names.
        truth: [N, K], 1, 0 or NaN (unknown), of the test images.
        logits: [N, K].
        draws: bootstrap draws of the test images' patients.
        validation: truth and logits of the validation images, from which thresholds are taken.

    Returns:
        By metric, the labels' scores in order, then `micro` and `macro`. Metrics: those of
        `radscale_lib.metrics` for ranks; `f1` and `sensitivity_at_specificity_<percent>` at
        thresholds (NaN without validation images of both classes); `brier`; `ece` (Naeini et al.
        2015, `BINS` bins).

    Raises:
        NotFiniteError: naming the label, since a ranking would treat NaN as the lowest logit.
    """
    for label, column in zip(labels, logits.T, strict=True):
        if not np.isfinite(column).all():
            raise NotFiniteError(f"logits of {label} are not finite")
    by_metric: dict[str, list[Score]] = {}
    ones = []
    for column, label in enumerate(labels):
        images = np.flatnonzero(~np.isnan(truth[:, column]))
        positive = truth[images, column] == 1
        cases = Cases(positive, logits[images, column], draws.patient[images])
        known = _known(validation, column)
        ones.append(ScoredLabel.of(label, cases, images, draws, known))
    for one in ones:
        for score in (*one.ranks(), *one.thresholds(), *one.chances()):
            by_metric.setdefault(score.metric, []).append(score)
    if len(ones) == 1:
        micro = {metric: replace(scores[0], target=MICRO) for metric, scores in by_metric.items()}
    else:
        every, called_ones = pooled(ones), [one for one in ones if one.called]
        at_thresholds = every if len(called_ones) in (0, len(ones)) else pooled(called_ones)
        of_all = (*every.ranks(), *at_thresholds.thresholds(), *every.chances())
        micro = {score.metric: score for score in of_all}
    return [
        score
        for metric, scores in by_metric.items()
        for score in (*scores, micro[metric], macro(scores, len(truth)))
    ]


def pooled(ones: Sequence["ScoredLabel"]) -> "ScoredLabel":
    """All cells of the labels as one label."""
    parts = [one.cases for one in ones]
    cases = Cases(
        np.concatenate([part.positive for part in parts]),
        np.concatenate([part.logits for part in parts]),
        np.concatenate([part.patient for part in parts]),
    )
    images = np.concatenate([one.images for one in ones])
    named = [name for name in RULES if all(name in one.called for one in ones)]
    called = {name: np.concatenate([one.called[name] for one in ones]) for name in named}
    kept = ("kind", "chances", *named)
    totals, sums = (
        {name: np.sum([getattr(one, what)[name] for one in ones], axis=0) for name in kept}
        for what in ("totals", "sums")
    )
    return ScoredLabel(MICRO, cases, images, ones[0].draws, called, totals, sums)


def _known(
    validation: tuple[NDArray[np.floating], NDArray[np.floating]] | None, column: int
) -> Validation | None:
    if validation is None:
        return None
    truth, logits = (part[:, column] for part in validation)
    known = ~np.isnan(truth)
    positive = truth[known] == 1
    return (positive, logits[known]) if positive.any() and not positive.all() else None


@dataclass(frozen=True)
class ScoredLabel:
    """One label, or all labels taken as one.

    Attributes:
        name: of the label.
        cases: its known cells.
        images: [n], which of the draws' images these are.
        draws: of the test images.
        called: [n] each, whether a case is called positive, by name of the threshold; empty without
            thresholds.
        totals: sums of the metrics' statistics over the cases, by name: [C] each.
        sums: the same for each draw: [B, C] each.
    """

    name: str
    cases: Cases
    images: NDArray[np.intp]
    draws: PatientDraws
    called: dict[str, NDArray[np.bool_]]
    totals: dict[str, Floats]
    sums: dict[str, Floats]

    @classmethod
    def of(
        cls,
        name: str,
        cases: Cases,
        images: NDArray[np.intp],
        draws: PatientDraws,
        validation: Validation | None,
    ) -> "ScoredLabel":
        """Build from its cases, and those from which thresholds are taken."""
        called = {}
        if validation is not None:
            called = {name: cases.logits >= rule(validation) for name, rule in RULES.items()}
        values = {"kind": np.stack([cases.positive, ~cases.positive], axis=1)}
        values["chances"] = _gaps(cases)
        for metric, above in called.items():
            wrong = above & ~cases.positive & (metric == "f1")
            values[metric] = np.stack([above & cases.positive, wrong, cases.positive], axis=1)
        # All together, so that the draws are read once.
        together = np.concatenate(list(values.values()), axis=1)
        by_image = np.zeros((len(draws.patient), together.shape[1]))
        by_image[images] = together
        ends = np.cumsum([each.shape[1] for each in values.values()])[:-1]
        totals, sums = (
            dict(zip(values, np.split(part, ends, axis=-1), strict=True))
            for part in (together.sum(axis=0), draws.sums(by_image))
        )
        return cls(name, cases, images, draws, called, totals, sums)

    @property
    def few(self) -> bool:
        """Whether there are too few cases for an interval."""
        return min(self.cases.positives, self.cases.negatives) < FEWEST

    def ranks(self) -> list[Score]:
        """AUROC, AUPRC and other metrics of ranked images."""
        computed = [m for m in metrics("classification").values() if isinstance(m, RankingMetric)]
        positive, logits = self.cases.positive, self.cases.logits
        everyone = np.ones((len(logits), 1), np.uint8)
        values = Ranking.from_scores(positive, logits, everyone).values(computed)[:, 0]
        samples = resampled(computed, positive, logits, self.images, self.draws)
        names = [metric.name for metric in computed]
        families: dict[str, Family] = {}
        if not self.few:
            spread = [self._variance(sample) for sample in samples]
            pairs = zip(values.tolist(), spread, strict=True)
            families = self.cases.ranking_families(dict(zip(names, pairs, strict=True)))
        return [
            self._score(name, float(value), sample, families.get(name))
            for name, value, sample in zip(names, values, samples, strict=True)
        ]

    def thresholds(self) -> list[Score]:
        """F1, and sensitivity at given specificities, at thresholds from the validation images."""
        scores = []
        for name in RULES:
            if name not in self.called:
                nothing = np.full(len(self.draws), np.nan)
                scores.append(self._score(name, float("nan"), nothing, None, NO_THRESHOLD))
                continue
            alone = name != "f1"
            value = float(_f1_or_sensitivity(self.totals[name], alone))
            sample = _f1_or_sensitivity(self.sums[name], alone)
            family = None if self.few else self.cases.threshold_family(self.called[name], alone)
            scores.append(self._score(name, value, sample, family))
        return scores

    def chances(self) -> list[Score]:
        """Brier score and expected calibration error of the probabilities; smaller is better."""
        kinds, sums = (
            np.concatenate([self.totals[name][None], self.sums[name]])
            for name in ("kind", "chances")
        )
        sums = sums.reshape(len(sums), 2, BINS + 1)
        with np.errstate(invalid="ignore"):
            found = sums.sum(axis=1) / kinds.sum(axis=1)[:, None]
            # Each class at its share of the test set, however many of its cases were drawn.
            ordered = np.einsum("bkc,k->bc", sums / kinds[..., None], kinds[0] / kinds[0].sum())
        brier, error = found[:, BINS], np.abs(found[:, :BINS]).sum(axis=1)
        by_brier, by_error = ordered[1:, BINS], np.abs(ordered[1:, :BINS]).sum(axis=1)
        families: dict[str, Family | None] = {"brier": None, "ece": None}
        if not self.few:
            spread = covariance(ordered[1:, BINS:], self._rarer)[0, 0]
            families["brier"] = self.cases.brier_family(float(spread))
            families["ece"] = self.cases.calibration_family(
                *chances(self.cases.logits), found[0, :BINS]
            )
        return [
            self._score(name, float(value), np.array(sample), families[name], ordered=order)
            for name, (value, *sample), order in (
                ("brier", brier, by_brier),
                ("ece", error, by_error),
            )
        ]

    def _score(
        self,
        metric: str,
        value: float,
        resamples: Floats,
        family: Family | None,
        note: str = "",
        ordered: Floats | None = None,
    ) -> Score:
        return Score(
            self.name,
            metric,
            value,
            resamples,
            len(self.images),
            self.cases.positives,
            () if family is None else (family,),
            ordered=self._at_prevalence(resamples) if ordered is None else ordered,
            note=TOO_FEW if self.few else note or None,
        )

    def _variance(self, resamples: Floats) -> float:
        """Variance of draws at the test set's prevalence."""
        return float(covariance(self._at_prevalence(resamples)[:, None], self._rarer)[0, 0])

    @property
    def _rarer(self) -> Floats:
        """Images of the rarer class in each draw: [B]."""
        column: Floats = self.sums["kind"][:, int(np.argmin(self.totals["kind"]))]
        return column

    def _at_prevalence(self, resamples: Floats) -> Floats:
        return at_prevalence(resamples, *self.sums["kind"].T)


def best_f1_threshold(validation: Validation) -> float:
    """The highest logit that gives the largest F1 if it and all above it are called positive."""
    positive, logits = validation
    order = np.argsort(-logits, kind="stable")
    ranked = logits[order]
    last = np.flatnonzero(np.append(ranked[1:] != ranked[:-1], True))
    hits = np.cumsum(positive[order])[last]
    f1 = 2 * hits / (last + 1 + positive.sum())
    return float(ranked[last[int(np.argmax(f1))]])


def _at_specificity(least: float) -> Callable[[Validation], float]:
    """Rule for the lowest threshold with at least this share of the negatives below it."""

    def rule(validation: Validation) -> float:
        positive, logits = validation
        low = np.sort(logits[~positive].astype(np.float64))
        return float(np.nextafter(low[int(np.ceil(least * len(low) - 1e-9)) - 1], np.inf))

    return rule


RULES: dict[str, Callable[[Validation], float]] = {"f1": best_f1_threshold} | {
    f"sensitivity_at_specificity_{percent}": _at_specificity(percent / 100)
    for percent in SPECIFICITIES
}
"""Metrics at a threshold, and how the threshold is chosen."""


def chances(logits: NDArray[np.floating]) -> tuple[Floats, NDArray[np.intp]]:
    """Probabilities [n] from log odds, and each one's bin of the calibration error."""
    chance = expit(logits.astype(np.float64))
    return chance, np.minimum((chance * BINS).astype(np.intp), BINS - 1)


def _gaps(cases: Cases) -> Floats:
    """Per case: probability minus truth in its bin, and its square; positives, then negatives.

    [n, 2 (BINS + 1)].
    """
    chance, bins = chances(cases.logits)
    gaps = np.zeros((len(chance), 2, BINS + 1))
    rows, kinds = np.arange(len(chance)), np.where(cases.positive, 0, 1)
    gaps[rows, kinds, bins] = chance - cases.positive
    gaps[rows, kinds, BINS] = (chance - cases.positive) ** 2
    return gaps.reshape(len(chance), 2 * (BINS + 1))


def _f1_or_sensitivity(sums: NDArray[np.number], alone: bool) -> Floats:
    """F1 or sensitivity from sums [..., 3] of hits, false alarms, positives; NaN if 0 / 0."""
    hits, alarms, positives = np.moveaxis(sums, -1, 0)
    with np.errstate(divide="ignore", invalid="ignore"):
        value = hits / positives if alone else 2 * hits / (hits + alarms + positives)
    return np.where(positives > 0, value, np.nan)
