"""Measure the extrapolation of real learning curves, and justify the constants of the fits.

The folder given holds the curves of Alabdulmohsin et al. 2022 (`benchmark.{vision,lang}.csv`), of
LCDB 1.1 (`lcdb11_test_error_*.csv`) and of further sources (`more_curves.csv`: source, domain,
group, curve, size, value, se, role). Prints Markdown tables. With `--results FOLDER` the fits of
each domain are kept there, and an interrupted run continues; after a change of the fits take
another folder, and name the old one by `--against` for ratios on the same curves. `--vary` fits
again with each constant changed, and compares on whole sources: a constant is kept if the change
wins on few.
"""

import argparse
import json
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import polars as pl

from radscale_lib.files import atomic_write
from radscale_lib.scaling import fit as fits
from radscale_lib.scaling import laws, posterior
from radscale_lib.scaling.crossover import crossing_sizes, locate
from radscale_lib.scaling.fit import fit
from radscale_lib.scaling.laws import Array

DOMAINS = {
    "IC": "vision, all points",
    "IC5": "vision, 5 points",
    "NMT": "translation",
    "LM": "language models",
    "BB": "BIG-Bench",
    "spaced": "LCDB, 5 sizes spaced as the study's",
    "even": "LCDB, 5 sizes evenly spaced",
}


@dataclass(frozen=True)
class Curve:
    """Points to fit and points to predict, with source and domain."""

    source: str
    domain: str
    sizes: Array
    errors: Array
    standard_errors: Array | None
    test_sizes: Array
    test_errors: Array


def load(folder: Path, every: int = 1) -> list[Curve]:
    """All curves of the folder; of the evenly spaced LCDB curves every sixth."""
    table = pl.concat(
        [pl.read_csv(folder / f"benchmark.{name}.csv") for name in ("vision", "lang")]
    )
    curves = []
    for (domain, *_), rows in table.group_by("Domain", "Task", "Model", maintain_order=True):
        mean = rows.group_by("Training", "Seen Examples").agg(pl.col("Loss").mean())
        fitted, test = (
            mean.filter(pl.col("Training") == part).sort("Seen Examples").to_numpy().T[1:]
            for part in (1, 0)
        )
        curves.append(Curve(str(domain), str(domain), *fitted, None, *test))
        if domain == "IC":
            targets = np.geomspace(fitted[0][0], fitted[0][-1], 5)
            near = np.unique(np.abs(np.log(fitted[0][:, None] / targets)).argmin(axis=0))
            curves.append(Curve("IC", "IC5", *fitted[:, near], None, *test))
    spaced = pl.read_csv(folder / "lcdb11_test_error_radiology_spacing.csv")
    even = pl.read_csv(folder / "lcdb11_test_error_ladder.csv").with_columns(role=pl.lit("fit"))
    columns = ["n_train", "test_error_mean", "test_error_stderr"]
    for domain, rows, keep in (("spaced", spaced, every), ("even", even, 6 * every)):
        for key, of_curve in rows.group_by("openml_id", "learner", maintain_order=True):
            if zlib.crc32(str(key).encode()) % keep:
                continue
            part = of_curve.sort("n_train")
            points = part.select(columns).to_numpy().astype(np.float64)
            known = (part["role"] == "fit").to_numpy()
            if domain == "even":
                points, known = points[-7:], np.arange(7) < 5
            if len(points) != len(known) or known.sum() != 5 or (points[:, 1] <= 0).any():
                continue
            sizes, errors, noise = points[known].T
            curves.append(Curve("LCDB", domain, sizes, errors, noise, *points[~known, :2].T))
    return curves + list(_further(folder / "more_curves.csv", every))


def _further(path: Path, every: int) -> Iterator[Curve]:
    """The curves of further sources; of domains of more than 100 every k-th."""
    if not path.exists():
        return
    numbers = dict.fromkeys(("size", "value", "se"), pl.Float64)
    table = pl.read_csv(path, infer_schema_length=None, schema_overrides=numbers)
    for (source, domain), rows in table.group_by("source", "domain", maintain_order=True):
        keep = every if rows["curve"].n_unique() > 100 else 1
        for (name,), of_curve in rows.group_by("curve", maintain_order=True):
            if zlib.crc32(str(name).encode()) % keep:
                continue
            part = of_curve.sort("size")
            fitted = part.filter(pl.col("role") == "fit").select("size", "value", "se")
            beyond = part.filter(pl.col("role") != "fit").select("size", "value")
            sizes, errors, noise = fitted.to_numpy().T
            known = None if np.isnan(noise).any() else noise
            label = f"{source}: {domain}"
            yield Curve(str(source), label, sizes, errors, known, *beyond.to_numpy().T)


def weighted_law(curve: Curve) -> Array:
    """The peer: power law with floor, least squares of log error weighted by (n / largest)^2."""
    exponent, share = (
        axis.ravel()
        for axis in np.meshgrid(np.r_[0, np.geomspace(0.01, 4, 160)], np.linspace(0, 0.999, 160))
    )
    log_u, to = (np.log(n / curve.sizes[-1]) for n in (curve.sizes, curve.test_sizes))
    weight = np.exp(2 * log_u)
    residual = np.log(curve.errors) - laws.log_relative(
        exponent[:, None], share[:, None], 0.0, log_u
    )
    level = residual @ weight / weight.sum()
    best = int((residual**2 @ weight - weight.sum() * level**2).argmin())
    return np.asarray(level[best] + laws.log_relative(exponent[best], share[best], 0.0, to))


@dataclass(frozen=True)
class Result:
    """Log errors: truth, our centre, quantiles and moments, the peer's, and the largest size's.

    `beyond` marks the points beyond the largest size.
    """

    source: str
    domain: str
    beyond: Array
    truth: Array
    centre: Array
    quantiles: Array
    mean: Array
    spread: Array
    peer: Array
    last: float
    crossover: tuple[float, float, float, float] | None

    @classmethod
    def of(cls, values: dict[str, Any]) -> "Result":
        """From the values of JSON."""
        arrays = {"beyond", "truth", "centre", "quantiles", "mean", "spread", "peer"}
        read: dict[str, Any] = {k: np.array(v) if k in arrays else v for k, v in values.items()}
        return cls(**read)

    def values(self) -> dict[str, Any]:
        """For JSON."""
        parts = vars(self)
        return {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in parts.items()}


def predict(curve: Curve) -> Result:
    """Fit a curve and predict its test points."""
    largest = curve.sizes[-1]
    fitted = fit(
        curve.sizes,
        curve.errors,
        standard_errors=curve.standard_errors,
        cap=np.inf,
        horizon=max(2.0, curve.test_sizes[-1] / largest),
    )
    some = np.unique(np.linspace(0, curve.test_sizes.size - 1, 40).round().astype(int))
    draws = fitted.ensemble.log_errors(curve.test_sizes[some])
    inside = None
    between = curve.test_sizes[0] < largest
    if between and curve.errors[-1] < 0.9 * curve.test_errors[0] < 0.81 * curve.errors[0]:
        target = np.full(len(draws), curve.test_errors[0])
        sizes = crossing_sizes(fitted.ensemble, target, curve.sizes[0])
        _, middle, low, high = locate(sizes, curve.sizes[0], largest, 0.9)
        ends = (middle or np.inf, low or 0.0, high or np.inf)
        inside = (float(curve.test_sizes[0]), *ends)
    return Result(
        source=curve.source,
        domain=curve.domain,
        beyond=curve.test_sizes[some] > largest,
        truth=np.log(curve.test_errors[some]),
        centre=np.log(fitted.ensemble.centre(curve.test_sizes[some])),
        quantiles=np.quantile(draws, [0.05, 0.5, 0.95], axis=0),
        mean=draws.mean(axis=0),
        spread=np.maximum(draws.std(axis=0), 1e-4),
        peer=weighted_law(curve)[some],
        last=float(np.log(curve.errors[-1])),
        crossover=inside,
    )


def rmsle(results: Sequence[Result], of: str) -> Array:
    """Root mean square log error of each curve."""
    guess = {"ours": lambda r: r.centre, "peer": lambda r: r.peer, "last": lambda r: r.last}
    return np.array([np.sqrt(np.mean((guess[of](r) - r.truth) ** 2)) for r in results])


def extrapolation_table(results: Sequence[Result]) -> Iterator[str]:
    """Mean RMSLE, log density (of the error, log-normal) and coverage, by domain."""
    yield "| curves | n | ours | weighted law | same as the largest | log density | coverage |"
    yield "|---|---|---|---|---|---|---|"
    for domain in ("IC", "IC5", "NMT", "LM", "BB"):
        of = [r for r in results if r.domain == domain]
        if not of:
            continue
        means = " | ".join(f"{rmsle(of, who).mean():.4f}" for who in ("ours", "peer", "last"))
        density = np.mean([np.mean(_log_density(r)) for r in of])
        held = np.mean([np.mean(_held(r)) for r in of])
        yield f"| {DOMAINS[domain]} | {len(of)} | {means} | {density:.2f} | {held:.2f} |"


def _log_density(result: Result) -> Array:
    distance = (result.truth - result.mean) / result.spread
    log_normal = -0.5 * distance**2 - np.log(result.spread * np.sqrt(2 * np.pi))
    return np.asarray(log_normal - result.truth)


def _held(result: Result) -> Array:
    return (result.quantiles[0] <= result.truth) & (result.truth <= result.quantiles[2])


def five_sizes_table(results: Sequence[Result]) -> Iterator[str]:
    """Absolute error of the error rate at the two sizes beyond the largest."""
    yield (
        "| curves | n | size | ours | weighted law | same as the largest | coverage | Winkler |"
        "\n|---|---|---|---|---|---|---|---|"
    )
    for domain in ("spaced", "even"):
        of = [r for r in results if r.domain == domain]
        for place, name in ((-2, "× 2.38"), (-1, "× 5.66")):
            truth = np.exp([r.truth[place] for r in of])
            low, _, high = np.exp([r.quantiles[:, place] for r in of]).T
            middle = np.exp([r.centre[place] for r in of])
            missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
            peer, last = np.exp([[r.peer[place], r.last] for r in of]).T
            cells = [f"{np.abs(guess - truth).mean():.4f}" for guess in (middle, peer, last)]
            held = np.mean((low <= truth) & (truth <= high))
            winkler = np.mean(high - low + 20 * missed)
            yield (
                f"| {DOMAINS[domain]} | {len(of)} | {name} | {' | '.join(cells)} "
                f"| {held:.3f} | {winkler:.3f} |"
            )


@dataclass(frozen=True)
class Scores:
    """Means over the curves of a domain, relative to the error at the largest size.

    Attributes:
        error: absolute error beyond the largest size, and the weighted law's.
        bias: predicted minus true error, and the weighted law's.
        covered: share of truths inside the 90 % intervals.
        winkler: interval score.
    """

    error: tuple[float, float]
    bias: tuple[float, float]
    covered: float
    winkler: float


def scores(of: Sequence[Result]) -> Scores:
    """Scores of the curves of a domain."""
    rows = []
    for r in of:
        low, high, truth, ours, peer = (
            np.exp(one[r.beyond] - r.last)
            for one in (r.quantiles[0], r.quantiles[2], r.truth, r.centre, r.peer)
        )
        missed = np.maximum(low - truth, 0) + np.maximum(truth - high, 0)
        gaps = (abs(ours - truth), abs(peer - truth), ours - truth, peer - truth)
        rows.append([one.mean() for one in (*gaps, missed == 0, high - low + 20 * missed)])
    ours, peer, bias, peers_bias, covered, winkler = np.mean(rows, axis=0).tolist()
    return Scores((ours, peer), (bias, peers_bias), covered, winkler)


def domains_table(results: Sequence[Result], before: Sequence[Result] = ()) -> Iterator[str]:
    """Each domain's error over the weighted law's, bias, coverage and interval score.

    With earlier results also error and interval score over those. The last row has the geometric
    means over the domains of `more_curves.csv` with at least 20 curves.
    """
    names = [name for name in dict.fromkeys(r.domain for r in results)]
    yield (
        "| curves | n | error / weighted law | bias | weighted law's | coverage | Winkler "
        "| error / before | Winkler / before |\n|---|---|---|---|---|---|---|---|---|"
    )
    means = []
    for name in names:
        of = [r for r in results if r.domain == name]
        now = scores(of)
        earlier = [r for r in before if r.domain == name]
        ratio = [now.error[0] / now.error[1]]
        if earlier:
            then = scores(earlier)
            ratio += [now.error[0] / then.error[0], now.winkler / then.winkler]
        cells = [f"{one:.3f}" for one in ratio] + ["–"] * (3 - len(ratio))
        yield (
            f"| {DOMAINS.get(name, name)} | {len(of)} | {cells[0]} | {now.bias[0]:+.3f} "
            f"| {now.bias[1]:+.3f} | {now.covered:.2f} | {now.winkler:.3f} "
            f"| {cells[1]} | {cells[2]} |"
        )
        if name not in DOMAINS and len(of) >= 20:
            means.append(ratio)
    if means:
        middle = [f"{one:.3f}" for one in np.exp(np.log(means).mean(axis=0))]
        middle += ["–"] * (3 - len(middle))
        yield f"| geometric mean | | {middle[0]} | | | | | {middle[1]} | {middle[2]} |"


def crossover_table(results: Sequence[Result]) -> Iterator[str]:
    """Sizes that reach the error in the middle of the widest gap, of clearly falling curves."""
    true, middle, low, high = np.array([r.crossover for r in results if r.crossover]).T
    ratio = np.abs(np.log(middle / true))
    ends = high / np.maximum(low, 1e-9)
    yield "| curves | within × 2 | median factor | coverage | median ratio of ends |"
    yield "|---|---|---|---|---|"
    yield (
        f"| {true.size} | {np.mean(ratio <= np.log(2)):.3f} | {np.exp(np.median(ratio)):.2f} "
        f"| {np.mean((low <= true) & (true <= high)):.3f} | {np.median(ends):.2f} |"
    )


VARIANTS: dict[str, tuple[object, str, object]] = {
    "misfit: rough only": (posterior, "SMOOTH", posterior.ROUGH),
    "misfit: smooth only": (posterior, "ROUGH", posterior.SMOOTH),
    "smooth misfit, length 3": (posterior, "SMOOTH", posterior.Misfit(2.0, 3.0)),
    "growth of the smooth misfit 1.5": (posterior, "SMOOTH", posterior.Misfit(1.5, 6.0)),
    "growth of the rough misfit 2.5": (posterior, "ROUGH", posterior.Misfit(2.5, 0.0)),
    "drift 0.012": (posterior, "DRIFT", 0.012),
    "drift not relative": (posterior, "DRIFT_SHARE", 0.0),
    "drift 0.4 of the elasticity": (posterior, "DRIFT_SHARE", 0.4),
    "noise beside standard errors flat": (fits, "NOISE_POWER_GIVEN", 0.0),
    "noise without standard errors as with them": (fits, "NOISE_POWER", -1.0),
    "misfit flat": (posterior, "MISFIT_POWER", 0.0),
    "with start (double saturating)": (
        fit,
        "__kwdefaults__",
        {**(fit.__kwdefaults__ or {}), "forms": laws.FORMS[1:]},
    ),
    "no least squares": (posterior, "least_squares_shape", lambda *_: None),
    "constant 0.05": (laws, "PRIOR", {**laws.PRIOR, "constant": 0.05}),
    "power 0.2": (laws, "PRIOR", {**laws.PRIOR, "power": 0.2}),
    "falling 0.1": (laws, "FALLING_SHARE", 0.1),
    "falling 0.4": (laws, "FALLING_SHARE", 0.4),
}


@contextmanager
def changed(module: object, name: str, value: object) -> Iterator[None]:
    """A module's constant set to another value."""
    before = getattr(module, name)
    setattr(module, name, value)
    try:
        yield
    finally:
        setattr(module, name, before)


def source_losses(results: Sequence[Result]) -> tuple[Array, Array]:
    """Of each source: error relative to the peer's, and interval score (Gneiting, Raftery 2007).

    Geometric means over the domains of a source.
    """
    losses: dict[str, list[tuple[float, float]]] = {}
    for source, domain in dict.fromkeys((r.source, r.domain) for r in results):
        found = scores([r for r in results if r.domain == domain])
        losses.setdefault(source, []).append((found.error[0] / found.error[1], found.winkler))
    error, score = np.array([np.exp(np.log(of).mean(axis=0)) for of in losses.values()]).T
    return error, score


def vary(curves: Sequence[Curve]) -> Iterator[str]:
    """Each constant changed: losses relative to the default, and sources on which it is worse."""
    base = source_losses([predict(curve) for curve in curves])
    yield "| change | error | worse on | interval score | worse on |"
    yield "|---|---|---|---|---|"
    for name, change in VARIANTS.items():
        with changed(*change):
            losses = source_losses([predict(curve) for curve in curves])
        cells = [
            f"{np.exp(np.log(new / old).mean()):.3f} | {(new > old).sum()} of {new.size}"
            for new, old in zip(losses, base, strict=True)
        ]
        yield f"| {name} | {' | '.join(cells)} |"


def main(argv: Sequence[str] | None = None) -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of the public learning curves")
    parser.add_argument("--every", type=int, default=1, help="only every k-th LCDB curve")
    parser.add_argument("--results", type=Path, help="folder of fits, to go on from")
    parser.add_argument("--against", type=Path, help="folder of earlier fits of the same curves")
    parser.add_argument("--vary", action="store_true", help="change each constant, by sources")
    args = parser.parse_args(argv)
    curves = load(args.data, args.every)
    if args.vary:
        for line in vary(curves):
            print(line, flush=True)
        return
    start = process_time()
    results = list(_results(curves, args.results))
    seconds = (process_time() - start) / len(curves)
    for table in (extrapolation_table, five_sizes_table, crossover_table):
        print("\n".join(table(results)), end="\n\n")
    before = list(_results(curves, args.against)) if args.against else []
    print("\n".join(domains_table(results, before)), end="\n\n")
    print(f"{len(curves)} curves, {seconds:.3f} s of one core each")


def _results(curves: Sequence[Curve], folder: Path | None) -> Iterator[Result]:
    """Fits of all curves; those of a domain are read from the folder if they are there."""
    for domain in dict.fromkeys(curve.domain for curve in curves):
        kept = folder / f"{zlib.crc32(domain.encode()):08x}.json" if folder else None
        if kept and kept.exists():
            yield from map(Result.of, json.loads(kept.read_text()))
            continue
        found = [predict(curve) for curve in curves if curve.domain == domain]
        if kept:
            kept.parent.mkdir(parents=True, exist_ok=True)
            with atomic_write(kept) as partial:
                partial.write_text(json.dumps([one.values() for one in found]))
        yield from found


if __name__ == "__main__":
    main()
