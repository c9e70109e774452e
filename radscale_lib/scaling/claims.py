"""The claims that a study can make, with their evidence: on every curve and every pair of arms."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any, Literal

import numpy as np

from radscale_lib.scaling.compare import compare
from radscale_lib.scaling.course import Course, about, above
from radscale_lib.scaling.crossover import format_count
from radscale_lib.scaling.ensemble import Interval, centre
from radscale_lib.scaling.laws import Array
from radscale_lib.scaling.multiplicity import p_values
from radscale_lib.scaling.study_curves import DRAWS
from radscale_lib.scaling.study_fits import FittedArm, TaskFits
from radscale_lib.scaling.words import between, interval, percent

Kind = Literal["rises", "overtakes", "gains", "ahead", "slope", "stated"]
UNEQUAL = 0.02
"""Arms whose numbers of images differ by more than this share are marked."""


@dataclass(frozen=True)
class Claim:
    """A claim with its evidence.

    Attributes:
        claim: the claim in words, or the name of a stated one.
        kind: the kind of claim.
        arm: the arm it is about.
        task: the task.
        metric: its metric.
        value: the number in question, with its interval; None if the claim cannot be tested.
        probability: that it is true, from even odds.
        p: two-sided p-value.
        yes: the sentence if it is supported.
        no: the sentence if it is contradicted.
        open: the sentence if it is undecided, or cannot be tested.
        other: the other arm, or the baseline.
        target: label, or `macro`.
        size: nominal size, or the horizon in images.
        needs: claims of which at least one must be decided before this one can be.
    """

    claim: str
    kind: Kind
    arm: str
    task: str
    metric: str | None
    value: Interval | None
    probability: float | None
    p: float
    yes: str
    no: str
    open: str
    other: str | None = None
    target: str = "macro"
    size: float | None = None
    needs: Sequence[str] = field(default=())

    @property
    def family(self) -> str:
        """The family of claims with which it is adjusted."""
        return self.kind if self.target == "macro" else f"{self.kind}, labels"


def untestable(claim: str, kind: Kind, arm: str, task: str, why: str, **names: str | None) -> Claim:
    """A claim for which there is no evidence."""
    return Claim(
        claim=claim, kind=kind, arm=arm, task=task, metric=names.get("metric"), value=None,
        probability=None, p=1.0, yes="", no="", open=f"not testable: {why}",
        other=names.get("other"),
    )  # fmt: skip


def curve_claims(fits: TaskFits, confidence: float, horizon: float) -> Iterator[Claim]:
    """Claims on each arm of a task: rises, overtakes, gains; then the same for each label.

    Args:
        fits: the task.
        confidence: level of the intervals.
        horizon: multiple of the largest size.
    """
    words = _Words(fits, confidence, horizon)
    for name, why in fits.refused.items():
        yield untestable(words.rises(name), "rises", name, fits.task, why, metric=fits.metric)
    for arm in fits.arms.values():
        yield from words.course(arm, arm.course, None)
        level = arm.curve.baseline_level(arm.fit)
        if level is not None:
            logs = arm.fit.ensemble.log_errors(arm.ends[1:2])[:, 0]
            yield words.overtakes(arm, logs, level, arm.curve.baseline, None)
    for arm in fits.arms.values():
        if arm.labels is None:
            continue
        for j, label in enumerate(arm.labels.names):
            yield from words.course(arm, arm.label_courses[j], label)
            if arm.label_levels is not None:
                level = arm.label_levels[:, j]
                yield words.overtakes(arm, arm.label_logs[:, j, 1], level, None, label)


def pair_claims(fits: TaskFits, confidence: float, horizon: float) -> Iterator[Claim]:
    """Claims on each pair of a task's arms: ahead at each common size, slope; then labels."""
    words = _Words(fits, confidence, horizon)
    pairs = list(combinations(fits.arms.values(), 2))
    for one, other in pairs:
        yield from words.pair(one, other)
    for one, other in pairs:
        yield from words.label_pairs(one, other)


def common_sizes(one: FittedArm, other: FittedArm) -> list[float]:
    """Nominal sizes at which both arms have runs, ascending."""
    return [size for size in one.curve.images_at if size in other.curve.images_at]


def unequal(one: float, other: float) -> bool:
    """Whether two numbers of images differ too much to be called equal."""
    return abs(one - other) > UNEQUAL * max(one, other)


@dataclass(frozen=True)
class _Words:
    """Claims of one task, in words."""

    fits: TaskFits
    confidence: float
    horizon: float

    @property
    def tail(self) -> float:
        return (1 - self.confidence) / 2

    def rises(self, arm: str, label: str | None = None) -> str:
        return f"{arm} rises on {self._where(label)}"

    def _where(self, label: str | None) -> str:
        return self.fits.task if label is None else f"{self.fits.task}, {label}"

    def _excluded(self, found: Interval) -> str:
        """Between what an undecided difference may still lie."""
        return f"{between(found[1], found[2])} ({self.confidence:.0%} interval)"

    def course(self, arm: FittedArm, of: Course, label: str | None) -> Iterator[Claim]:
        where, target = self._where(label), label or "macro"
        draws = None if label is None else DRAWS
        shared: dict[str, Any] = {
            "arm": arm.arm, "task": self.fits.task, "metric": self.fits.metric, "target": target
        }  # fmt: skip
        name = self.rises(arm.arm, label)
        change, gain = interval(*of.change, sign=True), interval(*of.gain, sign=True)
        span = f"from {format_count(arm.ends[0])} to {format_count(arm.ends[1])} images"
        alone = ""
        if of.moves:
            side, share = ("rises", of.rises) if of.rises > 0.5 else ("falls", 1 - of.rises)
            alone = f"; taken alone, it {side} with a probability of {percent(share)}"
        yield Claim(
            claim=name,
            kind="rises",
            value=of.change,
            probability=of.rises,
            p=float(p_values(of.rises, draws)),
            yes=f"{arm.arm} rises on {where} by {change} {span}",
            no=f"{arm.arm} falls on {where} by {change} {span}",
            open=f"no trend identified for {arm.arm} on {where}: "
            f"{self._excluded(of.change)}, {span}{alone}",
            **shared,
        )
        times = f"{self.horizon:g} × the data"
        yield Claim(
            claim=f"{arm.arm} gains from {times} on {where}",
            kind="gains",
            value=of.gain,
            probability=of.gains,
            p=float(p_values(of.gains, DRAWS)),
            yes=f"{times} would add {gain} to {arm.arm} on {where}",
            no=f"{times} would cost {arm.arm} on {where}: {gain}",
            open=f"whether {times} would help {arm.arm} on {where} is open: "
            f"{self._excluded(of.gain)}",
            size=float(arm.ends[2]),
            needs=(name,),
            **shared,
        )

    def overtakes(
        self, arm: FittedArm, logs: Array, level: Array, known: float | None,
        label: str | None,
    ) -> Claim:  # fmt: skip
        where, cap = self._where(label), arm.fit.cap if label is None else arm.label_cap
        base = float(centre(np.log(level), np.inf)) if known is None else known
        found = about(
            base - float(centre(logs, cap)), level - np.minimum(np.exp(logs), cap), self.tail
        )
        ahead = above(np.log(level), logs)
        by, size = interval(*found, sign=True), arm.curve.nominal.max()
        at = f"on {where} at {format_count(size)} images"
        return Claim(
            claim=f"{arm.arm} overtakes {arm.baseline} on {where}",
            kind="overtakes",
            arm=arm.arm,
            other=arm.baseline,
            task=self.fits.task,
            metric=self.fits.metric,
            value=found,
            probability=ahead,
            p=float(p_values(ahead, DRAWS)),
            yes=f"{arm.arm} is ahead of {arm.baseline} {at} by {by}",
            no=f"{arm.arm} is behind {arm.baseline} {at}: {by}",
            open=f"whether {arm.arm} is ahead of {arm.baseline} {at} is open: "
            f"{self._excluded(found)}",
            target=label or "macro",
            size=float(size),
        )

    def pair(self, one: FittedArm, other: FittedArm) -> Iterator[Claim]:
        nominal = common_sizes(one, other)
        if not nominal or not np.array_equal(
            one.fit.ensemble.resample, other.fit.ensemble.resample
        ):
            return
        left = [one.curve.images_at[size] for size in nominal]
        right = [other.curve.images_at[size] for size in nominal]
        found = compare(one.fit.ensemble, other.fit.ensemble, left, self.confidence, right)
        for size, *pair, difference, ahead in zip(
            nominal, left, right, found.difference, found.ahead, strict=True
        ):
            mark = f" ({pair[0]:,.0f} and {pair[1]:,.0f} images)" if unequal(*pair) else ""
            yield self._ahead(one, other, size, difference, ahead, None, mark)
        by = interval(*found.slope, sign=True)
        where = self.fits.task
        yield Claim(
            claim=f"{one.arm} scales better than {other.arm} on {where}",
            kind="slope",
            arm=one.arm,
            other=other.arm,
            task=where,
            metric=self.fits.metric,
            value=found.slope,
            probability=found.steeper,
            p=float(p_values(found.steeper, DRAWS)),
            yes=f"the error of {one.arm} falls faster than that of {other.arm} on {where}: "
            f"elasticity {by}",
            no=f"the error of {one.arm} falls more slowly than that of {other.arm} on {where}: "
            f"elasticity {by}",
            open=f"which of {one.arm} and {other.arm} scales better on {where} is open: "
            f"elasticity {by}",
            needs=(self.rises(one.arm), self.rises(other.arm)),
        )

    def label_pairs(self, one: FittedArm, other: FittedArm) -> Iterator[Claim]:
        nominal = common_sizes(one, other)
        if not nominal or one.labels is None or other.labels is None:
            return
        size = nominal[-1]
        pair = [arm.curve.images_at[size] for arm in (one, other)]
        mark = f" ({pair[0]:,.0f} and {pair[1]:,.0f} images)" if unequal(*pair) else ""
        logs = [
            arm.labels.log_errors(arm.fit.ensemble, np.array([at]))[..., 0]
            for arm, at in zip((one, other), pair, strict=True)
            if arm.labels is not None
        ]
        cap = max(one.label_cap, other.label_cap)
        ours, theirs = (centre(log, cap) for log in logs)
        for j, label in enumerate(one.labels.names):
            left, right = (np.minimum(np.exp(log[:, j]), cap) for log in logs)
            difference = about(float(theirs[j] - ours[j]), right - left, self.tail)
            ahead = above(logs[1][:, j], logs[0][:, j])
            yield self._ahead(one, other, size, difference, ahead, label, mark)

    def _ahead(
        self, one: FittedArm, other: FittedArm, size: float, difference: Interval, ahead: float,
        label: str | None, mark: str,
    ) -> Claim:  # fmt: skip
        at = f"on {self._where(label)} at {format_count(size)} images{mark}"
        by = interval(*difference, sign=True)
        return Claim(
            claim=f"{one.arm} is ahead of {other.arm} on {self._where(label)} "
            f"at {format_count(size)}",
            kind="ahead",
            arm=one.arm,
            other=other.arm,
            task=self.fits.task,
            metric=self.fits.metric,
            value=difference,
            probability=ahead,
            p=float(p_values(ahead, DRAWS)),
            yes=f"{one.arm} is ahead of {other.arm} {at} by {by}",
            no=f"{one.arm} is behind {other.arm} {at}: {by}",
            open=f"which of {one.arm} and {other.arm} is ahead {at} is open: "
            f"{self._excluded(difference)}",
            target=label or "macro",
            size=size,
        )
