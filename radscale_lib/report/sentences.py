"""Results as sentences, written from the fits and crossovers and nothing else."""

from collections.abc import Mapping
from typing import Any

import polars as pl

from radscale_lib.report.words import images, interval, listed, task_title
from radscale_lib.study import Study


def studied(study: Study, scores: pl.DataFrame) -> list[str]:
    """What was studied, in two sentences."""
    sizes = listed(images(size) for size in study.subsets.sizes)
    seeds = {arm: len(section.seeds) for arm, section in study.arms.items()}
    arms = listed(f"{arm} ({n} seed{'s' * (n > 1)})" for arm, n in seeds.items())
    tasks = [task for task in study.scaling.metrics if task in set(scores["task"])]
    titles = listed(task_title(study, task).lower() for task in tasks)
    count = len(study.arms)
    first = (
        f"{count} arm{'s' * (count > 1)}, {arms}, continued from "
        f"{listed(study.baselines.values())} on nested subsets of {sizes} images, "
        "each run seeing the same number of samples."
    )
    most = max([0, *scores["cases"]])
    second = (
        f"Every encoder was frozen and evaluated on {titles}, with up to {most:,} test cases and "
        f"{study.evaluation.resamples:,} resamples of the test patients, the same for all encoders."
    )
    return [first, second]


def overview(fits: pl.DataFrame) -> str:
    """How many curves rise, fall, stay flat or were not fitted."""
    chosen = fits.filter(pl.col("chosen"))
    curves = fits.select("arm", "task").n_unique()
    rising = len(chosen.filter((pl.col("form") != "constant") & pl.col("identified")))
    flat = len(chosen.filter(pl.col("form") == "constant"))
    falling = len(chosen) - rising - flat
    parts = [
        f"{count} {word}"
        for count, word in (
            (rising, "rise with the number of images"),
            (flat, "show no identified rise (flat)"),
            (falling, "fall"),
            (curves - len(chosen), "could not be fitted"),
        )
        if count
    ]
    return f"Of {curves} curves (arm and task), {listed(parts)}."


def task_results(
    study: Study, series: pl.DataFrame, fits: pl.DataFrame, crossovers: pl.DataFrame, task: str
) -> list[str]:
    """One task's results: a sentence for each arm, best at its largest size first.

    Args:
        study: names and titles.
        series: the task's plotted table (`report.series`).
        fits: the fits table.
        crossovers: the crossovers table.
        task: the task.
    """
    means = series.filter(pl.col("kind") == "mean").sort("size")
    last = means.group_by("arm", maintain_order=True).last()
    out = []
    for row in last.sort("value", descending=True).iter_rows(named=True):
        of_arm = (pl.col("task") == task) & (pl.col("arm") == row["arm"])
        chosen = fits.filter(of_arm & pl.col("chosen")).rows(named=True)
        crossed = crossovers.filter(of_arm).rows(named=True)
        sentence = _course(row, chosen[0] if chosen else None)
        if crossed:
            sentence += f", and {_overtaking(crossed[0])}"
        out.append(f"{sentence}.")
    return out


def _course(mean: dict[str, Any], fit: dict[str, Any] | None) -> str:
    """An arm's course from its smallest to its largest size."""
    arm = mean["arm"]
    value = interval(mean["value"], mean["lower"], mean["upper"])
    at = f"{value} at {images(mean['size'])} images"
    if fit is None:
        return f"{arm} has {at}, too few sizes for a fit"
    change = interval(fit["change"], fit["change_lower"], fit["change_upper"], sign=True)
    if fit["form"] == "constant":
        return f"{arm} is flat: no rise identified (change {change}), {at}"
    return f"{arm} {'rises' if fit['identified'] else 'falls'} by {change} to {at}"


def _overtaking(row: dict[str, Any]) -> str:
    baseline = row["baseline"]
    return {
        "within": f"overtakes {baseline} at {row['text']}",
        "below": f"is ahead of {baseline} from the smallest size on",
        "above": f"does not overtake {baseline} within the studied sizes",
        "never": f"does not reach {baseline}",
        "undetermined": f"is not told apart from {baseline} "
        f"({percent(row['ahead'])} probability of being ahead at its largest size)",
    }[row["state"]]


def percent(share: float) -> str:
    """A probability in per cent, never 0 or 100 %."""
    return f"{share:.0%}" if 0.005 <= share <= 0.995 else ("> 99%" if share > 0.5 else "< 1%")


def law_text(fit: Mapping[str, Any]) -> str:
    """A fitted law in words and numbers."""
    if fit["curve"] is None:
        return "not fitted"
    if fit["form"] == "constant":
        return "flat"
    exponent = f"exponent {interval(fit['b'], fit['b_lower'], fit['b_upper'])}"
    if fit["form"] == "power":
        return f"power law, {exponent}"
    ceiling = interval(1 - fit["c"], 1 - fit["c_upper"], 1 - fit["c_lower"])
    start = " and start" if fit["form"] == "double_saturating" else ""
    return f"power law with floor{start}: {exponent}, ceiling {ceiling}"
