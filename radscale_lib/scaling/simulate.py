"""Simulated scores with known laws: what fits, figures and reports are tested and measured on."""

import zlib
from collections.abc import Callable, Mapping

import numpy as np
import polars as pl

from radscale_lib.scaling.laws import Array
from radscale_lib.study import Run, Study

Truth = Callable[[Run, str], float]
"""Expected error (1 - metric) of a run on a task."""

COLUMNS = [
    *("arm", "encoder", "size", "seed", "task", "target", "metric", "value", "lower", "upper"),
    *("confidence", "cases", "positives", "resamples_used", "resamples"),
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
    seed: int = 0,
    missing: frozenset[Run] = frozenset(),
) -> pl.DataFrame:
    """Scores of a study whose laws are known, with noise of patients and seeds.

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
        own_sd: the part of a run's own.
        nested: share of the seed variance that comes from which images a subset holds. Subsets of
            one seed are nested, so it is shared between sizes: correlation sqrt(n / N), n < N.
        seed: of every random draw.
        missing: runs without scores.
    """
    tables = []
    for task, metric in study.scaling.metrics.items():
        rng = np.random.default_rng([seed, zlib.crc32(task.encode())])
        hard = _contributions(rng, shared_sd, (patients, 1))
        weights = rng.multinomial(patients, np.full(patients, 1 / patients), size=resamples)
        targets = _targets(study, task)
        effects = _seed_effects(study, rng, seed_sd, nested)
        for run in study.runs:
            run_effect = effects.get(run, 0.0)
            own = _contributions(rng, own_sd, (patients, 1))
            errors = truth(run, task) * np.exp(run_effect) * (hard * own)[:, 0]
            draws = weights @ errors / patients
            offsets = rng.normal(0, 0.1, len(targets))
            if run in missing:
                continue
            head = {"arm": run.arm, "encoder": study.encoder_of(run.arm)} | {
                "size": run.size, "seed": run.seed, "task": task, "metric": metric,
                "confidence": study.evaluation.confidence, "cases": patients,
                "resamples_used": resamples,
            }  # fmt: skip
            tail = (1 - study.evaluation.confidence) / 2
            for target, scale in [("macro", 1.0), *zip(targets, np.exp(offsets), strict=True)]:
                value = 1 - min(float(errors.mean() * scale), 1.0)
                sample = 1 - np.minimum(draws * scale, 1.0)
                low, high = np.quantile(sample, [tail, 1 - tail])
                tables.append(
                    head
                    | {
                        "target": target,
                        "value": value,
                        "lower": float(low),
                        "upper": float(high),
                        "positives": patients // 5,
                        "resamples": sample.tolist() if target == "macro" else None,
                    }
                )
    return (
        pl.DataFrame(tables, infer_schema_length=None, orient="row")
        .select(COLUMNS)
        .sort("arm", "size", "seed", "task", "target", "metric")
    )


def _seed_effects(
    study: Study, rng: np.random.Generator, sd: float, nested: float
) -> dict[Run, float]:
    """Log error of each pretraining run beside its law: its own luck, and that of its subset.

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
    section = study.evaluation.tasks[task]
    if section.kind == "classification":
        return tuple(getattr(study.labels, section.target))
    return study.labels.tubes if section.kind == "segmentation" else ()


def power_truth(
    laws: Mapping[str, tuple[float, float, float]], baselines: Mapping[str, float]
) -> Truth:
    """A truth from laws (a, b, c) by arm, and errors by baseline name; the same for every task."""

    def truth(run: Run, task: str) -> float:
        if run.size == 0:
            return baselines[run.arm]
        a, b, c = laws[run.arm]
        return float(a * run.size**-b + c)

    return truth
