"""Measure the coverage of the fits' intervals on whole simulated studies with known laws.

Prints a Markdown table, and with `--write` puts it into docs/measured/scaling-fits.md. 125 studies
a row are 1,000 in all. With `--results FOLDER` each study's outcome is kept there: an interrupted
run continues, and several may share the work (`--first`).
After a change of the fits take another folder.
"""

import argparse
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import yaml

from radscale_lib.files import atomic_write
from radscale_lib.scaling.simulate import simulate_scores
from radscale_lib.scaling.tables import fit_study
from radscale_lib.study import Run, Study, parse_study

Law = Callable[[float], float]
"""Error at a number of images."""

SPACINGS = {
    "demo": (50, 100, 200, 400, 1200),
    "paper": (30_000, 50_000, 100_000, 1_000_000, 3_500_000),
}
NESTED = 0.5
"""Share of the seed variance that nested subsets have in common."""
PAGE = Path("docs/measured/scaling-fits.md")
MARKS = ("<!-- simulated -->\n", "<!-- end of simulated -->\n")


def law(kind: str, sizes: Sequence[int], rng: np.random.Generator) -> Law:
    """A law of one kind, with random parameters."""
    largest = sizes[-1]
    level = rng.uniform(0.08, 0.3)
    b = float(np.exp(rng.uniform(np.log(0.05), np.log(0.6))))
    share = rng.uniform(0.2, 0.9)
    if kind == "flat":
        return lambda n: level
    if kind == "power":
        b = min(b, np.log(0.45 / level) / np.log(largest / sizes[0]))
        return lambda n: level * (n / largest) ** -b
    if kind == "power with floor":
        top = np.log((0.45 / level - share) / (1 - share)) / np.log(largest / sizes[0])
        b = min(b, top)
        return lambda n: level * (share + (1 - share) * (n / largest) ** -b)
    # Slow start, then a fall, then a floor: not one of the fitted forms.
    half = float(np.exp(rng.uniform(np.log(sizes[0]), np.log(largest))))
    drop = rng.uniform(0.3, 0.7)
    return lambda n: 0.4 * (1 - drop * (1 - 1 / (1 + (n / half) ** 0.8)))


def study(sizes: Sequence[int]) -> Study:
    """The demo study with these sizes."""
    values = yaml.safe_load(Path("config/config.yaml").read_text())
    values["institution"] = {"dicom": "none", "reports": "none", "labels": "none", "tubes": "none"}
    values["subsets"] = {"sizes": list(sizes)}
    for arm, seeds in zip(values["arms"].values(), ([0], [0, 1], [0, 1, 2]), strict=True):
        arm["seeds"] = seeds
    return parse_study(values)


def exponent(of: Law, largest: float) -> float:
    """-d log error / d log n of a law at the largest size."""
    step = 1.001
    return float(-np.log(of(largest * step) / of(largest / step)) / np.log(step**2))


def simulate(kind: str, spacing: str, number: int, seed_sd: float) -> dict[str, list[float]]:
    """One study: truths inside the intervals, trends found, and biases of exponents."""
    held: dict[str, list[float]] = defaultdict(list)
    plan = study(SPACINGS[spacing])
    sizes = plan.subsets.sizes
    rng = np.random.default_rng([number, len(kind)])
    laws = {(a, t): law(kind, sizes, rng) for a in plan.arms for t in plan.scaling.metrics}
    # Each baseline is what its first arm would reach somewhere around the studied sizes.
    ends = np.log([sizes[0] / 3, sizes[-1] * 3])
    place = {name: np.exp(rng.uniform(*ends)) for name in plan.origins.values()}
    first = {plan.baseline_of(arm).arm: arm for arm in reversed(plan.arms)}

    def truth(run: Run, task: str) -> float:
        if run.size == 0:
            return float(laws[first[run.arm], task](place[run.arm]))
        return float(laws[run.arm, task](run.size))

    scores = simulate_scores(plan, truth, seed=number, seed_sd=seed_sd, nested=NESTED)
    fits, crossovers, comparisons, *_ = fit_study(plan, scores.filter(pl.col("target") == "macro"))
    for row in fits.filter(fits["form"] == "power").iter_rows(named=True):
        true = exponent(laws[row["arm"], row["task"]], sizes[-1])
        held["exponent bias"].append(row["b"] - true)
    for row in comparisons.iter_rows(named=True):
        one, two = (laws[row[name], row["task"]](row["size"]) for name in ("arm", "other"))
        held["arms"].append(row["difference_lower"] <= two - one <= row["difference_upper"])
        if abs(row["ahead"] - 0.5) > 0.4:
            held["winner right"].append((row["ahead"] > 0.5) == (two > one) or one == two)
    for row in fits.filter(fits["chosen"]).iter_rows(named=True):
        of = laws[row["arm"], row["task"]]
        horizon = plan.scaling.horizon * sizes[-1]
        for point in row["curve"]:
            name = "horizon" if point["size"] > sizes[-1] * 1.99 else None
            name = "value" if point["size"] in sizes else name
            if name:
                held[name].append(point["lower"] <= 1 - of(point["size"]) <= point["upper"])
        gain = of(sizes[-1]) - of(horizon)
        held["gain"].append(row["gain_lower"] <= gain <= row["gain_upper"])
        change = of(sizes[0]) - of(sizes[-1])
        held["change"].append(row["change_lower"] <= change <= row["change_upper"])
        held["rise found"].append(row["identified"])
    for row in crossovers.iter_rows(named=True):
        of = laws[row["arm"], row["task"]]
        base = truth(Run(row["baseline"], 0, 0), row["task"])
        ahead = base - of(sizes[-1])
        held["difference"].append(row["difference_lower"] <= ahead <= row["difference_upper"])
        grid = np.geomspace(sizes[0], sizes[-1], 400)
        reached = np.array([of(n) for n in grid]) <= base + 1e-12
        true = grid[reached.argmax()] if reached.any() else np.inf
        low = row["crossover_lower"] or 0
        high = row["crossover_upper"] or np.inf
        if kind != "flat":
            held["crossover"].append(_holds(true, low, high, row, sizes))
            if sizes[0] < true < sizes[-1] and row["crossover"]:
                held["within x2"].append(0.5 <= row["crossover"] / true <= 2)
            wrong = (row["state"] == "below" and not reached[0]) or (
                row["state"] == "within" and not reached.any()
            )
            held["false crossover"].append(wrong)
    return {name: [float(one) for one in values] for name, values in held.items()}


def _holds(true: float, low: float, high: float, row: dict, sizes: Sequence[int]) -> bool:  # type: ignore[type-arg]
    """Whether the interval, open where it leaves the studied sizes, holds the crossover."""
    if row["state"] == "below" and row["crossover_upper"] is None:
        high = sizes[0] * 1.0001
    if row["state"] in {"above", "never"} and row["crossover_lower"] is None:
        low = sizes[-1]
    return low <= true * 1.02 and true <= high * 1.02


COLUMNS = (
    "value", "horizon", "change", "gain", "difference", "arms", "winner right", "crossover",
    "within x2", "false crossover", "rise found", "exponent bias",
)  # fmt: skip


KINDS = ("flat", "power", "power with floor", "saturating")
Row = tuple[str, str]
"""Kind of law, and spacing of the sizes."""


def outcomes(
    studies: range, seed_sd: float, folder: Path | None
) -> dict[Row, dict[str, list[float]]]:
    """Outcomes of the studies of each row, simulated unless the folder has them."""
    found: dict[Row, dict[str, list[float]]] = {}
    for number in studies:
        for kind in KINDS:
            for spacing in SPACINGS:
                outcome = _outcome(kind, spacing, number, seed_sd, folder)
                of_row = found.setdefault((kind, spacing), {})
                for name, values in outcome.items():
                    of_row.setdefault(name, []).extend(values)
    return found


def _outcome(
    kind: str, spacing: str, number: int, seed_sd: float, folder: Path | None
) -> dict[str, list[float]]:
    path = folder / f"{kind}, {spacing}, seed sd {seed_sd:g}, {number:04d}.json" if folder else None
    if path and path.exists():
        return dict(json.loads(path.read_text()))
    outcome = simulate(kind, spacing, number, seed_sd)
    if path:
        with atomic_write(path) as partial:
            partial.write_text(json.dumps(outcome))
    return outcome


def table(found: dict[Row, dict[str, list[float]]]) -> Iterator[str]:
    """The Markdown table, line by line."""
    yield "| law | sizes | curves | " + " | ".join(COLUMNS) + " |"
    yield "|---" * (len(COLUMNS) + 3) + "|"
    for (kind, spacing), of_row in found.items():
        cells = [f"{np.mean(of_row[name]):.2f}" if name in of_row else "–" for name in COLUMNS]
        yield f"| {kind} | {spacing} | {len(of_row['change'])} | " + " | ".join(cells) + " |"


def write(lines: Sequence[str], page: Path) -> None:
    """Put tables between the marks of a page."""
    before, rest = page.read_text().split(MARKS[0])
    _, after = rest.split(MARKS[1])
    text = before + MARKS[0] + "\n".join(lines) + "\n" + MARKS[1] + after
    with atomic_write(page) as partial:
        partial.write_text(text)


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate, fit, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=20, help="studies a row (12 curves each)")
    parser.add_argument("--first", type=int, default=0, help="number of the first study")
    parser.add_argument("--seed-sd", type=float, default=0.03, help="seed noise of the log error")
    parser.add_argument("--results", type=Path, help="folder of outcomes, to go on from")
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE}")
    args = parser.parse_args(argv)
    studies = range(args.first, args.first + args.studies)
    lines = list(table(outcomes(studies, args.seed_sd, args.results)))
    print("\n".join(lines))
    if args.write:
        write(lines, PAGE)


if __name__ == "__main__":
    main()
