"""Intervals and draws: against known numbers, and by coverage on simulated test sets."""

import numpy as np
import pytest
from scipy import integrate, special, stats

from radscale_lib.metrics import metrics
from radscale_lib.metrics.bleu import bleu_statistics
from radscale_lib.tasks.binormal import (
    PRIOR_SPREAD,
    _simulated,
    area_moments,
    precision_moments,
    spreads_given,
)
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.confidence import (
    SHIFTS,
    Confidence,
    Family,
    correlation_of,
    sampled_family,
    share_family,
)
from radscale_lib.tasks.differences import paired_difference
from radscale_lib.tasks.families import Cases
from radscale_lib.tasks.label_scores import BINS, ScoredLabel
from radscale_lib.tasks.report_scoring import claims_score, report_score
from radscale_lib.tasks.retrieval_scoring import recall_score
from radscale_lib.tasks.scores import MACRO, TOO_FEW, Score, macro, sampled_score

ALONE = np.eye(1)


def _auc(separation, positives, negatives, spread, random):
    high = random.normal(separation * np.sqrt(1 + spread**2), spread, positives)
    return high, random.normal(size=negatives)


@pytest.mark.parametrize("spread", [0.6, 1.0, 1.5])
def test_moments_are_those_of_simulated_test_sets(spread):
    random = np.random.default_rng(0)
    areas, precisions = [], []
    for _ in range(4000):
        high, low = _auc(1.2, 8, 60, spread, random)
        order = np.argsort(-np.append(high, low))
        hits = np.cumsum(order < 8)
        precisions.append((hits / np.arange(1, 69))[order < 8].mean())
        areas.append((high[:, None] > low).mean())
    separation = np.array([1.2])
    found = area_moments(separation, 8, 60, np.array([spread]))
    assert found.mean == pytest.approx(stats.norm.cdf(1.2))
    assert found.mean == pytest.approx(np.mean(areas), abs=0.005)
    assert found.variance == pytest.approx(np.var(areas), rel=0.1)
    found = precision_moments(separation, 8, 60, np.array([spread]))
    assert found.mean == pytest.approx(np.mean(precisions), abs=0.015)
    assert found.variance == pytest.approx(np.var(precisions), rel=0.15)

    def precision(share):
        false = stats.norm.sf(1.2 * np.sqrt(1 + spread**2) + spread * stats.norm.isf(share))
        return 8 * share / (8 * share + 60 * false)

    expected = integrate.quad(precision, 0, 1)[0]
    assert found.truth == pytest.approx(expected, abs=5e-3)


def test_labels_with_many_positives_share_simulations_of_average_precision():
    _simulated.cache_clear()
    separation = np.array([1.0])
    for positives in range(100, 200, 10):
        negatives = 1000 - positives
        found = precision_moments(separation, positives, negatives, np.ones(1))
        share = (np.arange(10_000) + 0.5) / 10_000
        false = stats.norm.sf(np.sqrt(2) + stats.norm.isf(share))
        expected = (positives * share / (positives * share + negatives * false)).mean()
        assert found.truth == pytest.approx(expected, abs=2e-3)
    assert _simulated.cache_info().misses <= 5


def test_spread_is_found_and_drawn_to_one_where_little_is_known():
    random = np.random.default_rng(1)
    high, low = _auc(0.8, 4000, 4000, 1.5, random)
    placements = np.searchsorted(np.sort(low), high) / 4000
    assert spreads_given(np.array([0.8]), placements, 4000) == pytest.approx(1.5, rel=0.1)
    few = spreads_given(np.array([1.5]), np.ones(6), 20)
    assert np.abs(np.log(few)) < PRIOR_SPREAD


def test_binomial_scores_have_the_interval_of_clopper_and_pearson():
    truth = stats.norm.cdf(stats.norm.ppf(0.9) + SHIFTS)
    family = Family(truth, truth, truth * (1 - truth) / 30, step=0.5 / 30)
    lower, upper = Confidence.from_families([family], ALONE, 0.9).interval(0.95)
    exact = stats.binomtest(27, 30).proportion_ci(0.95)
    assert (lower, upper) == pytest.approx((exact.low, exact.high), abs=0.02)
    lower, upper = Confidence.from_families([family], ALONE, 1.0).interval(0.95)
    assert (lower, upper) == (pytest.approx(0.025 ** (1 / 30), abs=0.03), 1.0)


def test_a_score_of_many_cases_has_the_normal_interval():
    family = sampled_family(0.7, 0.01**2, 10_000)
    ends = Confidence.from_families([family], ALONE, 0.7).interval(0.95)
    assert ends == pytest.approx((0.7 - 0.0196, 0.7 + 0.0196), abs=6e-4)
    few = sampled_family(0.7, 0.01**2, 4)
    wide = Confidence.from_families([few], ALONE, 0.7).interval(0.95)
    assert wide[1] - wide[0] > 1.6 * (ends[1] - ends[0])


def test_draws_have_the_interval_and_keep_their_order():
    random = np.random.default_rng(2)
    resamples = random.beta(90, 10, 2000)
    resamples[::50] = np.nan
    confidence = Confidence.from_families([sampled_family(0.9, 0.03**2, 40)], ALONE, 0.9)
    draws = confidence.draws(resamples)
    assert np.array_equal(np.isnan(draws), np.isnan(resamples))
    kept = ~np.isnan(draws)
    assert np.array_equal(np.argsort(draws[kept]), np.argsort(resamples[kept]))
    ends = np.quantile(draws[kept], [0.025, 0.975])
    assert ends == pytest.approx(confidence.interval(0.95), abs=2e-3)


def test_equal_draws_are_spread_all_the_same():
    confidence = Confidence.from_families([sampled_family(0.9, 0.03**2, 40)], ALONE, 0.9)
    draws = confidence.draws(np.full(500, 0.9))
    assert np.quantile(draws, 0.975) == pytest.approx(confidence.interval(0.95)[1], abs=5e-3)
    assert abs(np.corrcoef(draws, np.arange(500))[0, 1]) < 0.2


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_draws_of_a_share_of_none_or_all_are_as_wide_as_its_interval(share):
    confidence = Confidence.from_families([share_family(share, 7, 0.0)], ALONE, share)
    draws = confidence.draws(np.full(4000, share))
    ends = np.quantile(draws, [0.025, 0.975])
    open_end = 1 - int(share)
    assert ends[open_end] == pytest.approx(confidence.interval(0.95)[open_end], abs=0.01)
    assert np.ptp(ends) > 0.25


def test_correlation_of_draws():
    random = np.random.default_rng(3)
    first = random.normal(size=(1, 5000))
    resamples = np.concatenate([first, first + random.normal(size=(1, 5000)), np.ones((1, 5000))])
    found = correlation_of(resamples)
    assert found[0, 1] == pytest.approx(np.sqrt(0.5), abs=0.03)
    assert found[2].tolist() == [0, 0, 1]
    assert np.array_equal(correlation_of(np.full((2, 5), np.nan)), np.eye(2))


def test_a_mean_of_independent_scores_is_surer_than_each():
    random = np.random.default_rng(4)
    scores = [
        Score(
            str(k), "auroc", 0.8, random.normal(0.8, 0.04, 400), 100, 20,
            (sampled_family(0.8, 0.04**2, 10_000),),
        )
        for k in range(4)
    ]  # fmt: skip
    one = np.diff(scores[0].interval(0.95))
    assert np.diff(macro(scores, 100).interval(0.95)) == pytest.approx(one / 2, rel=0.1)
    same = [
        Score("x", "auroc", 0.8, scores[0].resamples, 100, 20, scores[0].families) for _ in scores
    ]
    assert np.diff(macro(same, 100).interval(0.95)) == pytest.approx(one, rel=0.02)


def test_scores_of_too_few_cases_leave_the_mean():
    random = np.random.default_rng(5)
    good = Score("a", "auroc", 0.8, random.normal(0.8, 0.04, 400), 100, 20)
    few = Score("b", "auroc", 0.1, random.normal(0.1, 0.04, 400), 100, 3, note=TOO_FEW)
    mean = macro([good, few], 100)
    assert (mean.value, mean.positives, mean.note) == (0.8, 20, None)
    assert np.isnan(few.interval(0.95)).all()
    nothing = macro([few], 100)
    assert np.isnan(nothing.value)
    # How many positives a mean over no label has cannot be said.
    assert nothing.note == TOO_FEW and nothing.positives is None


def test_differences_of_scores_that_go_together_are_surer():
    random = np.random.default_rng(6)
    shared = random.normal(size=3000)

    def score(value, own):
        draws = value + 0.02 * (shared + own * random.normal(size=3000))
        return Score("a", "auroc", value, draws, 500, 50, (sampled_family(value, 4e-4, 10_000),))

    close = paired_difference(score(0.52, 0.2), score(0.5, 0.2), 0.95)
    apart = paired_difference(score(0.52, 5), score(0.5, 5), 0.95)
    assert close.value == apart.value == pytest.approx(0.02)
    assert close.upper - close.lower < 0.5 * (apart.upper - apart.lower)
    expected = 1.96 * np.sqrt(2) * 0.02 * np.sqrt(1 - 1 / 1.04)
    assert (close.lower, close.upper) == pytest.approx((0.02 - expected, 0.02 + expected), abs=2e-3)


@pytest.mark.parametrize(
    ("area", "positives", "least"), [(0.9, 20, 0.92), (0.99, 20, 0.92), (0.95, 5, 0.90)]
)
def test_intervals_cover(area, positives, least):
    """A percentile interval covers 91, 74 and 68 per cent of these."""
    random = np.random.default_rng(7)
    draws = PatientDraws.draw([str(index) for index in range(220)], 40, 0)
    positive = np.arange(220) < positives
    covered = []
    for _ in range(400):
        logits = np.append(*_auc(stats.norm.ppf(area), positives, 220 - positives, 1, random))
        cases = Cases(positive, logits, draws.patient)
        label = ScoredLabel.of("a", cases, np.arange(220), draws, None)
        score = next(score for score in label.ranks() if score.metric == "auroc")
        lower, upper = score.interval(0.95)
        covered.append(lower <= area <= upper)
    assert least <= np.mean(covered) <= 0.99


@pytest.mark.parametrize(
    ("area", "positives", "sureness"), [(0.8, 5, 1.0), (0.9, 20, 1.0), (0.9, 20, 1.5)]
)
def test_intervals_of_probabilities_cover(area, positives, sureness):
    """Of Brier scores and calibration errors, which only the number of positives may make vary.

    Intervals that let prevalence vary hold all of the first, and are four to eight times as wide.
    """
    random = np.random.default_rng(8)
    total = positives + 300
    separation = np.sqrt(2) * stats.norm.ppf(area)
    truth = np.arange(total) < positives
    draws = PatientDraws.draw([str(index) for index in range(total)], 20, 0)

    def odds(logits):
        return sureness * (separation * (logits - separation / 2) + np.log(positives / 300))

    grid = np.linspace(-8, 12, 100_001)
    kinds = [stats.norm.pdf(grid - separation) * positives, stats.norm.pdf(grid) * 300]
    kinds = [kind / (kinds[0].sum() + kinds[1].sum()) for kind in kinds]
    chance = special.expit(odds(grid))
    bins = np.minimum((chance * BINS).astype(int), BINS - 1)
    true = {
        "brier": (kinds[0] * (1 - chance) ** 2 + kinds[1] * chance**2).sum(),
        "ece": np.abs(np.bincount(bins, sum(kinds) * chance - kinds[0])).sum(),
    }
    covered = {name: [] for name in true}
    widths = []
    for _ in range(150):
        cases = Cases(truth, odds(random.normal(size=total) + separation * truth), draws.patient)
        for score in ScoredLabel.of("a", cases, np.arange(total), draws, None).chances():
            lower, upper = score.interval(0.95)
            covered[score.metric].append(lower <= true[score.metric] <= upper)
            widths += [upper - lower] if score.metric == "brier" else []
    assert all(np.mean(held) >= 0.87 for held in covered.values()), covered
    assert np.median(widths) < true["brier"] * (0.41 if positives == 5 else 0.6)


@pytest.mark.parametrize("seen", [-1.0, 0.0, 1.0, 2.0, 4.0])
def test_where_a_truth_has_an_end_intervals_are_those_of_feldman_and_cousins(seen):
    """Of a normal score whose mean is not below 0: by ratios of likelihood."""
    scores = np.linspace(-7, 14, 4201)
    held = []
    for mean in np.linspace(0, 8, 401):
        ratio = stats.norm.pdf(scores - mean) / stats.norm.pdf(scores - np.maximum(scores, 0))
        order = np.argsort(-ratio, kind="stable")
        chance = np.cumsum(stats.norm.pdf(scores[order] - mean) * 0.005)
        taken = scores[order[: np.searchsorted(chance, 0.95) + 1]]
        held += [mean] if taken.min() <= seen <= taken.max() else []
    truth = np.concatenate([[0.0], np.geomspace(1e-3, 9, 400)])
    found = Confidence(seen, truth, stats.norm.cdf(seen - truth), np.ones(401), beyond=truth)
    ends = found.interval(0.95)
    assert ends == pytest.approx((min(held[0], seen), max(held[-1], seen)), abs=0.03)


@pytest.mark.parametrize(("share", "cases"), [(0.0, 20), (0.02, 50), (0.1, 100), (0.5, 40)])
def test_intervals_of_shares_hold(share, cases):
    """At a true share: 0 is always inside; others are in nine of ten or more of the intervals."""
    random = np.random.default_rng(4)
    held = 0
    for _ in range(300):
        value = random.binomial(cases, share) / cases
        family = share_family(value, cases, value * (1 - value) / cases)
        lower, upper = Confidence.from_families([family], np.eye(1), value).interval(0.95)
        held += lower <= share <= upper
    assert held / 300 > 0.92


@pytest.mark.parametrize("value", [0.0, 1.0])
@pytest.mark.parametrize(("metric", "positives"), [("recall_at_1", None), ("dice", 8)])
def test_cases_that_all_agree_have_an_interval(value, metric, positives):
    """About that of a binomial share for which 5 % of test sets would also agree."""
    score = sampled_score("x", metric, value, np.full(200, value), 40, positives, 40)
    cases = positives or 40
    lower, upper = score.interval(0.95)
    width = 1 - 0.05 ** (1 / cases)
    assert (lower, upper)[int(value)] == value
    assert upper - lower == pytest.approx(width, rel=0.35)
    assert np.std(score.draws) > 0


@pytest.mark.parametrize(("hits", "cases"), [(2, 20), (10, 20), (17, 20), (190, 200)])
def test_recall_of_one_image_a_patient_has_the_interval_of_wilson(hits, cases):
    one = np.arange(cases) < hits
    draws = PatientDraws.draw([str(index) for index in range(cases)], 10, 0)
    peer = stats.binomtest(hits, cases).proportion_ci(method="wilson")
    score = recall_score("image", "recall_at_1", one, draws)
    assert score.interval(0.95) == pytest.approx(tuple(peer), abs=1e-3)
    # Pairs of equal images are worth half as many.
    twice = PatientDraws.draw([str(index // 2) for index in range(2 * cases)], 10, 0)
    again = recall_score("image", "recall_at_1", np.repeat(one, 2), twice).interval(0.95)
    assert again == pytest.approx(tuple(peer), abs=0.03)
    none = recall_score("image", "recall_at_1", np.zeros(2 * cases, bool), twice).interval(0.95)
    assert none == pytest.approx((0, 1 - 0.05 ** (1 / cases)), rel=0.35)


def test_variances_of_a_mean_are_unbiased_as_those_of_samples():
    truth = np.linspace(0.01, 0.99, 181)
    shares = [Family(truth, truth, truth * (1 - truth) / 8) for _ in range(2)]
    found = Confidence.from_families(shares, np.eye(2), 0.5)
    wider = [Family(truth, truth, truth * (1 - truth) / 14)]
    assert found.below == pytest.approx(Confidence.from_families(wider, ALONE, 0.5).below)


def _claims(reports, random):
    """Counts [N, 1, 3]: 12 of the references affirm, most of what is said is right."""
    affirmed = np.arange(reports) < 12
    said = np.where(random.random(reports) < 0.8, affirmed, ~affirmed)
    return np.stack([said & affirmed, said & ~affirmed, ~said & affirmed], axis=1)[:, None]


def test_f1_of_claims_has_the_interval_of_f1_of_labels():
    counts = _claims(50, np.random.default_rng(10)).astype(np.int64)
    draws = PatientDraws.draw([str(index) for index in range(50)], 40, 0)
    metric = metrics("generation")["lexical_f1"]
    found = claims_score(metric, "a", counts, draws)
    true, false, missed = (counts[:, 0] > 0).T
    validation = np.array([True, False]), np.array([0.5, -0.5])
    cases = Cases(true | missed, np.where(true | false, 1.0, -1.0), draws.patient)
    label = ScoredLabel.of("a", cases, np.arange(50), draws, validation).thresholds()[0]
    assert label.metric == "f1" and found.value == label.value
    assert found.interval(0.95) == label.interval(0.95)
    assert found.positives == 12 and found.order == pytest.approx(label.order, nan_ok=True)
    few = claims_score(metric, "a", counts[8:], PatientDraws.draw(list(map(str, range(42))), 9, 0))
    assert few.note == TOO_FEW and np.isnan(few.interval(0.95)).all()


def test_bleu_of_few_patients_with_four_words_in_a_row_has_no_interval():
    right, wrong = "no effusion is seen today", "the heart is large"
    metric = metrics("generation")["bleu"]
    for patients, note in ((4, TOO_FEW), (5, None)):
        # Two reports a patient: reports are not patients.
        generated = [right] * 2 * patients + [wrong] * 20
        counts = bleu_statistics(generated, [right] * len(generated))
        draws = PatientDraws.draw([str(i // 2) for i in range(len(generated))], 40, 0)
        score = report_score(metric, MACRO, counts, draws)
        assert score.value > 0 and score.note == note
        assert np.isnan(score.interval(0.95)).all() == (note is not None)


def test_encoders_that_agree_on_every_case_may_differ_on_others():
    hits = np.random.default_rng(0).binomial(6, 0.5, 300) / 6
    families = (share_family(0.5, 6, float(hits.var())),)
    one, other = (Score("x", "recall", 0.5, hits, 40, 6, families) for _ in range(2))
    found = paired_difference(one, other, 0.95)
    assert found.value == 0 and 0.2 < found.upper < 0.5 and found.lower == -found.upper
