import numpy as np
import polars as pl
import pytest
import yaml

from radscale_lib.scaling.study_fits import LABELS, fit_tasks
from radscale_lib.scaling.tables import (
    COMPARISONS_SCHEMA,
    CROSSOVERS_SCHEMA,
    FITS_SCHEMA,
    Tables,
    fit_study,
)
from radscale_lib.scaling.words import between
from scripts import fit as script

MACRO = pl.col("target") == "macro"


def chosen(fits, arm, task="findings"):
    return fits.filter((pl.col("arm") == arm) & (pl.col("task") == task) & pl.col("chosen"))


def test_one_law_is_chosen_for_every_curve(study, tables):
    fits, crossovers, *_ = tables
    assert fits.schema == FITS_SCHEMA
    assert crossovers.schema == CROSSOVERS_SCHEMA
    counts = fits.group_by("arm", "task").agg(pl.col("chosen").sum(), pl.len())
    assert len(counts) == len(study.arms) * len(study.scaling.metrics)
    assert (counts["chosen"] == 1).all()
    assert (counts["len"] == 3).all()
    assert len(crossovers) == len(counts)


def test_arms_are_compared_at_each_size_in_pairs(study, tables):
    comparisons = tables.comparisons
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
    fits = tables.fits
    rising = chosen(fits, "mi2-reports").row(0, named=True)
    assert rising["identified"]
    assert rising["form"] != "constant"
    assert rising["elasticity_lower"] < 0.3 < rising["elasticity_upper"]
    flat = fits.filter((pl.col("arm") == "rad-dino") & pl.col("chosen"))
    assert not flat["identified"].any()
    for row in flat.iter_rows(named=True):
        assert row["note"].startswith("no trend identified: anything from ")
        assert row["change_lower"] <= 0 <= row["change_upper"]
    power = fits.filter((pl.col("arm") == "mi2-reports") & (pl.col("form") == "power"))
    assert (
        pl.Series(0.3 for _ in range(4)).is_between(power["b_lower"], power["b_upper"]).sum() >= 3
    )


def test_what_is_said_of_the_rise_agrees_with_the_change(study, simulate):
    """An interval of the change that excludes zero beside "no rise" would contradict it."""
    seen = set()
    for seed in range(2):
        laws = {arm: (0.3, b, 0.0) for arm, b in zip(study.arms, (0.0, 0.02, 0.05), strict=True)}
        scores = simulate(laws, seed=seed, seed_sd=0.03).filter(MACRO)
        for row in fit_study(study, scores).fits.filter(pl.col("chosen")).iter_rows(named=True):
            alone = not 0.05 <= row["rises"] <= 0.95
            holds_zero = row["change_lower"] <= 0 <= row["change_upper"]
            undecided = row["note"].startswith("no trend identified")
            seen.add((alone, undecided))
            assert undecided or alone
            assert holds_zero or alone
            assert ("taken alone" in row["note"]) == (undecided and alone)
            if undecided:
                assert between(row["change_lower"], row["change_upper"]) in row["note"]
            else:
                assert ("may be zero" in row["note"]) == holds_zero
    assert {(True, False), (False, True)} <= seen


@pytest.mark.long
def test_flat_curves_are_called_flat_as_often_as_is_said(study, simulate):
    """Nominal 0.9 of curves without a trend; the arms of a task share their test patients."""
    rises = []
    for seed in range(8):
        scores = simulate(dict.fromkeys(study.arms, (0.3, 0.0, 0.0)), seed=seed, resamples=60)
        for fits in fit_tasks(study, scores.filter(MACRO)):
            rises += [arm.fit.rises for arm in fits.arms.values()]
    assert len(rises) == 96
    assert 0.82 <= np.mean([0.05 <= share <= 0.95 for share in rises]) <= 0.98


def test_scores_without_an_interval_enter_no_fit(small, scores):
    """Their draws say less than is unknown; undefined ones would count as no noise at all."""
    rows = scores.filter(task="findings", metric="auroc")
    rare = rows.filter(LABELS)["target"][0]
    one_run = (pl.col("arm") == "mi2-reports") & (pl.col("size") == 400) & (pl.col("seed") == 0)
    label = one_run & (pl.col("target") == rare)
    macro = (pl.col("arm") == "rad-dino") & (pl.col("size") > 0) & (pl.col("target") == "macro")
    noted = rows.with_columns(
        note=pl.when(label | macro).then(pl.lit("too few")).otherwise(pl.lit(None, pl.String))
    )
    (fits,) = fit_tasks(small, noted)
    assert fits.refused == {"rad-dino": "runs without an interval: too few"}
    assert set(fits.arms) == {"mi2-reports", "mi2-reports-labels"}
    assert set(fits.positives) == set(rows.filter(LABELS)["target"]) - {rare}


def test_curves_lie_inside_their_intervals_and_span_the_sizes(study, tables):
    fits, *_ = tables
    points = fits.explode("curve").unnest("curve")
    assert (points["lower"] <= points["value"]).all()
    assert (points["value"] <= points["upper"]).all()
    for sizes in fits["curve"].list.eval(pl.element().struct.field("size")):
        assert set(study.subsets.sizes) <= set(sizes)
        assert sizes[0] == study.subsets.sizes[0]
        assert sizes[-1] == study.scaling.horizon * study.subsets.sizes[-1]


def test_there_is_one_curve_and_all_tables_tell_it(study, tables):
    """Changes, gains, leads and crossovers are differences of the drawn curves."""
    drawn = {}
    for (arm, task), rows in tables.fits.group_by("arm", "task"):
        assert rows["curve"].n_unique() == rows["loo_error"].n_unique() == 1
        row = rows.row(0, named=True)
        at = {point["size"]: point["value"] for point in row["curve"]}
        drawn[arm, task] = at
        sizes = (study.subsets.sizes[0], study.subsets.sizes[-1], 2 * study.subsets.sizes[-1])
        first, last, beyond = (at[size] for size in sizes)
        assert row["change"] == pytest.approx(last - first)
        assert row["gain"] == pytest.approx(beyond - last)
    for row in tables.comparisons.iter_rows(named=True):
        one, other = (drawn[row[name], row["task"]][row["size"]] for name in ("arm", "other"))
        assert row["difference"] == pytest.approx(one - other)
    for row in tables.crossovers.iter_rows(named=True):
        at = drawn[row["arm"], row["task"]]
        assert row["difference"] == pytest.approx(at[1200] - row["baseline_value"])
        if row["crossover"]:
            value = np.interp(np.log(row["crossover"]), np.log(list(at)), list(at.values()))
            assert value == pytest.approx(row["baseline_value"], abs=0.004)
    for row in tables.fits.filter("chosen").iter_rows(named=True):
        (line,) = [one for one in row["diagnostics"] if one.startswith("held-out")]
        assert f"log error {row['loo_error']:.3f}" in line
    judged = tables.verdicts.filter(pl.col("target") == "macro")
    for row in judged.filter(kind="rises").iter_rows(named=True):
        at = drawn[row["arm"], row["task"]]
        assert row["value"] == pytest.approx(at[1200] - at[50])
        (fit,) = chosen(tables.fits, row["arm"], row["task"]).rows(named=True)
        assert fit["identified"] == (row["verdict"] == "supported")
    for row in judged.filter(kind="overtakes").iter_rows(named=True):
        (cross,) = tables.crossovers.filter(arm=row["arm"], task=row["task"]).rows(named=True)
        assert row["value"] == pytest.approx(cross["difference"])
        if row["verdict"] == "undecided":
            assert cross["state"] == "undetermined"
    for row in judged.filter(kind="ahead").iter_rows(named=True):
        one, other = (drawn[row[name], row["task"]][row["size"]] for name in ("arm", "other"))
        assert row["value"] == pytest.approx(one - other)


def test_curves_use_the_images_that_runs_learnt_from(small, findings, tables):
    """The labels' arm learnt from a tenth fewer; the seeds of a size are one point of the curve."""
    seen = (
        pl.when(pl.col("size") == 0)
        .then(None)
        .when(pl.col("arm") == "mi2-reports-labels")
        .then(pl.col("size") * 9 // 10 + pl.col("seed"))
        .otherwise(pl.col("size"))
    )
    found = fit_study(small, findings.with_columns(images=seen))
    row = chosen(found.fits, "mi2-reports-labels").row(0, named=True)
    assert row["sizes"] == 5
    sizes = [point["size"] for point in row["curve"]]
    assert {45.5, 90.5, 180.5, 360.5, 1080.5, 2161.0} <= set(sizes)
    assert (sizes[0], sizes[-1]) == (45.5, 2161.0)
    same = chosen(found.fits, "rad-dino").row(0, named=True)["curve"]
    assert same == chosen(tables.fits, "rad-dino").row(0, named=True)["curve"]
    pairs = found.comparisons.filter(pl.col("studied"))
    labels = pl.any_horizontal(pl.col("arm", "other") == "mi2-reports-labels")
    assert pairs.filter(labels)["unequal"].all()
    assert not pairs.filter(~labels)["unequal"].any()
    marked = found.verdicts.filter((pl.col("kind") == "ahead") & labels & (pl.col("size") == 100))
    assert (
        marked["text"].str.contains(r"at 100 images \((90|91|100) and (90|91|100) images\)").all()
    )
    plain = found.verdicts.filter((pl.col("kind") == "ahead") & ~labels)
    assert not plain["text"].str.contains("images)", literal=True).any()


@pytest.mark.parametrize(
    ("baseline", "states"),
    [
        (0.35, {"below"}),
        (0.16, {"within"}),
        (0.075, {"above"}),
        (0.01, {"never", "above"}),
    ],
)
def test_crossover_states(study, small, simulate, baseline, states):
    of = study if states == {"within"} else small
    laws = dict.fromkeys(of.arms, (0.9, 0.3, 0.0))
    scores = simulate(laws, {"mi2-open": baseline, "rad-dino-open": baseline}, of)
    _, crossovers, *_ = fit_study(of, scores.filter(MACRO))
    assert set(crossovers["state"]) <= states
    if states == {"within"}:
        truth = (baseline / 0.9) ** (-1 / 0.3)
        held = (crossovers["crossover_lower"] <= truth) & (truth <= crossovers["crossover_upper"])
        assert held.mean() >= 0.75
        ratio = crossovers["crossover"] / truth
        assert ((ratio > 0.5) & (ratio < 2)).all()
    else:
        assert crossovers["crossover"].null_count() == len(crossovers)
    ahead = {"below": 0.99, "within": 0.9}.get(min(states))
    if ahead:
        assert (crossovers["ahead"] > ahead).all()


def test_missing_runs_are_counted_and_the_rest_is_fitted(small, simulate, missing):
    fits, *_ = fit_study(small, simulate(of=small, missing=frozenset({missing})).filter(MACRO))
    row = chosen(fits, missing.arm).row(0, named=True)
    assert (row["runs"], row["runs_expected"], row["sizes"]) == (9, 10, 5)
    assert chosen(fits, "rad-dino")["runs"][0] == 10
    lines = chosen(fits, missing.arm)["diagnostics"][0].to_list()
    assert "points dropped: no score of seed 1 at 400" in lines


def test_undefined_scores_count_as_missing(small, findings, missing):
    run = (
        (pl.col("arm") == missing.arm)
        & (pl.col("size") == missing.size)
        & (pl.col("seed") == missing.seed)
    )
    for value in (None, float("nan")):
        holes = findings.with_columns(
            value=pl.when(run).then(pl.lit(value)).otherwise(pl.col("value"))
        )
        fits, *_ = fit_study(small, holes)
        assert chosen(fits, missing.arm)["runs"][0] == 9


def test_too_few_sizes_are_refused_in_words(small, findings):
    few = findings.filter(~((pl.col("arm") == "rad-dino") & (pl.col("size") > 100)))
    fits, crossovers, *_ = fit_study(small, few)
    row = fits.filter((pl.col("arm") == "rad-dino") & (pl.col("task") == "findings"))
    assert row["note"].to_list() == ["2 of at least 3 sizes: too few for a scaling law"]
    assert not row["chosen"].any()
    assert row["curve"].null_count() == 1
    assert "rad-dino" not in set(crossovers["arm"])
    none = findings.filter(pl.col("arm") != "rad-dino")
    fits, *_ = fit_study(small, none)
    assert set(fits.filter(pl.col("arm") == "rad-dino")["note"]) == {"no runs"}


def test_without_a_baseline_there_is_no_crossover(small, findings):
    fits, crossovers, *_ = fit_study(small, findings.filter(pl.col("arm") != "mi2-open"))
    assert set(crossovers["arm"]) == {"rad-dino"}
    assert chosen(fits, "mi2-reports")["identified"][0]


def test_without_resamples_the_fit_stands_on_seeds_alone(small, findings):
    bare = findings.with_columns(resamples=pl.lit(None, pl.List(pl.Float64)))
    with_draws, *_ = fit_study(small, findings)
    without, crossovers, *_ = fit_study(small, bare)
    widths = [
        np.ptp([chosen(fits, "mi2-reports")["curve"][0][-1][end] for end in ("lower", "upper")])
        for fits in (without, with_draws)
    ]
    assert widths[0] < widths[1]
    assert crossovers["text"].str.ends_with("the baseline's own noise is not known").all()
    assert len(crossovers) == 3


def test_a_baseline_without_draws_leaves_the_runs_theirs(small, findings):
    baseline = pl.col("arm") == "mi2-open"
    bare = findings.with_columns(
        resamples=pl.when(baseline).then(pl.lit(None)).otherwise(pl.col("resamples"))
    )
    (fits, crossovers, *_), (whole, *_) = fit_study(small, bare), fit_study(small, findings)
    widths = [
        np.ptp([chosen(of, "mi2-reports")["curve"][0][-1][end] for end in ("lower", "upper")])
        for of in (fits, whole)
    ]
    assert widths[0] == pytest.approx(widths[1], rel=0.1)
    row = crossovers.filter((pl.col("arm") == "mi2-reports") & (pl.col("task") == "findings"))
    assert row["text"][0].endswith("the baseline's own noise is not known")
    (unit, *_) = chosen(fits, "mi2-reports")["diagnostics"][0]
    assert unit == "resampled: test patients, 200 draws, jointly over 10 runs"


def test_values_out_of_range_spare_the_other_arms(small, findings, tmp_path):
    wrong = (pl.col("arm") == "rad-dino") & (pl.col("size") == 400) & MACRO
    findings = findings.with_columns(value=pl.when(wrong).then(1.3).otherwise(pl.col("value")))
    (tmp_path / "study.yaml").write_text(
        yaml.safe_dump(small.model_dump(mode="json"), sort_keys=False)
    )
    findings.write_parquet(tmp_path / "scores.parquet")
    names = ("fits", "crossovers", "comparisons", "label-fits", "verdicts")
    outputs = [part for name in names for part in (f"--{name}", str(tmp_path / name))]
    inputs = ["--study", str(tmp_path / "study.yaml"), "--scores", str(tmp_path / "scores.parquet")]
    script.main([*inputs, *outputs])
    fits = pl.read_parquet(tmp_path / "fits")
    refused = fits.filter(pl.col("arm") == "rad-dino")
    assert refused["note"].str.contains(r"must lie in \[0, 1\], found .* to 1.3").all()
    assert not refused["chosen"].any()
    assert chosen(fits, "mi2-reports")["identified"][0]
    assert "rad-dino" not in set(pl.read_parquet(tmp_path / "crossovers")["arm"])


def test_undefined_draws_are_left_out(small, findings):
    holed = findings.with_columns(
        resamples=pl.col("resamples").list.eval(
            pl.when(pl.int_range(pl.len()) < 3).then(float("nan")).otherwise(pl.element())
        )
    )
    fits, *_ = fit_study(small, holed)
    assert fits["curve"].null_count() == 0
    assert np.isfinite(fits["a_upper"].to_numpy()).all()


def test_perfect_scores_are_fitted(small, findings):
    top = (pl.col("size") == 1200) & MACRO
    perfect = findings.with_columns(value=pl.when(top).then(1.0).otherwise(pl.col("value")))
    fits, *_ = fit_study(small, perfect)
    assert fits.filter(pl.col("chosen"))["identified"].all()


def test_scores_worse_than_chance_are_fitted_where_they_are(small, findings):
    worse = findings.with_columns(
        value=pl.lit(0.3), resamples=pl.col("resamples").list.eval(pl.element() * 0 + 0.3)
    )
    fits, crossovers, *_ = fit_study(small, worse)
    values = fits.filter(pl.col("chosen")).explode("curve").unnest("curve")["value"]
    assert values.is_between(0.28, 0.32).all()
    assert crossovers["difference"].abs().max() < 0.02


def test_scores_that_are_all_zero_are_flat_and_level_with_the_baseline(small, findings):
    zero = findings.with_columns(
        value=pl.lit(0.0), resamples=pl.col("resamples").list.eval(pl.element() * 0)
    )
    fits, crossovers, *_ = fit_study(small, zero)
    assert not fits["identified"].any()
    assert set(crossovers["state"]) == {"undetermined"}
    assert crossovers["ahead"].is_between(0.3, 0.7).all()
    assert (crossovers["difference_lower"] <= 0).all()


def test_held_out_error_is_that_of_the_last_size_but_one(small, simulate):
    scores = simulate(of=small, seed_sd=0.0, own_sd=1e-3, shared_sd=1e-3).filter(MACRO)
    fits, *_ = fit_study(small, scores)
    row = fits.filter(arm="mi2-reports", form="power").row(0, named=True)
    assert row["loo_error_constant"] == pytest.approx(0.3 * np.log(3), abs=0.002)
    assert row["loo_error"] < row["loo_error_constant"] / 5


def test_script_writes_all_tables_as_another_fit_has_them(study, scores, tables, tmp_path):
    (tmp_path / "study.yaml").write_text(
        yaml.safe_dump(study.model_dump(mode="json"), sort_keys=False)
    )
    scores.write_parquet(tmp_path / "scores.parquet")
    script.main(
        [
            *("--study", str(tmp_path / "study.yaml")),
            *("--scores", str(tmp_path / "scores.parquet")),
            *("--fits", str(tmp_path / "fits.parquet")),
            *("--crossovers", str(tmp_path / "crossovers.parquet")),
            *("--comparisons", str(tmp_path / "comparisons.parquet")),
            *("--label-fits", str(tmp_path / "label_fits.parquet")),
            *("--verdicts", str(tmp_path / "verdicts.parquet")),
        ]
    )
    for name, table in zip(Tables._fields, tables, strict=True):
        written = pl.read_parquet(tmp_path / f"{name}.parquet")
        assert written.schema == table.schema, name
        assert written.equals(table), name
