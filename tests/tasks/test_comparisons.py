"""Differences of encoders, subgroups and reliability: from scores and predictions in memory."""

import numpy as np
import polars as pl
import pytest
from scipy.stats import norm, t
from sklearn.calibration import calibration_curve
from sklearn.metrics import roc_auc_score

from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.differences import (
    NOT_SHARED,
    _mover,
    _rests_on,
    difference_table,
    paired_difference,
)
from radscale_lib.tasks.draws import KEYS, with_draws
from radscale_lib.tasks.label_scores import label_scores
from radscale_lib.tasks.reliability import reliability
from radscale_lib.tasks.subgroups import groupings, shortcut, subgroup_scores

LABELS = ("a", "b")


def _predictions(rows=240, seed=0, quality=1.5):
    """Two images a patient; scanner Z sees label a worse."""
    random = np.random.default_rng(7)
    noise = np.random.default_rng(seed)
    scanner = np.where(np.arange(rows) // 2 % 3 == 0, "Z", "Y")
    table = {
        "patient_id": [f"p{index // 2:03d}" for index in range(rows)],
        "split": ["test"] * rows,
    }
    for label in LABELS:
        truth = random.random(rows) < 0.35
        pull = np.where((scanner == "Z") & (label == "a"), 0.2, quality)
        table |= {
            f"target:{label}": truth.astype(np.int8),
            f"logit:{label}": noise.normal(size=rows) + pull * truth,
        }
    images = pl.DataFrame({"patient_id": table["patient_id"], "scanner": scanner})
    return pl.DataFrame(table), images


def _draws(table):
    return PatientDraws.draw(table["patient_id"].to_list(), 60, 0)


def _scorer(table):
    return lambda images, draws: _score(table[images], draws)


def _score(table, draws):
    truth, logits = (
        table.select(f"{part}:{label}" for label in LABELS).cast(pl.Float64).fill_null(np.nan)
        for part in ("target", "logit")
    )
    return label_scores(LABELS, truth.to_numpy(), logits.to_numpy(), draws)


def _scores_table(arm, size, seed, scores):
    rows = []
    for one in scores:
        lower, upper = one.interval(0.95)
        row = {"arm": arm, "size": size, "seed": seed, "task": "findings", "head": "linear"}
        row |= {"target": one.target, "metric": one.metric, "value": one.value, "lower": lower}
        row |= {"upper": upper, "confidence": 0.95, "cases": one.cases, "note": one.note}
        row |= {"positives": one.positives}
        rows.append(row | {"resamples": one.draws.tolist()})
    return pl.DataFrame(
        rows, schema_overrides={"note": pl.String, "resamples": pl.List(pl.Float32)}
    )


def test_every_pair_of_encoders_is_compared_on_shared_draws():
    scored = {}
    for place, name in enumerate((("arm", 20, 0), ("arm", 20, 1), ("arm", 10, 0), ("base", 0, 0))):
        table, _ = _predictions(seed=place, quality=2 - place / 3)
        scored[name] = _score(table, _draws(table))
    scores = pl.concat(_scores_table(*name, found) for name, found in scored.items())
    found = difference_table(scores.sample(fraction=1, shuffle=True, seed=1), ["arm", "base"])
    aucs = found.filter(metric="auroc", target="a")
    pairs = [
        ("arm", 20, 2, "arm", 10, 1),
        ("arm", 20, 2, "base", 0, 1),
        ("arm", 10, 1, "base", 0, 1),
    ]
    names = ["arm", "size", "seeds", "other", "other_size", "other_seeds"]
    assert aucs.select(names).rows() == pairs
    assert found.height == 3 * scores.select("target", "metric").n_unique() - 3 * sum(
        np.isnan(one.value) for one in scored["base", 0, 0]
    )
    small, base = (
        next(s for s in scored[name] if (s.target, s.metric) == ("a", "auroc"))
        for name in (("arm", 10, 0), ("base", 0, 0))
    )
    expected = paired_difference(small, base, 0.95)
    row = aucs.row(2, named=True)
    assert row["difference"] == pytest.approx(expected.value)
    # The correlation is that of corrected draws here, and of bootstrap draws there.
    assert (row["lower"], row["upper"]) == pytest.approx(expected[1:], abs=0.02)
    both = [s.value for name in (("arm", 20, 0), ("arm", 20, 1)) for s in scored[name]
            if (s.target, s.metric) == ("a", "auroc")]  # fmt: skip
    assert aucs["difference"][1] == pytest.approx(np.mean(both) - base.value)
    assert aucs["lower"][1] < aucs["difference"][1] < aucs["upper"][1]


def test_differences_of_ranking_metrics_widen_with_the_rarer_class_and_the_level():
    ends = (0.8, 0.7, 0.9)
    plain = _mover(ends, ends, 0.5, 6, False, 0.95)
    assert plain.upper == pytest.approx(0.1)
    for confidence in (0.9, 0.95, 0.99):
        found = _mover(ends, ends, 0.5, 6, True, confidence)
        tail = (1 + confidence) / 2
        assert found.upper / plain.upper == pytest.approx(t.ppf(tail, 5) / norm.ppf(tail))
    # A correlation that is assumed is not estimated.
    agreeing = [_mover(ends, ends, 1.0, 6, ranking, 0.95) for ranking in (True, False)]
    assert agreeing[0] == agreeing[1]
    assert [_rests_on(400, n) for n in (394, 6, None, 900)] == [6, 6, 400, 900]


def test_scores_without_interval_or_other_draws_have_a_difference_and_no_ends():
    table, _ = _predictions()
    one = _scores_table("arm", 20, 0, _score(table, _draws(table))).filter(metric="auroc")
    few = one.with_columns(arm=pl.lit("base"), size=0, note=pl.lit("too few"))
    found = difference_table(pl.concat([one, few.cast(dict(one.schema))]), ["arm", "base"])
    assert found["difference"].to_list() == [0.0] * 4
    assert set(found["note"]) == {"too few"}
    short = few.with_columns(
        note=pl.lit(None, pl.String), resamples=pl.col("resamples").list.head(5)
    )
    found = difference_table(pl.concat([one, short.cast(dict(one.schema))]), ["arm", "base"])
    assert found["lower"].null_count() == 4
    assert set(found["note"]) == {NOT_SHARED}
    assert difference_table(one.clear(), ["arm"]).is_empty()


def test_draws_are_joined_to_their_scores():
    table, _ = _predictions()
    scores = _scores_table("arm", 20, 0, _score(table, _draws(table)))
    draws = scores.select(*KEYS, "resamples").reverse()
    assert with_draws(scores.drop("resamples"), draws).equals(scores)
    missing = with_draws(scores.drop("resamples"), draws.head(3))
    assert missing["resamples"].null_count() == len(scores) - 3


def test_subgroups_have_the_scores_of_their_images_and_the_worst_is_named():
    table, images = _predictions()
    [grouping] = groupings(images, ["scanner", "year"])
    found = subgroup_scores(grouping, _scorer(table), _draws(table), 0.95)
    for group in ("Y", "Z"):
        here = table.filter(images["scanner"] == group)
        expected = roc_auc_score(here["target:a"], here["logit:a"])
        row = found.filter(kind="group", group=group, target="a", metric="auroc").row(0, named=True)
        assert row["value"] == pytest.approx(expected)
        assert (row["cases"], row["positives"]) == (len(here), here["target:a"].sum())
        assert row["lower"] < row["value"] < row["upper"]
    values = dict(
        found.filter(kind="group", target="a", metric="auroc").select("group", "value").iter_rows()
    )
    worst = found.filter(kind="worst", target="a", metric="auroc").row(0, named=True)
    gap = found.filter(kind="gap", target="a", metric="auroc").row(0, named=True)
    assert (worst["group"], worst["value"]) == ("Z", values["Z"])
    assert (gap["group"], gap["other"]) == ("Z", "Y")
    assert gap["value"] == pytest.approx(values["Y"] - values["Z"])
    assert 0 < gap["lower"] < gap["value"] < gap["upper"]
    alone = found.filter(kind="group", group="Z", target="a", metric="auroc").row(0, named=True)
    assert worst["lower"] < alone["lower"]
    brier = found.filter(target="a", metric="brier")
    largest = brier.filter(kind="group").sort("value")["group"][-1]
    assert brier.filter(kind="worst")["group"].to_list() == [largest]
    assert (found.filter(kind="gap")["value"] >= 0).all()


def test_means_of_groups_are_over_the_labels_that_every_group_has():
    table, images = _predictions()
    rare = (images["scanner"] == "Z") & (pl.int_range(len(table), eager=True) > 12)
    table = table.with_columns(pl.when(rare).then(0).otherwise("target:b").alias("target:b"))
    [grouping] = groupings(images, ["scanner"])
    found = subgroup_scores(grouping, _scorer(table), _draws(table), 0.95)
    noted = found.filter(kind="group", group="Z", target="b", metric="auroc").row(0, named=True)
    assert noted["note"] == "too few"
    of = found.filter(kind="group", metric="auroc").select("group", "target", "value")
    for group in ("Y", "Z"):
        values = dict(of.filter(group=group).select("target", "value").iter_rows())
        assert values["macro"] == values["a"]


def test_groups_and_counts_of_few_are_merged_or_left_out():
    table, images = _predictions()
    few = pl.Series(["X"] * 4 + ["W"] * 4 + [None] * 2 + images["scanner"][10:].to_list())
    [grouping] = groupings(images.with_columns(scanner=few), ["scanner"], 5)
    assert set(grouping.groups) == {"Y", "Z", "other"}
    assert sorted(np.concatenate([*grouping.groups.values()])) == [*range(len(table))]
    found = subgroup_scores(grouping, _scorer(table), _draws(table), 0.95, 5)
    other = found.filter(kind="group", group="other", target="a")
    assert other.is_empty()
    assert found.filter(target="a")["positives"].null_count() == len(found.filter(target="a"))
    same = images.with_columns(scanner=pl.lit("Y"))
    assert list(groupings(same, ["scanner"])) == []


def test_a_shortcut_is_told_by_positives_with_and_without_it():
    table, _ = _predictions(rows=400)
    draws = _draws(table)
    random = np.random.default_rng(3)
    tube = pl.Series(random.random(len(table)) < 0.5).set(
        pl.int_range(len(table), eager=True) < 9, None
    )
    placed = tube.cast(pl.Float64).fill_null(np.nan).to_numpy()
    seen = (tube.fill_null(False) & (table["target:a"] == 1)).cast(pl.Float64)
    table = table.with_columns(pl.col("logit:a") + 4 * seen)
    found = subgroup_scores(
        shortcut("a", "tube", table["target:a"].to_numpy(), placed), _scorer(table), draws, 0.95
    )
    assert set(found["by"]) == {"a by tube"}
    assert set(found["target"]) == {"a"}
    values = {}
    for group, has in (("with tube", True), ("without tube", False)):
        kept = table.filter((table["target:a"] == 0) | (tube == has).fill_null(False))
        row = found.filter(kind="group", group=group, metric="auroc").row(0, named=True)
        values[group] = roc_auc_score(kept["target:a"], kept["logit:a"])
        assert row["value"] == pytest.approx(values[group])
        assert row["positives"] == kept["target:a"].sum()
    gap = found.filter(kind="gap", metric="auroc").row(0, named=True)
    assert gap["group"] == "without tube"
    assert gap["value"] == pytest.approx(values["with tube"] - values["without tube"])
    assert gap["lower"] > 0


def test_reliability_equals_scikit_learn():
    random = np.random.default_rng(0)
    truth = (random.random((500, 2)) < 0.4).astype(float)
    logits = random.normal(size=(500, 2)) + truth - 0.5
    truth[:20, 1] = np.nan
    found = reliability(["a", "b"], truth, logits, np.arange(500) // 2)
    for column, label in enumerate(("a", "b")):
        known = ~np.isnan(truth[:, column])
        chance = 1 / (1 + np.exp(-logits[known, column]))
        share, mean = calibration_curve(truth[known, column], chance, n_bins=15)
        rows = found.filter(target=label)
        assert (rows["positives"] / rows["cases"]).to_numpy() == pytest.approx(share)
        assert rows["mean"].to_numpy() == pytest.approx(mean)
        assert rows["cases"].sum() == known.sum()
        assert ((rows["mean"] >= rows["lower"]) & (rows["mean"] <= rows["upper"])).all()


def test_bins_of_few_patients_are_joined():
    random = np.random.default_rng(0)
    truth = (random.random((300, 1)) < 0.2).astype(float)
    logits = 2 * random.normal(size=(300, 1)) + truth
    found = reliability(["a"], truth, logits, np.arange(300), 10)
    lacking = found["cases"] - found["positives"]
    for counts in (found["positives"], lacking):
        assert ((counts == 0) | (counts >= 10)).all()
    assert found["cases"].sum() == 300
    assert 1 < len(found) < 15
    assert (found["lower"][1:] == found["upper"][:-1]).all()
    rare = np.zeros((300, 1))
    rare[:4] = 1
    assert reliability(["a"], rare, logits, np.arange(300), 10).is_empty()


def test_two_perfect_scores_are_as_far_apart_as_their_lower_ends_whatever_their_correlation():
    """All draws of each are equal, so that their correlation is unknown."""
    one, other = (1.0, 0.992, 1.0), (1.0, 0.985, 1.0)
    found = {_mover(one, other, correlation, 10**6, False, 0.95) for correlation in (0.0, 0.5, 1.0)}
    [difference] = found
    assert difference == pytest.approx((0, -0.008, 0.015), abs=1e-6)
