"""Do verdicts hold over a study? Whole studies in which nothing is true, and rises planted in them.

1,000 studies of 12 curves that are flat, all arms and baselines alike: how many have a false claim.
Then a trend of 2, 3 or 4 standard errors is added to some curves of the same studies: how many of
these rises are found, against an oracle, who knows the threshold on the same posterior that leaves
10 % of the flat studies with a false claim. Only the posterior of the trend is computed again for
this; `--check N` shows on N studies what whole fits find.

Prints Markdown tables, and with `--write` puts them into docs/verdicts.md. With `--results FOLDER`
each study is kept there: an interrupted run goes on, and several may share the work (`--first`).
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks.scaling_coverage import NESTED, SPACINGS, study, write
from radscale_lib.files import whole
from radscale_lib.scaling.claims import Claim
from radscale_lib.scaling.laws import even_powers
from radscale_lib.scaling.multiplicity import p_values
from radscale_lib.scaling.noise import nested_luck
from radscale_lib.scaling.posterior import SMOOTH, posterior
from radscale_lib.scaling.simulate import simulate_scores
from radscale_lib.scaling.study_fits import FittedArm, TaskFits, fit_tasks
from radscale_lib.scaling.verdicts import GATE, claims_of, decide
from radscale_lib.study import Run, Study

LEVEL = 0.1
ERROR = 0.2
"""Error of every run."""
SEED_SD = 0.02
EFFECTS = (2, 3, 4)
"""Planted rises, in standard errors of the exponent."""
RISING = (1, 4, 12)
"""How many of the 12 curves rise."""
PAGE = Path("docs/verdicts.md")
Outcome = dict[str, Any]


def fitted(plan: Study, number: int, trends: dict[tuple[str, str], float]) -> list[TaskFits]:
    """The fits of a simulated study; `trends` are exponents by arm and task, 0 where not named."""

    def truth(run: Run, task: str) -> float:
        b = trends.get((run.arm, task), 0.0)
        return ERROR * (run.size / plan.subsets.sizes[-1]) ** -b if run.size else ERROR

    scores = simulate_scores(plan, truth, seed=number, seed_sd=SEED_SD, nested=NESTED)
    return fit_tasks(plan, scores.filter(pl.col("target") == "macro"))


def simulate(number: int, spacing: str = "paper") -> Outcome:
    """One study: what is claimed of it as it is, and with rises planted."""
    plan = study(SPACINGS[spacing])
    tasks = fitted(plan, number, {})
    claims = claims_of(plan, tasks)
    rows = decide(claims, LEVEL)
    false = [row for row in rows if row["verdict"] in {"supported", "contradicted"}]
    found: Outcome = {
        "false": sorted({row["family"] for row in false}),
        "p": {family: [claim.p for claim in claims if claim.family == family] for family in GATE},
        "least p": min(claim.p for claim in claims),
        "least p, rises": min(claim.p for claim in claims if claim.kind == "rises"),
    }
    curves = {(arm.arm, fits.task): arm for fits in tasks for arm in fits.arms.values()}
    order = np.random.default_rng(number).permutation(len(curves))
    for effect in EFFECTS:
        shifted = {key: planted(arm, effect) for key, arm in curves.items()}
        for rising in RISING:
            keys = [list(curves)[place] for place in order[:rising]]
            found[f"{effect} SE, {rising}"] = _rising(claims, {key: shifted[key] for key in keys})
    return found


def _rising(claims: Sequence[Claim], rises: dict[tuple[str, str], float]) -> dict[str, Any]:
    """Decide again with these probabilities of a rise: how many are found, and their p-values."""
    changed = [
        replace(claim, probability=rises[key], p=float(p_values(rises[key])))
        if claim.kind == "rises" and (key := (claim.arm, claim.task)) in rises
        else claim
        for claim in claims
    ]
    rows = [
        row
        for row in decide(changed, LEVEL)
        if row["kind"] == "rises" and (row["arm"], row["task"]) in rises
    ]
    return {
        "found": sum(row["verdict"] == "supported" for row in rows),
        "p": [float(p_values(one)) if one > 0.5 else 1.0 for one in rises.values()],
    }


def standard_error(arm: FittedArm) -> float:
    """Of the exponent of a plain power law, by generalised least squares with the true noise."""
    curve, noise = arm.curve, arm.fit.noise
    covariance = SEED_SD**2 * nested_luck(curve.seeds, curve.images) + np.diag(noise.own)
    design = np.stack([np.ones(curve.errors.size), np.log(curve.images)])
    return float(np.sqrt(np.linalg.inv(design @ np.linalg.inv(covariance) @ design.T)[1, 1]))


def planted(arm: FittedArm, effect: float) -> float:
    """Probability of a rise if the curve fell by so many standard errors more."""
    curve = arm.curve
    log_u = np.log(curve.images / curve.images.max())
    log_error = np.log(curve.errors) - effect * standard_error(arm) * log_u
    plain = posterior(
        even_powers(), log_u, log_error, arm.fit.noise.own, nested_luck(curve.seeds, curve.images),
        arm.options["seed_noise"], misfits=np.zeros(1), kinds=(SMOOTH,),
    )  # fmt: skip
    return float(plain.weights[:, plain.grid.exponent > 0].sum())


def check(numbers: range, spacing: str = "paper") -> Iterator[str]:
    """Probabilities of planted rises by `planted`, and by fits of scores that rise."""
    plan = study(SPACINGS[spacing])
    yield "| study | effect | largest difference of probability | found by `planted`, by fits |"
    yield "|---|---|---|---|"
    for number in numbers:
        flat = fitted(plan, number, {})
        curves = {(arm.arm, fits.task): arm for fits in flat for arm in fits.arms.values()}
        for effect in EFFECTS:
            trends = {key: effect * standard_error(arm) for key, arm in curves.items()}
            rising = fitted(plan, number, trends)
            whole_fits = {
                (arm.arm, fits.task): arm.fit.rises for fits in rising for arm in fits.arms.values()
            }
            quick = {key: planted(arm, effect) for key, arm in curves.items()}
            most = max(abs(quick[key] - whole_fits[key]) for key in quick)
            counts = [sum(one > 0.95 for one in of.values()) for of in (quick, whole_fits)]
            yield f"| {number} | {effect} | {most:.4f} | {counts[0]}, {counts[1]} |"


def outcomes(numbers: range, spacing: str, folder: Path | None) -> list[Outcome]:
    """Outcomes of the studies, simulated unless the folder has them."""
    found = []
    for number in numbers:
        path = folder / f"{spacing}, {number:04d}.json" if folder else None
        if path and path.exists():
            found.append(json.loads(path.read_text()))
            continue
        found.append(simulate(number, spacing))
        if path:
            with whole(path) as partial:
                partial.write_text(json.dumps(found[-1]))
    return found


def tables(found: Sequence[Outcome]) -> Iterator[str]:
    """False claims of flat studies, then power, line by line."""
    yield f"Studies with a false claim, of {len(found)}, at nominal {LEVEL:.0%}:"
    yield ""
    families = ("rises", "gains", "overtakes", "ahead", "slope", "stated")
    yield "| any | " + " | ".join(families) + " |"
    yield "|---" * (len(families) + 1) + "|"
    shares = [np.mean([family in one["false"] for one in found]) for family in families]
    anything = np.mean([bool(one["false"]) for one in found])
    yield f"| {anything:.3f} | " + " | ".join(f"{share:.3f}" for share in shares) + " |"
    limits = {
        name: float(np.quantile([one[key] for one in found], LEVEL))
        for name, key in (("any claim", "least p"), ("rises alone", "least p, rises"))
    }
    yield ""
    yield (
        "Share of planted rises that are found, and that oracles find, who know the p-value that "
        f"{LEVEL:.0%} of the flat studies fall below: with any of their claims "
        f"({limits['any claim']:.5f}), or with a rise ({limits['rises alone']:.5f}):"
    )
    yield ""
    yield "| rise | curves that rise | found | oracle, any claim | oracle, rises alone |"
    yield "|---|---|---|---|---|"
    for effect in EFFECTS:
        for rising in RISING:
            of = [one[f"{effect} SE, {rising}"] for one in found]
            p = np.array([one["p"] for one in of])
            ours = sum(one["found"] for one in of) / p.size
            oracle = [f"{(p <= limit).mean():.2f}" for limit in limits.values()]
            yield f"| {effect} SE | {rising} of 12 | {ours:.2f} | {oracle[0]} | {oracle[1]} |"


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate, judge, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--first", type=int, default=0, help="number of the first study")
    parser.add_argument("--spacing", choices=SPACINGS, default="paper", help="of the sizes")
    parser.add_argument("--results", type=Path, help="folder of outcomes, to go on from")
    parser.add_argument("--check", type=int, metavar="N", help="check the planted rises instead")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE}")
    args = parser.parse_args(argv)
    numbers = range(args.first, args.first + (args.check or args.studies))
    if args.check:
        print("\n".join(check(numbers, args.spacing)))
        return
    lines = list(tables(outcomes(numbers, args.spacing, args.results)))
    print("\n".join(lines))
    if args.write:
        write(lines, PAGE)


if __name__ == "__main__":
    main()
