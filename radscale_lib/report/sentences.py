"""Results as sentences, written from the fits and crossovers and nothing else."""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from radscale_lib.report.words import format_count, interval, listed, number, percent, task_title
from radscale_lib.scaling.tables import NO_TREND
from radscale_lib.study import Study


def studied(
    study: Study, scores: pl.DataFrame, cards: Sequence[Mapping[str, Any]] = ()
) -> list[str]:
    """A few sentences on what was studied.

    Args:
        study: names arms, sizes and tasks.
        scores: the scores table.
        cards: the run cards, which state the samples that runs have seen; without them the planned
            budgets are given.
    """
    sizes = listed(format_count(size) for size in study.subsets.sizes)
    seeds = {arm: len(section.seeds) for arm, section in study.arms.items()}
    arms = listed(f"{arm} ({n} seed{'s' * (n > 1)})" for arm, n in seeds.items())
    tasks = [task for task in study.scaling.metrics if task in set(scores["task"])]
    titles = listed(task_title(study, task).lower() for task in tasks)
    count = len(study.arms)
    first = (
        f"{count} arm{'s' * (count > 1)}, {arms}, continued from "
        f"{listed(study.origins.values())} on nested subsets of {sizes} images, "
        f"{_budgets(study, cards)}."
    )
    if not study.arms:
        first = "No encoder was trained here."
    if study.baselines:
        first += f" Evaluated only: {listed(study.baselines)}."
    most = max([0, *scores.filter(pl.col("target") != "micro")["cases"]])
    second = (
        f"Every encoder was frozen and evaluated on {titles}, with up to {most:,} test cases and "
        f"{study.evaluation.resamples:,} resamples of the test patients, the same for all encoders."
    )
    return [first, second, *_decoder_seeds(study)]


def _decoder_seeds(study: Study) -> list[str]:
    """Whether intervals include the variance between decoder seeds."""
    seeds = {
        task: section.decoder_seeds
        for task, section in study.evaluation.tasks.items()
        if section.decoder_seeds is not None
    }
    one = listed(task_title(study, task).lower() for task, count in seeds.items() if count == 1)
    more = [
        f"Decoders of {task_title(study, task).lower()} were trained from {count} seeds, whose "
        "differences are in the intervals."
        for task, count in seeds.items()
        if count > 1
    ]
    alone = (
        f"Decoders of {one} were trained from one seed: intervals leave out how their seeds differ."
    )
    return [alone, *more] if one else more


def _budgets(study: Study, cards: Sequence[Mapping[str, Any]]) -> str:
    """The samples that each arm's runs saw, or the planned number if no card says."""
    seen: dict[str, set[int]] = {}
    for card in cards:
        if card["arm"] in study.trained_arms and card["status"] == "ok":
            seen.setdefault(card["arm"], set()).add(int(card["samples_seen"]))
    arms: dict[str, list[str]] = {}
    for name, arm in study.trained_arms.items():
        counts = sorted(seen.get(name, {arm.recipe.optimiser.samples}))
        samples = " to ".join(f"{count:,}" for count in dict.fromkeys([counts[0], counts[-1]]))
        arms.setdefault(samples, []).append(name)
    if len(arms) == 1:
        return f"each run seeing {next(iter(arms))} samples"
    each = listed(f"{samples} samples in {listed(names)}" for samples, names in arms.items())
    return f"each run seeing {each}"


def overview(verdicts: pl.DataFrame) -> str:
    """The numbers of curves that rise, fall, show no trend or were not fitted."""
    curves = verdicts.filter(kind="rises", target="macro")
    counts = {verdict: len(curves.filter(verdict=verdict)) for verdict in curves["verdict"]}
    parts = [
        f"{counts[verdict]} {one if counts[verdict] == 1 else several}"
        for verdict, one, several in (
            ("supported", *(f"{verb} with the number of images" for verb in ("rises", "rise"))),
            ("undecided", *(f"{verb} no identified trend" for verb in ("shows", "show"))),
            ("contradicted", "falls", "fall"),
            ("not testable", *["could not be fitted"] * 2),
        )
        if verdict in counts
    ]
    chance = curves["expected_by_chance"].drop_nulls()
    by_chance = ""
    if len(chance):
        expected = number(chance[0], 1)
        by_chance = f" By chance alone, about {expected} would be called rising or falling."
    return f"Of {len(curves)} curves (arm and task), {listed(parts)}.{by_chance}"


def task_results(
    study: Study, series: pl.DataFrame, fits: pl.DataFrame, crossovers: pl.DataFrame, task: str
) -> list[str]:
    """One task's results: a sentence for each arm, in order of the score at its largest size.

    If nothing could be scored, for instance because test images are too few, a sentence says so.

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
        opened = pl.col("baseline") == study.baseline_of(row["arm"]).arm
        crossed = crossovers.filter(of_arm & opened).rows(named=True)
        first = means.filter(arm=row["arm"])["size"][0]
        sentences = [course_sentence(row, first, chosen[0] if chosen else None)]
        if crossed:
            sentences.append(crossing_sentence(crossed[0]))
        out.append(" ".join(sentences))
    told = [*out, *_other_baselines(study, series), *_below_floors(study, series)]
    return told or ["No run has such a score: column note of scores.parquet gives the reasons."]


def _other_baselines(study: Study, series: pl.DataFrame) -> list[str]:
    """Encoders that were only evaluated, best first."""
    rows = series.filter(pl.col("arm").is_in(list(study.baselines))).sort(
        "value", descending=True, nulls_last=True
    )
    scores = [
        f"{row['arm']} {interval(row['value'], row['lower'], row['upper'])}"
        for row in rows.iter_rows(named=True)
    ]
    return [f"Evaluated only: {listed(scores)}."] if scores else []


def _below_floors(study: Study, series: pl.DataFrame) -> list[str]:
    """Scores below a floor of their encoder, a sentence for each floor."""
    floors = {row["arm"]: row["value"] for row in series.filter(kind="floor").iter_rows(named=True)}
    named = {
        "random": "its own architecture with random weights",
        "pixels": "principal components of the pixels",
    }
    below: dict[tuple[str, str], list[str]] = {}
    for row in series.filter(pl.col("kind").is_in(["mean", "baseline"])).iter_rows(named=True):
        encoder, value = study.encoder_of(row["arm"]), number(row["value"])
        for floor, (of, kind) in study.floors.items():
            if of == encoder and floor in floors and row["value"] < floors[floor]:
                better = f"{named[kind]} ({number(floors[floor])})"
                at = "" if row["kind"] == "baseline" else f" at {format_count(row['size'])} images"
                below.setdefault((row["arm"], better), []).append(f"{value}{at}")
    return [
        f"{arm} ({', '.join(values)}) scores below {better}."
        for (arm, better), values in below.items()
    ]


def course_sentence(mean: dict[str, Any], first: float, fit: dict[str, Any] | None) -> str:
    """An arm's course from its `first` size to its largest.

    Args:
        mean: its row of kind `mean` at the largest size, in the plotted table.
        first: its smallest size, images.
        fit: its row of the fits table; None if there were too few sizes to fit.
    """
    arm, value = mean["arm"], interval(mean["value"], mean["lower"], mean["upper"])
    last = format_count(mean["size"])
    if fit is None:
        return f"{arm}: {value} at {last} images, too few sizes for a fit."
    change = interval(fit["change"], fit["change_lower"], fit["change_upper"], sign=True)
    span = f"from {format_count(first)} to {last} images"
    if fit["trend"] == NO_TREND:
        return (
            f"{arm}: no clear trend; {span} its fitted curve changes by {change}; "
            f"at {last} images it scores {value}."
        )
    return (
        f"{arm} {fit['trend']} by {change} {span} on its fitted curve; "
        f"at {last} images it scores {value}."
    )


def crossing_sentence(row: Mapping[str, Any]) -> str:
    """Where an arm overtakes its open weights, from a row of the crossovers table."""
    opened = f"the open weights it starts from ({row['baseline']}, {number(row['baseline_value'])})"
    difference = interval(
        row["difference"], row["difference_lower"], row["difference_upper"], sign=True
    )
    return {
        "within": f"It overtakes {opened} at {row['text']}.",
        "below": f"It is ahead of {opened} at the largest size; it overtook them at {row['text']}.",
        "above": f"It does not overtake {opened} within the studied sizes.",
        "never": f"It does not reach {opened}.",
        "undetermined": f"Its fitted difference from {opened}, {difference}, is undecided.",
    }[row["state"]]


def law_text(fit: Mapping[str, Any]) -> str:
    """A fitted law in words and numbers: the reported curve, and its most likely form."""
    if fit["curve"] is None:
        return "not fitted"
    if fit["trend"] == NO_TREND:
        return NO_TREND
    elasticity = interval(fit["elasticity"], fit["elasticity_lower"], fit["elasticity_upper"])
    form = {
        "constant": "constant",
        "power": "power law",
        "power_floor": "power law with floor",
        "double_saturating": "power law with floor and start",
    }[fit["form"]]
    return f"elasticity {elasticity}; {form} ({percent(fit['probability'])})"
