"""Measure the coverage of intervals of scores on simulated test sets with known scores.

Prints a Markdown table, and with `--write` puts its rows into docs/measured/intervals.md. 2,000
test sets per row determine the coverage to half a per cent. Widths are medians, as multiples of the
exact binormal interval's, which requires knowing the distribution of the logits and inverts the
exact distribution of the score.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, ndtr, ndtri
from scipy.stats import norm

from radscale_lib.files import atomic_write
from radscale_lib.metrics import metrics
from radscale_lib.metrics.base import TextMetric
from radscale_lib.metrics.bleu import bleu_statistics
from radscale_lib.metrics.cldice import cl_dice
from radscale_lib.metrics.dice import dice
from radscale_lib.metrics.rouge_l import rouge_l
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.bootstrap import interval as percentiles
from radscale_lib.tasks.differences import paired_difference
from radscale_lib.tasks.families import Cases
from radscale_lib.tasks.label_scores import (
    BINS,
    ScoredLabel,
    best_f1_threshold,
    label_scores,
    pooled,
)
from radscale_lib.tasks.report_scoring import claims_score, report_score
from radscale_lib.tasks.retrieval_scoring import recall_score
from radscale_lib.tasks.scores import Score, macro, sampled_score

Floats = NDArray[np.float64]

DRAWS = 100
"""Bootstrap draws of a test set: intervals hardly depend on them."""
LEAST_SHOWN = 0.05
"""Share of test sets with an interval, below which a row has no numbers."""
AFFIRMED = 0.4
"""Share of the references that affirm a label."""
SHOWN = ("auroc", "auprc", "f1")
PAGE = Path("docs/measured/intervals.md")
MARKS = ("<!-- simulated -->\n", "<!-- end of simulated -->\n")


class Outcome(NamedTuple):
    """One interval."""

    low: bool
    """Whether the truth is below it."""
    high: bool
    width: float
    percentile: bool
    """Whether the percentile interval of the same draws holds the truth."""
    exact: float
    """Width of the exact interval; NaN where there is none."""
    shown: bool = True
    """Whether there is an interval: it is withheld where it would rest on too little."""


@dataclass(frozen=True)
class Label:
    """Test sets of a label.

    Attributes:
        area: AUROC.
        positives: of each test set.
        negatives: of each test set.
        spread: standard deviation of the positives' logits, the negatives' being 1.
        images: of each patient, of one class.
        alike: correlation of the logits of a patient's images.
        varying: whether the number of positives varies, as in a random sample.
    """

    area: float
    positives: int
    negatives: int
    spread: float = 1.0
    images: int = 1
    alike: float = 0.0
    varying: bool = False

    @property
    def separation(self) -> float:
        """Difference of the classes' mean logits."""
        return float(ndtri(self.area) * np.sqrt(1 + self.spread**2))

    @cached_property
    def precision(self) -> float:
        """Average precision in the population."""
        share = (np.arange(20_000) + 0.5) / 20_000
        false = ndtr(-(self.separation - self.spread * ndtri(share)))
        high, low = self.positives * share, self.negatives * false
        return float((high / (high + low)).mean())

    def f1(self, threshold: float) -> float:
        """F1 at a logit in the population."""
        hits = ndtr((self.separation - threshold) / self.spread)
        alarms = ndtr(-threshold) * self.negatives / self.positives
        return float(2 * hits / (1 + hits + alarms))

    def chances(self, logits: Floats, sureness: float) -> Floats:
        """Log odds by Bayes' rule (spread 1), times how sure the model is of itself."""
        odds = np.log(self.positives / self.negatives)
        return sureness * (self.separation * logits - self.separation**2 / 2 + odds)

    def calibration(self, sureness: float) -> dict[str, float]:
        """Brier score and calibration error of such log odds in the population."""
        logits = np.linspace(-12, 12 + self.separation, 400_001)
        share = self.positives / (self.positives + self.negatives)
        densities = [norm.pdf(logits - self.separation) * share, norm.pdf(logits) * (1 - share)]
        high, low = (density / sum(map(np.sum, densities)) for density in densities)
        chance = expit(self.chances(logits, sureness))
        gaps = chance * (high + low) - high
        bins = np.minimum((chance * BINS).astype(int), BINS - 1)
        return {
            "brier": float((high * (chance - 1) ** 2 + low * chance**2).sum()),
            "ece": float(np.abs(np.bincount(bins, gaps)).sum()),
        }

    def draw(self, random: np.random.Generator) -> tuple[Floats, Floats]:
        """Truth and logits of a test set: [N]."""
        total, positives = self.positives + self.negatives, self.positives
        if self.varying:
            positives = int(np.clip(random.binomial(total, positives / total), 5, total - 5))
        truth = (np.arange(total) < positives).astype(np.float64)
        patients = random.normal(size=-(-total // self.images)).repeat(self.images)[:total]
        noise = np.sqrt(self.alike) * patients
        noise = noise + np.sqrt(1 - self.alike) * random.normal(size=total)
        return truth, np.where(truth > 0, self.separation + self.spread * noise, noise)


@cache
def exact_table(label: Label) -> dict[str, tuple[Floats, Floats, Floats]]:
    """Truth, and 2.5 and 97.5 % points of the score under it, of AUROC and AUPRC."""
    random = np.random.default_rng(1)
    sets = 4000
    low = np.sort(random.normal(size=(sets, label.negatives)), axis=1)
    high = -np.sort(-random.normal(size=(sets, label.positives)), axis=1)
    offset = 100 * np.arange(sets)[:, None]
    flat = (low + offset).ravel()
    rank = np.arange(1, label.positives + 1)
    rows: dict[str, list[tuple[float, float, float]]] = {"auroc": [], "auprc": []}
    for deviate in np.linspace(-1, 4.5, 111):
        one = Label(float(ndtr(deviate)), label.positives, label.negatives, label.spread)
        moved = one.separation + one.spread * high
        below = np.searchsorted(flat, (np.clip(moved, -40, 40) + offset).ravel())
        below = below.reshape(moved.shape) - label.negatives * np.arange(sets)[:, None]
        above = label.negatives - below
        scores = {
            "auroc": (one.area, below.mean(axis=1) / label.negatives),
            "auprc": (one.precision, (rank / (rank + above)).mean(axis=1)),
        }
        for name, (truth, values) in scores.items():
            rows[name].append((truth, *np.quantile(values, [0.025, 0.975])))
    return {name: tuple(np.array(found).T) for name, found in rows.items()}  # type: ignore[misc]


def exact_width(label: Label, metric: str, value: float) -> float:
    """Width of the exact interval at a score; NaN where there is none."""
    if metric not in ("auroc", "auprc") or label.images > 1 or label.varying:
        return float("nan")
    truth, low, high = exact_table(label)[metric]
    upper = 1.0 if value >= low[-1] else float(np.interp(value, low, truth))
    return upper - float(np.interp(value, high, truth))


def outcome(score: Score, truth: float, exact: float = float("nan")) -> Outcome:
    """What became of one interval."""
    lower, upper = score.interval(0.95)
    low, high = percentiles(score.resamples, 0.95)
    held = low <= truth <= high
    shown = not np.isnan(lower)
    return Outcome(truth < lower, truth > upper, upper - lower, held, exact, shown)


def labels(label: Label, studies: int) -> dict[str, list[Outcome]]:
    """Intervals of single labels."""
    random = np.random.default_rng(studies)
    total = label.positives + label.negatives
    draws = PatientDraws.draw([str(i // label.images) for i in range(total)], DRAWS, 0)
    seen = Label(label.area, max(label.positives, 10), label.negatives, label.spread)
    found: dict[str, list[Outcome]] = {name: [] for name in SHOWN}
    for _ in range(studies):
        truth, logits = label.draw(random)
        known, given = seen.draw(random)
        true = {
            "auroc": label.area,
            "auprc": label.precision,
            "f1": label.f1(best_f1_threshold((known > 0, given))),
        }
        for score in label_scores(
            ["a"], truth[:, None], logits[:, None], draws, (known[:, None], given[:, None])
        ):
            if score.target == "a" and score.metric in SHOWN:
                exact = exact_width(label, score.metric, score.value)
                found[score.metric].append(outcome(score, true[score.metric], exact))
    return found


def _one(truth: Floats | NDArray[np.bool_], logits: Floats, draws: PatientDraws) -> ScoredLabel:
    """A label whose truth is known of all images: truth and logits [N]."""
    cases = Cases(truth > 0, logits, draws.patient)
    return ScoredLabel.of("a", cases, np.arange(len(truth)), draws, None)


def calibrated(label: Label, sureness: float, studies: int) -> dict[str, list[Outcome]]:
    """Intervals of the Brier score and the calibration error."""
    random = np.random.default_rng(studies)
    total = label.positives + label.negatives
    draws = PatientDraws.draw([str(i // label.images) for i in range(total)], DRAWS, 0)
    true = label.calibration(sureness)
    found: dict[str, list[Outcome]] = {name: [] for name in true}
    for _ in range(studies):
        truth, logits = label.draw(random)
        chances = label.chances(logits, sureness)
        for score in _one(truth, chances, draws).chances():
            found[score.metric].append(outcome(score, true[score.metric]))
    return found


def means(
    label: Label, count: int, studies: int, target: str = "macro"
) -> dict[str, list[Outcome]]:
    """Intervals of all labels, with positives of their own and correlated logits.

    `target` is `macro`, their mean, or `micro`, their cells together: they have the same truth.
    """
    random = np.random.default_rng(studies)
    total = label.positives + label.negatives
    draws = PatientDraws.draw([str(i // label.images) for i in range(total)], DRAWS, 0)
    found: dict[str, list[Outcome]] = {"auroc": [], "auprc": []}
    for _ in range(studies):
        truth = np.zeros((total, count))
        for column in truth.T:
            column[random.permutation(total)[: label.positives]] = 1
        noise = random.normal(size=(total, 1)) + random.normal(size=(total, count))
        logits = noise / np.sqrt(2) + label.separation * truth
        ones = [_one(truth[:, column], logits[:, column], draws) for column in range(count)]
        if target == "micro":
            scores = {score.metric: score for score in pooled(ones).ranks()}
        else:
            ranks = [one.ranks() for one in ones]
            scores = {each[0].metric: macro(each, total) for each in zip(*ranks, strict=True)}
        for metric, true in (("auroc", label.area), ("auprc", label.precision)):
            found[metric].append(outcome(scores[metric], true))
    return found


def differences(first: Label, second: Label, studies: int) -> dict[str, list[Outcome]]:
    """Intervals of the difference of two encoders, whose logits correlate by 0.7."""
    random = np.random.default_rng(studies)
    total = first.positives + first.negatives
    draws = PatientDraws.draw([str(i) for i in range(total)], DRAWS, 0)
    truth = np.arange(total) < first.positives
    found: dict[str, list[Outcome]] = {"auroc": [], "auprc": []}
    for _ in range(studies):
        shared = random.normal(size=total)
        scored = []
        for one in (first, second):
            noise = np.sqrt(0.7) * shared + np.sqrt(0.3) * random.normal(size=total)
            logits = noise + one.separation * truth
            ranks = _one(truth, logits, draws).ranks()
            scored.append({score.metric: score for score in ranks})
        for metric in found:
            pair = [scores[metric] for scores in scored]
            true = [o.area if metric == "auroc" else o.precision for o in (first, second)]
            ends = paired_difference(*pair, 0.95)
            low, high = percentiles(pair[0].resamples - pair[1].resamples, 0.95)
            gap = true[0] - true[1]
            width = ends.upper - ends.lower
            held = low <= gap <= high
            found[metric].append(
                Outcome(gap < ends.lower, gap > ends.upper, width, held, float("nan"))
            )
    return found


def _overlaps(images: int, positives: int, random: np.random.Generator) -> Floats:
    """Counts [images, 7] of a tube: lengths, and shares that are found, vary between images."""
    counts = np.zeros((images, 7))
    length = np.exp(random.normal(4, 0.5, images)) * (np.arange(images) < positives)
    share = random.beta(3, 1.2, images)
    alarm = np.exp(random.normal(3, 0.7, images)) * (random.random(images) < 0.15)
    found = length * share
    counts[:, 0], counts[:, 1] = 2 * found, 2.4 * found + 2 * alarm
    counts[:, 2] = 2 * length
    counts[:, 3], counts[:, 4] = found, 1.1 * found + alarm
    counts[:, 5], counts[:, 6] = found, length
    return counts


def _dice(sums: Floats) -> Floats:
    return dice(sums[..., :3])


def _cl_dice(sums: Floats) -> Floats:
    return cl_dice(sums[..., 3:])


def tubes(positives: int, images: int, count: int, studies: int) -> dict[str, list[Outcome]]:
    """Intervals of Dice and clDice, of one tube or the mean over several."""
    random = np.random.default_rng(studies)
    draws = PatientDraws.draw([str(i) for i in range(images)], DRAWS, 0)
    many = _overlaps(400_000, 400_000 * positives // images, random).sum(axis=0)
    found: dict[str, list[Outcome]] = {"dice": [], "cldice": []}
    for _ in range(studies):
        counts = [_overlaps(images, positives, random) for _ in range(count)]
        for name, metric in (("dice", _dice), ("cldice", _cl_dice)):
            scores = [
                sampled_score(
                    "a", name, float(metric(one.sum(axis=0))), metric(draws.sums(one)),
                    images, positives, positives, draws.sums(one[:, 2:3] > 0)[:, 0],
                )
                for one in counts
            ]  # fmt: skip
            score = scores[0] if count == 1 else macro(scores, images)
            found[name].append(outcome(score, float(metric(many))))
    return found


def recalls(share: float, patients: int, studies: int) -> dict[str, list[Outcome]]:
    """Intervals of recall among the first answers, one image a patient."""
    random = np.random.default_rng(studies)
    draws = PatientDraws.draw([str(i) for i in range(patients)], DRAWS, 0)
    found = []
    for _ in range(studies):
        hits = random.random(patients) < share
        found.append(outcome(recall_score("a", "recall_at_1", hits, draws), share))
    return {"recall_at_1": found}


@cache
def _written(quality: float) -> dict[str, Floats]:
    """Statistics of many pairs of reports, by metric.

    Reports differ in how many of their words are right, by beta distributions of mean `quality`.
    """
    random = np.random.default_rng(2)
    words = np.array([f"word{i}" for i in range(200)])
    chance = 1 / np.arange(1, 201)
    chance /= chance.sum()
    generated, references, states = [], [], np.zeros((6000, 3))
    for state in states:
        length, right = random.integers(8, 30), random.beta(4 * quality, 4 * (1 - quality))
        reference = random.choice(words, length, p=chance)
        same = random.random(length) < right
        written = np.where(same, reference, random.choice(words, length, p=chance))
        references.append(" ".join(reference))
        generated.append(" ".join(written))
        true = random.random() < AFFIRMED
        said = true if random.random() < right else random.random() < 0.2
        state[:] = true and said, said and not true, true and not said
    pairs = zip(generated, references, strict=True)
    rouge = np.array([[rouge_l(*pair), 1] for pair in pairs])
    bleu = bleu_statistics(generated, references).astype(np.float64)
    return {"bleu": bleu, "rouge_l": rouge, "lexical_f1": states[:, None]}


def reports(quality: float, patients: int, studies: int) -> dict[str, list[Outcome]]:
    """Intervals of metrics of reports, one report a patient.

    A label is affirmed by as many references in each test set.
    """
    random = np.random.default_rng(studies)
    draws = PatientDraws.draw([str(i) for i in range(patients)], DRAWS, 0)
    found: dict[str, list[Outcome]] = {}
    for name, statistics in _written(quality).items():
        metric = metrics("generation")[name]
        assert isinstance(metric, TextMetric)
        kinds, score = [(statistics, patients)], report_score
        if metric.by_label:
            positive = statistics[:, 0, [0, 2]].any(axis=1)
            affirmed, score = round(AFFIRMED * patients), claims_score
            parts = statistics[positive], statistics[~positive]
            kinds = list(zip(parts, (affirmed, patients - affirmed), strict=True))
        expected = sum(part.mean(axis=0) * count for part, count in kinds)
        truth = float(metric.of(np.reshape(expected, (1, -1)))[0])
        outcomes = found.setdefault(name, [])
        for _ in range(studies):
            chosen = np.concatenate(
                [part[random.integers(0, len(part), count)] for part, count in kinds]
            )
            outcomes.append(outcome(score(metric, "a", chosen, draws), truth))
    return found


def rows(studies: int) -> Iterator[tuple[str, Callable[[], dict[str, list[Outcome]]]]]:
    """Every row of the table: what it is, and how its intervals are made."""
    for positives in (5, 10, 20, 50, 200):
        for area in (0.7, 0.8, 0.9, 0.95, 0.97, 0.99):
            one = Label(area, positives, max(500, 4 * positives))
            text = f"{area:g}, {positives} of {positives + one.negatives}"
            yield text, lambda one=one: labels(one, studies)  # type: ignore[misc]
    more = {
        "0.8, 10 of 20": Label(0.8, 10, 10),
        "0.95, 20 of 40": Label(0.95, 20, 20),
        "0.9, 20 of 5,020": Label(0.9, 20, 5000),
        "0.9, 20 of 520, spread 1.5": Label(0.9, 20, 500, 1.5),
        "0.97, 20 of 520, spread 1.5": Label(0.97, 20, 500, 1.5),
        "0.9, 20 of 520, spread 0.7": Label(0.9, 20, 500, 0.7),
        "0.9, 200 of 1,000, spread 1.5": Label(0.9, 200, 800, 1.5),
        "0.9, 20 of 520, 2 images a patient": Label(0.9, 20, 500, 1, 2, 0.6),
        "0.97, 60 of 660, 3 images a patient": Label(0.97, 60, 600, 1, 3, 0.6),
        "0.9, about 20 of 520": Label(0.9, 20, 500, varying=True),
    }
    for text, one in more.items():
        yield text, lambda one=one: labels(one, studies)  # type: ignore[misc]
    for count, area, positives in ((5, 0.95, 8), (5, 0.8, 20), (14, 0.97, 20)):
        one = Label(area, positives, 500 - positives)
        text = f"mean of {count} labels: {area:g}, {positives} of 500"
        yield text, lambda one=one, count=count: means(one, count, studies)  # type: ignore[misc]
    for count, area, positives in ((5, 0.9, 8), (14, 0.8, 20)):
        one = Label(area, positives, 500 - positives)
        text = f"micro average of {count} labels: {area:g}, {positives} of 500"
        yield text, lambda one=one, count=count: means(one, count, studies, "micro")  # type: ignore[misc]
    for positives in (5, 10, 20, 50, 200):
        for area in (0.8, 0.9, 0.97):
            for sureness in (1.0, 1.5):
                one = Label(area, positives, max(500, 4 * positives))
                words = "calibrated" if sureness == 1 else f"{sureness:g} times too sure"
                text = f"{words}: {area:g}, {positives} of {positives + one.negatives}"
                yield (
                    text,
                    lambda one=one, sureness=sureness: calibrated(one, sureness, studies),  # type: ignore[misc]
                )
    for positives, areas in ((10, (0.9, 0.95)), (20, (0.97, 0.985)), (50, (0.8, 0.83))):
        pair = [Label(area, positives, 500) for area in areas]
        text = f"difference of {areas[0]:g} and {areas[1]:g}, {positives} of {positives + 500}"
        yield text, lambda pair=pair: differences(*pair, studies)  # type: ignore[misc]
    for positives, count in ((5, 1), (10, 1), (20, 1), (50, 1), (10, 4)):
        text = f"{f'mean of {count} tubes' if count > 1 else 'tube'}: {positives} of 200"
        yield (
            text,
            lambda positives=positives, count=count: tubes(  # type: ignore[misc]
                positives, 200, count, studies
            ),
        )
    for patients in (20, 40, 200):
        for share in (0.02, 0.1, 0.5, 0.95):
            text = f"retrieval: {share:g} of {patients}"
            yield text, lambda share=share, patients=patients: recalls(share, patients, studies)  # type: ignore[misc]
    for patients in (20, 40, 200):
        for quality in (0.05, 0.5, 0.95):
            text = f"reports: {quality:g} right, {patients}"
            yield (
                text,
                lambda quality=quality, patients=patients: reports(quality, patients, studies),  # type: ignore[misc]
            )


def line(text: str, metric: str, found: Sequence[Outcome]) -> str:
    """One line of the table."""
    table = np.array([one for one in found if one.shown], dtype=np.float64)
    if len(table) < LEAST_SHOWN * len(found):
        return f"| {text} | {metric} | – | – | – | – | – |"
    if len(table) < len(found):
        metric = f"{metric}, {100 * len(table) / len(found):.0f} % shown"
    low, high, width, held, exact, _ = table.T
    missed = f"{100 * low.mean():.1f} / {100 * high.mean():.1f}"
    ratio = "–"
    if not np.isnan(exact).any():
        ratio = f"{np.median(width) / np.median(exact):.2f}"
    covered = 100 * (1 - low.mean() - high.mean())
    return (
        f"| {text} | {metric} | {covered:.1f} | {missed} | {100 * held.mean():.1f} | "
        f"{np.median(width):.3f} | {ratio} |"
    )


HEAD = (
    "| test sets | metric | covered, % | below / above, % | percentiles, % | width | to exact |",
    "|---|---|---|---|---|---|---|",
)


def main(argv: Sequence[str] | None = None) -> None:
    """Simulate, score, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=2000, help="test sets a row")
    parser.add_argument(
        "--only", default="", help="rows whose text holds this, the others of the page being kept"
    )
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE}")
    args = parser.parse_args(argv)
    lines = list(HEAD)
    print(*HEAD, sep="\n", flush=True)
    for text, make in rows(args.studies):
        if args.only in text:
            for metric, found in make().items():
                lines.append(line(text, metric, found))
                print(lines[-1], flush=True)
    if args.write:
        before, rest = PAGE.read_text().split(MARKS[0])
        known, after = rest.split(MARKS[1])
        new = {_key(line): line for line in lines}
        kept = [new.pop(_key(line), line) for line in known.splitlines()]
        written = "\n".join([*kept, *new.values(), ""])
        with atomic_write(PAGE) as partial:
            partial.write_text(before + MARKS[0] + written + MARKS[1] + after)


def _key(line: str) -> tuple[str, ...]:
    """What a line is of: test sets and metric."""
    test_sets, metric = line.split("|")[1:3]
    return test_sets.strip(), metric.split(",")[0].strip()


if __name__ == "__main__":
    main()
