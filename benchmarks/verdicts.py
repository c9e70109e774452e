"""Measure false and true verdicts on whole simulated studies, flat ones and with planted rises.

1,000 studies have 12 flat curves, with equal arms and baselines: how many have a false claim.
Then a trend of 2, 3 or 4 standard errors is added to some curves of `--rising` of them: how many of
these rises are found, compared with an oracle that knows the threshold on the same posterior at
which 10 % of the flat studies have a false rise.

Trends have a posterior of their own, so that only that one is computed for all studies; the first
`--full` of them are fitted and judged whole, which shows that both find the same rises, and how
often the other claims are false. Prints Markdown tables, and with `--write` puts them into
docs/measured/verdicts.md. With `--results FOLDER` each study is kept there: an interrupted run goes
on, and several may share the work (`--first`).
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.scaling_coverage import NESTED, SPACINGS, study, write
from radscale_lib.files import atomic_write
from radscale_lib.scaling.laws import Array, even_powers
from radscale_lib.scaling.multiplicity import benjamini_hochberg, gate, p_values
from radscale_lib.scaling.noise import nested_luck, split_noise
from radscale_lib.scaling.posterior import NOISE_POWER_TREND, SMOOTH, posterior
from radscale_lib.scaling.simulate import simulate_scores
from radscale_lib.scaling.study_curves import StudyCurve
from radscale_lib.scaling.study_fits import fit_tasks, seed_noise
from radscale_lib.scaling.verdicts import GATE, claims_of, decide
from radscale_lib.study import Study

LEVEL = 0.1
ERROR = 0.2
"""Error of every run."""
SEED_SD = 0.02
EFFECTS = (0, 2, 3, 4)
"""Planted rises, in standard errors of the exponent."""
RISING = (1, 4, 12)
"""Number of the 12 curves that rise."""
PAGE = Path("docs/measured/verdicts.md")
Outcome = dict[str, Any]


def flat_scores(plan: Study, number: int) -> pl.DataFrame:
    """Macro scores of a study in which nothing is true."""
    scores = simulate_scores(
        plan, lambda run, task: ERROR, seed=number, seed_sd=SEED_SD, nested=NESTED
    )
    return scores.filter(pl.col("target") == "macro")


@dataclass(frozen=True)
class Trend:
    """The data behind the posterior of one curve's trend."""

    curve: StudyCurve
    own: Array
    seeds: tuple[float, float] | None

    @classmethod
    def read(cls, rows: pl.DataFrame, arm: str) -> "Trend":
        """Of an arm, from the macro rows of a task."""
        sized = pl.col("size") > 0
        curve = StudyCurve.read(rows.filter(sized & (pl.col("arm") == arm)), rows.clear())
        own = split_noise(curve.draws, curve.errors.size).own
        return cls(curve, own, seed_noise(rows.filter(pl.col("arm") != arm)))

    @property
    def luck(self) -> Array:
        """Correlation of the seeds' noise."""
        return nested_luck(self.curve.seeds, self.curve.images)

    @property
    def standard_error(self) -> float:
        """Of the exponent, by generalised least squares with the true noise."""
        covariance = SEED_SD**2 * self.luck + np.diag(self.own)
        design = np.stack([np.ones(self.own.size), np.log(self.curve.images)])
        return float(np.sqrt(np.linalg.inv(design @ np.linalg.inv(covariance) @ design.T)[1, 1]))

    def rises(self, effect: float) -> float:
        """Probability of a rise if the error fell by `effect` standard errors more."""
        log_u = np.log(self.curve.images / self.curve.images.max())
        log_error = np.log(self.curve.errors) - effect * self.standard_error * log_u
        plain = posterior(
            even_powers(), log_u, log_error, self.own, self.luck, self.seeds,
            misfits=np.zeros(1), kinds=(SMOOTH,), noise_power=NOISE_POWER_TREND,
        )  # fmt: skip
        return float(plain.weights[:, plain.grid.exponent > 0].sum())


def simulate(number: int, rising: bool, full: bool, spacing: str = "paper") -> Outcome:
    """One study: probabilities of rises as it is, planted if `rising`, and if `full` the claims."""
    plan = study(SPACINGS[spacing])
    scores = flat_scores(plan, number)
    trends = [
        Trend.read(scores.filter(pl.col("task") == task), arm)
        for task in plan.scaling.metrics
        for arm in plan.arms
    ]
    found: Outcome = {
        "rises": {
            str(effect): [one.rises(effect) for one in trends]
            for effect in (EFFECTS if rising else EFFECTS[:1])
        }
    }
    if full:
        claims = claims_of(plan, fit_tasks(plan, scores))
        rows = decide(claims, LEVEL)
        decided = [row for row in rows if row["verdict"] in {"supported", "contradicted"}]
        found["false"] = sorted({row["family"] for row in decided})
        found["whole"] = [claim.probability for claim in claims if claim.kind == "rises"]
        found["least p"] = {
            family: min(claim.p for claim in claims if claim.family == family) for family in GATE
        }
    return found


def decided(probability: Array) -> Array:
    """Which rises are decided, if no other claim opens the gate."""
    p = p_values(probability)
    adjusted = np.maximum(benjamini_hochberg(p), gate({"rises": p}, GATE))
    return np.asarray(adjusted <= LEVEL)


def outcomes(
    numbers: range, rising: int, full: int, spacing: str, folder: Path | None
) -> list[Outcome]:
    """Outcomes of the studies, simulated unless the folder has them."""
    found = []
    for number in numbers:
        wanted = (number < rising, number < full)
        kind = "whole" if wanted[1] else "rising" if wanted[0] else "flat"
        name = f"{spacing}, {kind}, {number:04d}.json"
        path = folder / name if folder else None
        if path and path.exists():
            found.append(json.loads(path.read_text()))
            continue
        found.append(simulate(number, *wanted, spacing))
        if path:
            with atomic_write(path) as partial:
                partial.write_text(json.dumps(found[-1]))
    return found


def tables(found: Sequence[Outcome]) -> Iterator[str]:
    """False claims of flat studies, then power, line by line."""
    flat = np.array([one["rises"]["0"] for one in found])
    false = np.mean([decided(of).any() for of in flat])
    alone = np.mean((p_values(flat) <= LEVEL).any(axis=1))
    yield (
        f"Of {len(found)} flat studies, {false:.1%} have a curve that is called rising or falling, "
        f"at the nominal level of {LEVEL:.0%}. If each curve were judged alone, {alone:.0%} would."
    )
    yield ""
    yield from _whole([one for one in found if "whole" in one])
    risen = [one["rises"] for one in found if len(one["rises"]) > 1]
    limit = float(np.quantile(p_values(flat).min(axis=1), LEVEL))
    yield (
        f"Share of planted rises that are found in {len(risen)} of these studies. The oracle knows "
        f"the p-value below which {LEVEL:.0%} of the flat studies fall ({limit:.4f}):"
    )
    yield ""
    yield "| rise | curves that rise | found | oracle |"
    yield "|---|---|---|---|"
    for effect in EFFECTS[1:]:
        for rising in RISING:
            hits, oracle = [], []
            for number, one in enumerate(risen):
                mixed, high = np.array(one["0"]), np.array(one[str(effect)])
                up = np.random.default_rng(number).permutation(mixed.size)[:rising]
                mixed[up] = high[up]
                hits.append((decided(mixed) & (mixed > 0.5))[up].mean())
                oracle.append(((p_values(mixed) <= limit) & (mixed > 0.5))[up].mean())
            shares = f"{np.mean(hits):.2f} | {np.mean(oracle):.2f}"
            yield f"| {effect} standard errors | {rising} of {flat.shape[1]} | {shares} |"


def _whole(found: Sequence[Outcome]) -> Iterator[str]:
    """The results of whole fits of the same studies."""
    if not found:
        return
    families = ("rises", "gains", "overtakes", "ahead", "slope", "stated")
    most = max(
        abs(one - other)
        for of in found
        for one, other in zip(of["rises"]["0"], of["whole"], strict=True)
    )
    yield (
        f"{len(found)} of them were fitted and judged whole (their probabilities of a rise differ "
        f"from those by {most:.1e} at most). Share with a false claim, by family:"
    )
    yield ""
    yield "| any | " + " | ".join(families) + " |"
    yield "|---" * (len(families) + 1) + "|"
    shares = [np.mean([family in one["false"] for one in found]) for family in families]
    anything = np.mean([bool(one["false"]) for one in found])
    yield f"| {anything:.3f} | " + " | ".join(f"{share:.3f}" for share in shares) + " |"
    yield ""


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate, judge, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first study")
    parser.add_argument("--rising", type=int, default=250, help="in those below this, rises")
    parser.add_argument("--full", type=int, default=0, help="studies below this are fitted whole")
    parser.add_argument("--spacing", choices=SPACINGS, default="paper", help="of the sizes")
    parser.add_argument("--results", type=Path, help="folder of outcomes, to go on from")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE}")
    args = parser.parse_args(argv)
    numbers = range(args.first, args.first + args.studies)
    lines = list(tables(outcomes(numbers, args.rising, args.full, args.spacing, args.results)))
    print("\n".join(lines))
    if args.write:
        write(lines, PAGE)


if __name__ == "__main__":
    main()
