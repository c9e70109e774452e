import numpy as np
import polars as pl
import pytest
import yaml

from radscale_lib.scaling.tables import (
    COMPARISONS_SCHEMA,
    CROSSOVERS_SCHEMA,
    FITS_SCHEMA,
    fit_study,
)
from scripts import fit as script

MACRO = pl.col("target") == "macro"


@pytest.fixture(scope="module")
def tables(study, scores):
    return fit_study(study, scores)


def chosen(fits, arm, task="findings"):
    return fits.filter((pl.col("arm") == arm) & (pl.col("task") == task) & pl.col("chosen"))


def test_one_law_is_chosen_for_every_curve(study, tables):
    fits, crossovers, _ = tables
    assert fits.schema == FITS_SCHEMA
    assert crossovers.schema == CROSSOVERS_SCHEMA
    counts = fits.group_by("arm", "task").agg(pl.col("chosen").sum(), pl.len())
    assert len(counts) == len(study.arms) * len(study.scaling.metrics)
    assert (counts["chosen"] == 1).all()
    assert (counts["len"] == 3).all()
    assert len(crossovers) == len(counts)


def test_arms_are_compared_at_each_size_in_pairs(study, tables):
    *_, comparisons = tables
    assert comparisons.schema == COMPARISONS_SCHEMA
    sizes = len(study.subsets.sizes) + 1
    assert len(comparisons) == len(study.scaling.metrics) * 3 * sizes
    assert (comparisons["difference_lower"] <= comparisons["difference"]).all()
    assert (comparisons["difference"] <= comparisons["difference_upper"]).all()
    pair = comparisons.filter(
        (pl.col("arm") == "mi2-reports") & (pl.col("other") == "rad-dino") & pl.col("studied")
    )
    # The laws of conftest cross at 39 images: close at 50, far apart at 1,200.
    ahead = pair.group_by("size").agg(pl.col("ahead").mean()).sort("size")["ahead"]
    assert 0.5 < ahead[0] < ahead[-1]
    assert ahead[-1] > 0.99
    assert (pair["slope_lower"] > 0).mean() > 0.7
    truth = 0.3 - 0.9 * pair["size"] ** -0.3
    held = (pair["difference_lower"] <= truth) & (truth <= pair["difference_upper"])
    assert held.mean() >= 0.75


def test_every_chosen_fit_has_its_checks(tables):
    fits, *_ = tables
    for lines in fits.filter(pl.col("chosen"))["diagnostics"]:
        text = "\n".join(lines)
        for word in (
            *("resampled: test patients, 200 draws", "2 at 50", "held-out", "log-log line"),
            *("without the smallest size", "without the largest size", "elasticity"),
            *("points dropped: none", "weights in the level of the law", "identified: "),
        ):
            assert word in text
    assert (fits["loo_error_line"] > 0).all()


def test_planted_laws_are_found(tables):
    fits, *_ = tables
    rising = chosen(fits, "mi2-reports").row(0, named=True)
    assert rising["identified"]
    assert rising["form"] != "constant"
    level = fits.filter((pl.col("arm") == "rad-dino") & pl.col("chosen"))
    flat = level.filter(~pl.col("identified"))
    # One in twenty flat curves is called rising, at this level.
    assert len(flat) >= 3
    for row in flat.iter_rows(named=True):
        assert (row["form"], row["b"], row["c"]) == ("constant", 0, 0)
        assert row["note"] == "flat: no rise identified"
        assert row["change_lower"] <= 0 <= row["change_upper"]
    power = fits.filter((pl.col("arm") == "mi2-reports") & (pl.col("form") == "power"))
    assert (
        pl.Series(0.3 for _ in range(4)).is_between(power["b_lower"], power["b_upper"]).sum() >= 3
    )


def test_what_is_said_of_the_rise_agrees_with_the_change(study, simulate):
    """An interval of the change that excludes zero beside "no rise identified" would contradict."""
    seen = set()
    for seed in range(3):
        laws = {arm: (0.3, b, 0.0) for arm, b in zip(study.arms, (0.0, 0.02, 0.05), strict=True)}
        fits, *_ = fit_study(study, simulate(laws, seed=seed, seed_sd=0.03))
        for row in fits.filter(pl.col("chosen")).iter_rows(named=True):
            holds_zero = row["change_lower"] <= 0 <= row["change_upper"]
            seen.add(row["form"] == "constant")
            if row["form"] == "constant":
                assert holds_zero
                assert row["gain_lower"] <= 0 <= row["gain_upper"]
            else:
                assert ("may be nil" in row["note"]) == holds_zero
    assert seen == {True, False}


def test_flat_studies_are_called_flat_as_often_as_is_said(study, simulate):
    """Nominal 0.9 of curves without a trend; the arms of a task share their test patients."""
    rises = []
    for seed in range(8):
        scores = simulate(dict.fromkeys(study.arms, (0.3, 0.0, 0.0)), seed=seed, resamples=60)
        fits, *_ = fit_study(study, scores)
        rises += fits.filter(pl.col("chosen"))["rises"].to_list()
    assert len(rises) == 96
    assert 0.82 <= np.mean([0.05 <= share <= 0.95 for share in rises]) <= 0.98


def test_curves_lie_inside_their_intervals_and_span_the_sizes(study, tables):
    fits, *_ = tables
    points = fits.explode("curve").unnest("curve")
    assert (points["lower"] <= points["value"]).all()
    assert (points["value"] <= points["upper"]).all()
    for sizes in fits["curve"].list.eval(pl.element().struct.field("size")):
        assert set(study.subsets.sizes) <= set(sizes)
        assert sizes[0] == study.subsets.sizes[0]
        assert sizes[-1] == study.scaling.horizon * study.subsets.sizes[-1]


def test_the_law_is_the_backbone_of_the_curve(tables):
    fits, *_ = tables
    rows = fits.filter(pl.col("chosen"))
    assert set(rows["form"]) > {"constant"}
    for row in rows.iter_rows(named=True):
        for point in row["curve"]:
            error = row["a"] * (point["size"] + row["d"]) ** -row["b"] + row["c"]
            tolerance = 1e-9 if row["form"] == "constant" else 0.07
            assert point["value"] == pytest.approx(1 - min(error, 1), abs=tolerance)


@pytest.mark.parametrize(
    ("baseline", "states"),
    [
        (0.35, {"below"}),
        (0.16, {"within"}),
        (0.075, {"above"}),
        (0.01, {"never", "above"}),
    ],
)
def test_crossover_states(study, simulate, baseline, states):
    law = {"mi2-reports": (0.9, 0.3, 0.0)}
    laws = {arm: law["mi2-reports"] for arm in study.arms}
    scores = simulate(laws, {"mi2-open": baseline, "rad-dino-open": baseline})
    _, crossovers, _ = fit_study(study, scores)
    assert set(crossovers["state"]) <= states
    if states == {"within"}:
        truth = (baseline / 0.9) ** (-1 / 0.3)
        held = (crossovers["size_lower"] <= truth) & (truth <= crossovers["size_upper"])
        assert held.mean() >= 0.75
        ratio = crossovers["size"] / truth
        assert ((ratio > 0.5) & (ratio < 2)).all()
    else:
        assert crossovers["size"].null_count() == len(crossovers)
    ahead = {"below": 0.99, "within": 0.9}.get(min(states))
    if ahead:
        assert (crossovers["ahead"] > ahead).all()


def test_missing_runs_are_counted_and_the_rest_is_fitted(study, simulate, missing):
    fits, *_ = fit_study(study, simulate(missing=frozenset({missing})))
    row = chosen(fits, missing.arm).row(0, named=True)
    assert (row["runs"], row["runs_expected"], row["sizes"]) == (9, 10, 5)
    assert chosen(fits, "rad-dino")["runs"][0] == 10
    lines = chosen(fits, missing.arm)["diagnostics"][0].to_list()
    assert "points dropped: no score of seed 1 at 400" in lines


def test_undefined_scores_count_as_missing(study, scores, missing):
    run = (
        (pl.col("arm") == missing.arm)
        & (pl.col("size") == missing.size)
        & (pl.col("seed") == missing.seed)
    )
    for value in (None, float("nan")):
        holes = scores.with_columns(
            value=pl.when(run).then(pl.lit(value)).otherwise(pl.col("value"))
        )
        fits, *_ = fit_study(study, holes)
        assert chosen(fits, missing.arm)["runs"][0] == 9


def test_too_few_sizes_are_refused_in_words(study, scores):
    few = scores.filter(~((pl.col("arm") == "rad-dino") & (pl.col("size") > 100)))
    fits, crossovers, _ = fit_study(study, few)
    row = fits.filter((pl.col("arm") == "rad-dino") & (pl.col("task") == "findings"))
    assert row["note"].to_list() == ["2 of at least 3 sizes: too few for a scaling law"]
    assert not row["chosen"].any()
    assert row["curve"].null_count() == 1
    assert "rad-dino" not in set(crossovers["arm"])
    none = scores.filter(pl.col("arm") != "rad-dino")
    fits, *_ = fit_study(study, none)
    assert set(fits.filter(pl.col("arm") == "rad-dino")["note"]) == {"no runs"}


def test_without_a_baseline_there_is_no_crossover(study, scores):
    fits, crossovers, _ = fit_study(study, scores.filter(pl.col("arm") != "mi2-open"))
    assert set(crossovers["arm"]) == {"rad-dino"}
    assert chosen(fits, "mi2-reports")["identified"][0]


def test_without_resamples_the_fit_stands_on_seeds_alone(study, scores):
    bare = scores.with_columns(resamples=pl.lit(None, pl.List(pl.Float64)))
    with_draws, *_ = fit_study(study, scores)
    without, crossovers, _ = fit_study(study, bare)
    widths = [
        np.ptp([chosen(fits, "mi2-reports")["curve"][0][-1][end] for end in ("lower", "upper")])
        for fits in (without, with_draws)
    ]
    assert widths[0] < widths[1]
    assert crossovers["text"].str.ends_with("the baseline's own noise is not known").all()
    assert len(crossovers) == 12


def test_a_baseline_without_draws_leaves_the_runs_theirs(study, scores):
    baseline = pl.col("arm") == "mi2-open"
    bare = scores.with_columns(
        resamples=pl.when(baseline).then(pl.lit(None)).otherwise(pl.col("resamples"))
    )
    (fits, crossovers, _), (whole, *_) = fit_study(study, bare), fit_study(study, scores)
    widths = [
        np.ptp([chosen(of, "mi2-reports")["curve"][0][-1][end] for end in ("lower", "upper")])
        for of in (fits, whole)
    ]
    assert widths[0] == pytest.approx(widths[1], rel=0.1)
    row = crossovers.filter((pl.col("arm") == "mi2-reports") & (pl.col("task") == "findings"))
    assert row["text"][0].endswith("the baseline's own noise is not known")
    (unit, *_) = chosen(fits, "mi2-reports")["diagnostics"][0]
    assert unit == "resampled: test patients, 200 draws, jointly over 10 runs"


def test_values_out_of_range_spare_the_other_arms(study, scores, tmp_path):
    wrong = (pl.col("arm") == "rad-dino") & (pl.col("size") == 400) & MACRO
    scores = scores.with_columns(value=pl.when(wrong).then(1.3).otherwise(pl.col("value")))
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study.model_dump(mode="json")))
    scores.write_parquet(tmp_path / "scores.parquet")
    names = ("fits", "crossovers", "comparisons")
    outputs = [part for name in names for part in (f"--{name}", str(tmp_path / name))]
    inputs = ["--study", str(tmp_path / "study.yaml"), "--scores", str(tmp_path / "scores.parquet")]
    script.main([*inputs, *outputs])
    fits = pl.read_parquet(tmp_path / "fits")
    refused = fits.filter(pl.col("arm") == "rad-dino")
    assert refused["note"].str.contains(r"must lie in \[0, 1\], found .* to 1.3").all()
    assert not refused["chosen"].any()
    assert chosen(fits, "mi2-reports")["identified"][0]
    assert "rad-dino" not in set(pl.read_parquet(tmp_path / "crossovers")["arm"])


def test_undefined_draws_are_left_out(study, scores):
    holed = scores.with_columns(
        resamples=pl.col("resamples").list.eval(
            pl.when(pl.int_range(pl.len()) < 3).then(float("nan")).otherwise(pl.element())
        )
    )
    fits, *_ = fit_study(study, holed)
    assert fits["curve"].null_count() == 0
    assert np.isfinite(fits["a_upper"].to_numpy()).all()


def test_perfect_scores_are_fitted(study, scores):
    top = (pl.col("size") == 1200) & MACRO
    perfect = scores.with_columns(value=pl.when(top).then(1.0).otherwise(pl.col("value")))
    fits, *_ = fit_study(study, perfect)
    assert fits.filter(pl.col("chosen"))["identified"].all()


def test_scores_worse_than_chance_are_fitted_where_they_are(study, scores):
    worse = scores.with_columns(
        value=pl.lit(0.3), resamples=pl.col("resamples").list.eval(pl.element() * 0 + 0.3)
    )
    fits, crossovers, _ = fit_study(study, worse)
    values = fits.filter(pl.col("chosen")).explode("curve").unnest("curve")["value"]
    assert values.is_between(0.28, 0.32).all()
    assert crossovers["difference"].abs().max() < 0.02


def test_scores_that_are_all_zero_are_flat_and_level_with_the_baseline(study, scores):
    zero = scores.with_columns(
        value=pl.lit(0.0), resamples=pl.col("resamples").list.eval(pl.element() * 0)
    )
    fits, crossovers, _ = fit_study(study, zero)
    assert set(fits.filter(pl.col("chosen"))["form"]) == {"constant"}
    assert set(crossovers["state"]) == {"undetermined"}
    assert crossovers["ahead"].is_between(0.3, 0.7).all()
    assert (crossovers["difference_lower"] <= 0).all()


def test_held_out_error_is_that_of_the_last_size_but_one(study, simulate):
    scores = simulate(seed_sd=0.0, own_sd=1e-3, shared_sd=1e-3)
    fits, *_ = fit_study(study, scores)
    row = fits.filter(
        (pl.col("arm") == "mi2-reports")
        & (pl.col("task") == "findings")
        & (pl.col("form") == "power")
    ).row(0, named=True)
    assert row["loo_error_constant"] == pytest.approx(0.3 * np.log(3), abs=0.002)
    assert row["loo_error"] < 0.02


def test_script_writes_both_tables_the_same_each_time(study, scores, tmp_path):
    (tmp_path / "study.yaml").write_text(yaml.safe_dump(study.model_dump(mode="json")))
    scores.write_parquet(tmp_path / "scores.parquet")
    written = []
    for attempt in ("one", "two"):
        folder = tmp_path / attempt
        script.main(
            [
                *("--study", str(tmp_path / "study.yaml")),
                *("--scores", str(tmp_path / "scores.parquet")),
                *("--fits", str(folder / "fits.parquet")),
                *("--crossovers", str(folder / "crossovers.parquet")),
                *("--comparisons", str(folder / "comparisons.parquet")),
            ]
        )
        names = ("fits.parquet", "crossovers.parquet", "comparisons.parquet")
        written.append([(folder / name).read_bytes() for name in names])
    assert written[0] == written[1]
    assert pl.read_parquet(tmp_path / "one" / "fits.parquet").schema == FITS_SCHEMA
