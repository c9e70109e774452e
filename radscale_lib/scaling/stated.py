"""Claims stated in advance: those of the paper's abstract, and those of the study file."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from radscale_lib.scaling.claims import Claim, common_sizes, untestable
from radscale_lib.scaling.course import about, above
from radscale_lib.scaling.crossover import format_count
from radscale_lib.scaling.ensemble import centre
from radscale_lib.scaling.laws import Array
from radscale_lib.scaling.multiplicity import benjamini_hochberg, p_values, simes
from radscale_lib.scaling.study_curves import DRAWS
from radscale_lib.scaling.study_fits import FittedArm, TaskFits
from radscale_lib.scaling.words import interval
from radscale_lib.study import Study

LABELS = "labels-improve-on-reports"
CONTINUING = "continuing-pays"


@dataclass(frozen=True)
class Statement:
    """A claim that one side is better than another.

    Attributes:
        name: its name.
        better: arms claimed to be better.
        than: arms or baselines, all of which they are compared with; None: each arm's own baseline.
        tasks: tasks over which the claim is averaged.
        at: size: the smallest or the largest that both sides have, or a nominal size.
        what: whether to compare the value at that size, or the slope.
        some: whether it is claimed for at least one arm and task, not for their mean.
    """

    name: str
    better: tuple[str, ...]
    than: tuple[str, ...] | None
    tasks: tuple[str, ...]
    at: int | Literal["smallest", "largest"] = "largest"
    what: Literal["value", "slope"] = "value"
    some: bool = False


def statements(study: Study) -> list[Statement]:
    """The abstract's claims (arXiv 2509.12818), then those of the study file.

    Arms are found by kind of encoder and supervision, tasks by kind and target; a claim may find no
    arms or tasks.
    """
    mi2 = _arms(study, "mi2")
    rad_dino = _arms(study, "rad-dino")
    reports = _arms(study, "mi2", {"reports"})
    both = _arms(study, "mi2", {"reports", "labels"})
    every = tuple(study.scaling.metrics)
    findings = _tasks(study, lambda task: getattr(task, "target", "") == "findings")
    tubes = _tasks(
        study,
        lambda task: task.kind == "segmentation" or getattr(task, "target", "") == "tubes",
    )
    arms = tuple(study.arms)
    return [
        Statement("mi2-scales-better-on-findings", mi2, rad_dino, findings, what="slope"),
        Statement("rad-dino-stronger-on-tubes", rad_dino, mi2, tubes),
        Statement(LABELS, both, reports, every),
        Statement("smallest-size-suffices-for-some", arms, None, every, at="smallest", some=True),
        Statement(CONTINUING, arms, None, every),
        *(
            Statement(name, (one.better,), (one.than,), one.on or every, one.at, one.what)
            for name, one in study.scaling.claims.items()
        ),
    ]


def _arms(study: Study, kind: str, supervision: set[str] | None = None) -> tuple[str, ...]:
    """Arms that train a kind of encoder with the paradigm of its publication."""
    return tuple(
        name
        for name, arm in study.trained_arms.items()
        if (encoder := study.encoders[arm.encoder]).kind == kind
        and arm.recipe.paradigm == encoder.paradigms[0]
        and (supervision is None or set(arm.supervision) == supervision)
    )


def _tasks(study: Study, wanted: Callable[..., bool]) -> tuple[str, ...]:
    return tuple(name for name in study.scaling.metrics if wanted(study.evaluation.tasks[name]))


@dataclass(frozen=True)
class _Part:
    """One arm compared with one other on one task.

    Attributes:
        draws: draws of the difference in favour of the arm, in the metric or the elasticity.
        value: difference of the reported curves.
        probability: that the difference is positive.
        size: nominal size.
    """

    arm: str
    other: str
    task: str
    metric: str
    draws: Array
    value: float
    probability: float
    size: float

    @property
    def p(self) -> float:
        return float(p_values(self.probability, DRAWS))


def stated_claims(study: Study, tasks: Sequence[TaskFits]) -> Iterator[Claim]:
    """The evidence for every stated claim."""
    by_name = {one.task: one for one in tasks}
    tail = (1 - study.scaling.confidence) / 2
    for statement in statements(study):
        parts = [
            part for task in statement.tasks for part in _parts(study, statement, by_name[task])
        ]
        if not parts:
            yield _not_testable(statement)
        elif statement.some:
            yield _some(statement, parts, tail)
        else:
            yield _mean(statement, parts, tail)


def _not_testable(statement: Statement) -> Claim:
    missing = [
        what
        for what, there in (
            ("arm that would be better", statement.better),
            ("arm to compare with", statement.than is None or statement.than),
            ("task of this kind", statement.tasks),
        )
        if not there
    ]
    why = f"the study has no {' and no '.join(missing)}" if missing else "no such curves are fitted"
    return untestable(
        statement.name, "stated", _listed(statement.better), _listed(statement.tasks), why,
        other=_listed(statement.than or ()),
    )  # fmt: skip


def _parts(study: Study, statement: Statement, fits: TaskFits) -> Iterator[_Part]:
    for name in statement.better:
        one = fits.arms.get(name)
        if one is None:
            continue
        than = statement.than if statement.than is not None else (one.baseline,)
        for other in than:
            part = _part(study, statement, fits, one, other)
            if part is not None:
                yield part


def _part(
    study: Study, statement: Statement, fits: TaskFits, one: FittedArm, other: str
) -> _Part | None:
    names = {"arm": one.arm, "other": other, "task": fits.task, "metric": fits.metric}
    second = fits.arms.get(other)
    if other in study.arms and second is None:
        return None
    sizes = list(one.curve.images_at) if second is None else common_sizes(one, second)
    size = _size(statement.at, sizes)
    if size is None:
        return None
    if statement.what == "slope":
        if second is None:
            return None
        left, right = one.fit.ensemble.elasticity, second.fit.ensemble.elasticity
        value = float((left - right).mean())
        return _Part(**names, draws=left - right, value=value, probability=above(left, right),
                     size=size)  # fmt: skip
    logs = _logs(one, size)
    if second is None:
        level = fits.level(other, one)
        if level is None:
            return None
        against, cap = np.log(level), float(level.max())
        known = float(centre(against, cap))
    else:
        against, cap = _logs(second, size), second.fit.cap
        known = float(second.fit.ensemble.centre([second.curve.images_at[size]])[0])
    draws = np.minimum(np.exp(against), cap) - np.minimum(np.exp(logs), one.fit.cap)
    value = known - float(one.fit.ensemble.centre([one.curve.images_at[size]])[0])
    return _Part(**names, draws=draws, value=value, probability=above(against, logs), size=size)


def _logs(arm: FittedArm, size: float) -> Array:
    return arm.fit.ensemble.log_errors([arm.curve.images_at[size]])[:, 0]


def _size(at: int | str, sizes: list[float]) -> float | None:
    if not sizes:
        return None
    if at == "smallest":
        return sizes[0]
    if at == "largest":
        return sizes[-1]
    return float(at) if float(at) in sizes else None


def _mean(statement: Statement, parts: Sequence[_Part], tail: float) -> Claim:
    """The mean over arms and tasks.

    Within a task the draws are joint: arms share test patients, and pairs share arms. How far a
    run's luck is shared between tasks is unknown, so the widest case is assumed, in which the
    tasks' draws are in the same order.
    """
    by_task: dict[str, list[_Part]] = {}
    for part in parts:
        by_task.setdefault(part.task, []).append(part)
    ordered = [
        np.sort(np.mean([part.draws for part in of_task], axis=0)) for of_task in by_task.values()
    ]
    draws = np.mean(ordered, axis=0)
    value = float(np.mean([np.mean([part.value for part in of]) for of in by_task.values()]))
    probability = above(draws, np.zeros(1)) if len(parts) > 1 else parts[0].probability
    found = about(value, draws, tail)
    what = "elasticity" if statement.what == "slope" else "difference"
    ahead = sum(part.value > 0 for part in parts)
    detail = f"mean {what} {interval(*found, sign=True)}" if len(parts) > 1 else (
        f"{what} {interval(*found, sign=True)}"
    )  # fmt: skip
    if len(parts) > 1:
        detail += f", ahead in {ahead} of {len(parts)} comparisons"
    sides = f"{_listed(_names(parts, 'arm'))} against {_listed(_names(parts, 'other'))}"
    at = "" if statement.what == "slope" else f" at {_listed(_sizes(parts))} images"
    sentence = f"{sides} on {_listed(_names(parts, 'task'))}{at}: {detail}"
    return _claim(statement, parts, found, probability, float(p_values(probability, DRAWS)),
                  (sentence, sentence, sentence))  # fmt: skip


def _some(statement: Statement, parts: Sequence[_Part], tail: float) -> Claim:
    """That some arm is ahead on some task; contradicted if all are certainly behind."""
    ahead = np.array([part.p if part.probability > 0.5 else 1.0 for part in parts])
    behind = np.array([part.p if part.probability < 0.5 else 1.0 for part in parts])
    best = max(parts, key=lambda part: part.probability)
    found = about(best.value, best.draws, tail)
    supported = simes(ahead)
    p = min(supported, float(behind.max()))
    surely = [
        f"{part.arm} on {part.task}"
        for part, adjusted in zip(parts, benjamini_hochberg(ahead), strict=True)
        if adjusted <= 2 * tail
    ]
    size = f"{_listed(_sizes(parts))} images"
    count = f"{len(surely)} of {len(parts)} arms and tasks"
    first = f"{best.arm} on {best.task}: {interval(*found, sign=True)}"
    return _claim(
        statement, parts, found, best.probability, p,
        (
            f"at {size} the open weights are surpassed in {count} ({_listed(surely)}); "
            f"the surest is {first}",
            f"at {size} the open weights are ahead in all {len(parts)} arms and tasks; "
            f"the closest is {first}",
            f"at {size} no arm is surely ahead of the open weights on any task; "
            f"the closest is {first}",
        ),
    )  # fmt: skip


def _claim(
    statement: Statement,
    parts: Sequence[_Part],
    found: tuple[float, float, float],
    probability: float,
    p: float,
    texts: tuple[str, str, str],
) -> Claim:
    metrics, sizes = set(_names(parts, "metric")), {part.size for part in parts}
    return Claim(
        claim=statement.name,
        kind="stated",
        arm=_listed(_names(parts, "arm")),
        other=_listed(_names(parts, "other")),
        task=_listed(_names(parts, "task")),
        metric=metrics.pop() if len(metrics) == 1 else None,
        size=sizes.pop() if len(sizes) == 1 else None,
        value=found,
        probability=probability,
        p=p,
        yes=texts[0],
        no=texts[1],
        open=texts[2],
    )


def _names(parts: Sequence[_Part], key: str) -> list[str]:
    return list(dict.fromkeys(getattr(part, key) for part in parts))


def _sizes(parts: Sequence[_Part]) -> list[str]:
    return [format_count(size) for size in sorted({part.size for part in parts})]


def _listed(words: Sequence[str]) -> str:
    return ", ".join(words)
