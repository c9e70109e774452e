"""Simulate scores with known laws, to test and measure fits, figures and reports."""

import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.scaling.laws import Array
from radscale_lib.study import Run, Study

Truth = Callable[[Run, str], float]
"""Expected error (1 - metric) of a run on a task."""

COLUMNS = [
    *("arm", "encoder", "size", "images", "seed", "task", "head", "target", "metric"),
    *("value", "lower", "upper", "confidence", "cases", "positives", "resamples_used", "resamples"),
]


def simulate_scores(
    study: Study,
    truth: Truth,
    *,
    patients: int = 400,
    resamples: int = 200,
    seed_sd: float = 0.02,
    shared_sd: float = 1.0,
    own_sd: float = 0.5,
    nested: float = 0.0,
    label_sd: float = 0.0,
    seed: int = 0,
    missing: frozenset[Run] = frozenset(),
) -> pl.DataFrame:
    """Simulate the scores of a study with known laws, and noise of patients and seeds.

    Each test patient contributes an error to every run: a part shared by the runs, since a hard
    patient is hard for all, and a part of the run's own. Scores are means over patients, and
    bootstrap draws resample patients jointly over the runs of a task.

    Args:
        study: names the runs and tasks.
        truth: expected error of a run on a task.
        patients: test patients.
        resamples: bootstrap draws.
        seed_sd: standard deviation of log error between seeds.
        shared_sd: standard deviation of the log error of a patient, shared by the runs.
        own_sd: the same for the part of a single run.
        nested: share of the seed variance that is due to the choice of a subset's images. Subsets
            of one seed are nested, so it is shared between sizes: correlation sqrt(n / N), n < N.
        label_sd: standard deviation, over labels, of their departure from the task's elasticity.
        seed: seed of all random draws.
        missing: runs without scores.
    """
    tables = []
    for task, metric in study.scaling.metrics.items():
        rng = np.random.default_rng([seed, zlib.crc32(task.encode())])
        hard = _contributions(rng, shared_sd, (patients, 1))
        weights = rng.multinomial(patients, np.full(patients, 1 / patients), size=resamples)
        targets = _targets(study, task)
        effects = _seed_effects(study, rng, seed_sd, nested)
        own_rng = np.random.default_rng([seed, zlib.crc32(task.encode()), 1])
        largest = float(study.subsets.sizes[-1])
        labels = _Labels.draw(own_rng, len(targets), patients, label_sd, largest)
        for run in study.baseline_runs + study.pretraining_runs:
            run_effect = effects.get(run, 0.0)
            own = _contributions(rng, own_sd, (patients, 1))
            errors = truth(run, task) * np.exp(run_effect) * (hard * own)[:, 0]
            draws = weights @ errors / patients
            shares, share_draws = labels.shares(run, resamples)
            if run in missing:
                continue
            head = {"arm": run.arm, "encoder": study.encoder_of(run.arm)} | {
                "size": run.size, "images": run.size or None, "seed": run.seed,
                "task": task, "head": study.head_of(task), "metric": metric,
                "confidence": study.evaluation.confidence, "cases": patients,
                "resamples_used": resamples,
            }  # fmt: skip
            tail = (1 - study.evaluation.confidence) / 2
            for place, target in enumerate(["macro", *targets]):
                share, share_draw = (1.0, 1.0) if not place else (
                    shares[place - 1], share_draws[:, place - 1]
                )  # fmt: skip
                value = 1 - min(float(errors.mean() * share), 1.0)
                sample = 1 - np.minimum(draws * share_draw, 1.0)
                low, high = np.quantile(sample, [tail, 1 - tail])
                tables.append(
                    head
                    | {
                        "target": target,
                        "value": value,
                        "lower": float(low),
                        "upper": float(high),
                        "positives": int(labels.positives[place - 1]) if place else patients // 5,
                        "resamples": sample.tolist(),
                    }
                )
    return (
        pl.DataFrame(tables, infer_schema_length=None, orient="row")
        .select(COLUMNS)
        .sort("arm", "size", "seed", "task", "target", "metric")
    )


@dataclass(frozen=True)
class _Labels:
    """Labels of a task, with errors as multiples of the task's, 1 on average.

    Labels differ in level, in slope, and in noise, as their numbers of positives do.
    """

    rng: np.random.Generator
    level: Array
    slope: Array
    positives: NDArray[np.int64]
    largest: float

    @classmethod
    def draw(
        cls, rng: np.random.Generator, count: int, patients: int, sd: float, largest: float
    ) -> "_Labels":
        positives = np.maximum(patients // (3 + 2 * np.arange(count)), 1)
        return cls(rng, rng.normal(0, 0.3, count), rng.normal(0, sd, count), positives, largest)

    def shares(self, run: Run, resamples: int) -> tuple[Array, Array]:
        """Multiples for a run, [labels], and at each bootstrap draw, [resamples, labels]."""
        if not self.level.size:
            return self.level, np.empty((resamples, 0))
        noise = 0.4 / np.sqrt(self.positives)
        place = np.log(run.size / self.largest) if run.size else 0.0
        logs = self.level + self.slope * place + noise * self.rng.normal(size=self.level.size)
        draws = logs + noise * self.rng.normal(size=(resamples, self.level.size))
        return (
            np.exp(logs) / np.exp(logs).mean(),
            np.exp(draws) / np.exp(draws).mean(axis=1, keepdims=True),
        )


def _seed_effects(
    study: Study, rng: np.random.Generator, sd: float, nested: float
) -> dict[Run, float]:
    """Departure of each run's log error from its law: its own luck, and that of its subset.

    A mean over n of N nested images is a random walk over images, divided by n.
    """
    effects: dict[Run, float] = {}
    walk: dict[tuple[str, int], tuple[int, float]] = {}
    for run in sorted(study.pretraining_runs, key=lambda run: (run.arm, run.seed, run.size)):
        size, total = walk.get((run.arm, run.seed), (0, 0.0))
        total += float(rng.normal(0, np.sqrt(run.size - size)))
        walk[run.arm, run.seed] = run.size, total
        luck = float(rng.normal(0, np.sqrt(1 - nested)))
        effects[run] = sd * (luck + np.sqrt(nested) * total / np.sqrt(run.size))
    return effects


def _contributions(rng: np.random.Generator, sd: float, shape: tuple[int, int]) -> Array:
    """Log-normal factors with mean 1."""
    return np.exp(rng.normal(-(sd**2) / 2, sd, shape))


def _targets(study: Study, task: str) -> tuple[str, ...]:
    return study.evaluation.tasks[task].targets(study.labels)


def power_truth(
    laws: Mapping[str, tuple[float, float, float]], baselines: Mapping[str, float]
) -> Truth:
    """A truth from laws (a, b, c) by arm and errors by baseline; the same for every task."""

    def truth(run: Run, task: str) -> float:
        if run.size == 0:
            return baselines[run.arm]
        a, b, c = laws[run.arm]
        return float(a * run.size**-b + c)

    return truth
