"""`radscale score`: the tables it reads and writes, and what it refuses."""

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import expit
from sklearn.metrics import (
    average_precision_score,
    brier_score_loss,
    f1_score,
    recall_score,
    roc_auc_score,
)

import radscale_lib
from radscale_lib.cli.radscale import main
from radscale_lib.tasks.rescore import PredictionsError, read_predictions

METRICS = [
    *("auprc", "auroc", "f1"),
    *("sensitivity_at_specificity_90", "sensitivity_at_specificity_95", "brier", "ece"),
]


def _table(rows=400, validation=0, seed=0, labels=(("a", 0.1), ("b", 0.4), ("rare", 0.01))):
    random = np.random.default_rng(seed)
    columns = {"patient_id": [f"p{index // 2}" for index in range(rows)]}
    if validation:
        columns["split"] = ["validation"] * validation + ["test"] * (rows - validation)
    for name, share in labels:
        target = (random.random(rows) < share).astype(int)
        if share < 0.05:
            target[:] = 0
            target[-4:] = 1
        columns[f"target:{name}"] = target
        columns[f"logit:{name}"] = np.round(random.normal(size=rows) + 2 * target - 1, 1)
    return pl.DataFrame(columns)


def _score(table, tmp_path, *options):
    path, out = tmp_path / "P.parquet", tmp_path / "S.parquet"
    out.unlink(missing_ok=True)
    table.write_parquet(path)
    main(["score", "--predictions", str(path), "--out", str(out), *options])
    return pl.read_parquet(out)


def _row(scores, label, metric):
    return scores.filter((pl.col("label") == label) & (pl.col("metric") == metric)).row(
        0, named=True
    )


def test_values_equal_scikit_learn(tmp_path):
    table = _table(validation=150)
    table = table.with_columns(pl.when(pl.col("target:a").cum_count() % 9 > 0).then("target:a"))
    scores = _score(table, tmp_path)
    assert scores.columns == [
        *("label", "metric", "value", "lower", "upper", "cases", "positives", "note")
    ]
    test = table.filter(pl.col("split") == "test")
    for label in ("a", "b"):
        known = test.filter(pl.col(f"target:{label}").is_not_null())
        truth, logits = known[f"target:{label}"].to_numpy(), known[f"logit:{label}"].to_numpy()
        for metric, function in (("auroc", roc_auc_score), ("auprc", average_precision_score)):
            row = _row(scores, label, metric)
            assert row["value"] == pytest.approx(function(truth, logits), abs=1e-12)
            assert row["lower"] < row["value"] < row["upper"]
            assert (row["cases"], row["positives"]) == (len(truth), truth.sum())
        expected = brier_score_loss(truth, expit(logits))
        assert _row(scores, label, "brier")["value"] == pytest.approx(expected)
        seen = table.filter(
            (pl.col("split") == "validation") & pl.col(f"target:{label}").is_not_null()
        )
        true, given = seen[f"target:{label}"].to_numpy(), seen[f"logit:{label}"].to_numpy()
        best = max(np.unique(given), key=lambda cut: (f1_score(true, given >= cut), cut))
        expected = f1_score(truth, logits >= best)
        assert _row(scores, label, "f1")["value"] == pytest.approx(expected)
        cut = min(c for c in [*given, 9.0] if (given[true == 0] < c).mean() >= 0.9 - 1e-12)
        expected = recall_score(truth, logits >= cut)
        row = _row(scores, label, "sensitivity_at_specificity_90")
        assert row["value"] == pytest.approx(expected)
    mean = np.mean([_row(scores, label, "auroc")["value"] for label in ("a", "b")])
    assert _row(scores, "macro", "auroc")["value"] == pytest.approx(mean)


def test_micro_averages_are_the_scores_of_all_known_cells_together(tmp_path):
    table = _table(validation=150)
    table = table.with_columns(pl.when(pl.col("target:a").cum_count() % 9 > 0).then("target:a"))
    scores = _score(table, tmp_path)
    test = table.filter(pl.col("split") == "test")
    truth, logits = (
        np.concatenate([test[f"{part}:{label}"].to_numpy() for label in ("a", "b", "rare")])
        for part in ("target", "logit")
    )
    known = ~np.isnan(truth)
    for metric, function in (("auroc", roc_auc_score), ("auprc", average_precision_score)):
        row = _row(scores, "micro", metric)
        assert row["value"] == pytest.approx(function(truth[known], logits[known]), abs=1e-12)
        assert row["lower"] < row["value"] < row["upper"]
        assert (row["cases"], row["positives"]) == (known.sum(), truth[known].sum())
    expected = brier_score_loss(truth[known], expit(logits[known]))
    assert _row(scores, "micro", "brier")["value"] == pytest.approx(expected)
    hits = positives = called = 0
    for label in ("a", "b"):  # `rare` has no validation image, and no threshold
        of_label = table.filter(pl.col(f"target:{label}").is_not_null())
        seen, asked = (of_label.filter(split=split) for split in ("validation", "test"))
        true, given = seen[f"target:{label}"].to_numpy(), seen[f"logit:{label}"].to_numpy()
        best = max(np.unique(given), key=lambda cut: (f1_score(true, given >= cut), cut))
        positive = asked[f"target:{label}"].to_numpy() == 1
        above = asked[f"logit:{label}"].to_numpy() >= best
        hits += (positive & above).sum()
        positives += positive.sum()
        called += above.sum()
    expected = 2 * hits / (positives + called)
    assert _row(scores, "micro", "f1")["value"] == pytest.approx(expected)


def test_calibration_error_is_the_weighted_gap_of_its_bins(tmp_path):
    table = _table()
    chance, truth = expit(table["logit:b"].to_numpy()), table["target:b"].to_numpy()
    bins = (chance * 15).astype(int)
    gaps = [abs(chance[bins == k].mean() - truth[bins == k].mean()) for k in np.unique(bins)]
    shares = [(bins == k).mean() for k in np.unique(bins)]
    row = _row(_score(table, tmp_path), "b", "ece")
    assert row["value"] == pytest.approx(np.dot(gaps, shares))


def test_few_positives_have_a_value_and_no_interval_and_leave_the_macro_mean(tmp_path):
    scores = _score(_table(), tmp_path)
    row = _row(scores, "rare", "auroc")
    assert row["value"] is not None
    assert (row["lower"], row["upper"], row["note"]) == (None, None, "too few")
    macro = _row(scores, "macro", "auroc")
    both = [_row(scores, label, "auroc")["value"] for label in ("a", "b")]
    assert macro["value"] == pytest.approx(np.mean(both))
    assert macro["lower"] < macro["value"] < macro["upper"]
    flipped = _table().with_columns(1 - pl.col("target:rare"))
    assert _row(_score(flipped, tmp_path), "rare", "auroc")["note"] == "too few"
    alone = _table(labels=(("rare", 0.01),))
    macro = _row(_score(alone, tmp_path), "macro", "auroc")
    assert (macro["value"], macro["positives"], macro["note"]) == (None, None, "too few")


def test_too_few_draws_are_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        _score(_table(), tmp_path, "--resamples", "19")
    assert "--resamples: must be a whole number of at least 20" in capsys.readouterr().err
    with pytest.raises(ValueError, match="resamples is 1: use at least 20"):
        radscale_lib.score_predictions(_table(), resamples=1)


def test_without_validation_rows_threshold_metrics_are_null(tmp_path):
    scores = _score(_table(), tmp_path)
    assert scores.filter(pl.col("label") == "a")["metric"].to_list() == METRICS
    labels = scores["label"].unique(maintain_order=True).to_list()
    assert labels == ["a", "b", "rare", "micro", "macro"]
    for metric in METRICS[2:5]:
        for label in ("a", "macro"):
            row = _row(scores, label, metric)
            assert (row["value"], row["lower"], row["upper"]) == (None, None, None)
            assert "validation" in row["note"]


def test_a_label_that_is_not_known_of_any_image_has_no_value(tmp_path):
    table = _table(validation=100).with_columns(pl.lit(None).alias("target:rare"))
    scores = _score(table, tmp_path, "--resamples", "50")
    for row in scores.filter(label="rare").iter_rows(named=True):
        assert (row["value"], row["cases"], row["note"]) == (None, 0, "too few")
    assert _row(scores, "macro", "f1")["value"] is not None


def test_a_perfect_score_has_a_lower_end(tmp_path):
    table = _table(rows=120, labels=(("a", 0.1),)).with_columns(
        (pl.col("target:a") * 10.0).alias("logit:a")
    )
    row = _row(_score(table, tmp_path), "a", "auroc")
    assert row["value"] == row["upper"] == 1
    assert 0.5 < row["lower"] < 0.999


def test_same_seed_same_bytes_and_levels_and_seeds_count(tmp_path):
    table = _table()
    first = _score(table, tmp_path, "--resamples", "100")
    bytes_ = (tmp_path / "S.parquet").read_bytes()
    _score(table, tmp_path, "--resamples", "100")
    assert (tmp_path / "S.parquet").read_bytes() == bytes_
    narrow = _score(table, tmp_path, "--resamples", "100", "--confidence", "0.5")
    other = _score(table, tmp_path, "--resamples", "100", "--seed", "1")
    for metric in ("auroc", "brier"):
        widths = [
            _row(s, "a", metric)["upper"] - _row(s, "a", metric)["lower"] for s in (first, narrow)
        ]
        assert widths[1] < 0.6 * widths[0]
    assert _row(first, "a", "brier")["lower"] != _row(other, "a", "brier")["lower"]


def test_images_of_a_patient_that_are_alike_widen_the_interval(tmp_path):
    table = _table(rows=300, labels=(("a", 0.2),))
    alone = table.with_columns(patient_id=pl.int_range(pl.len()).cast(pl.String))
    thrice = pl.concat([alone] * 3)
    width = {}
    for name, one in (("alone", alone), ("thrice", thrice)):
        for metric in ("auroc", "auprc", "brier"):
            row = _row(_score(one, tmp_path, "--resamples", "200"), "a", metric)
            width[name, metric] = row["upper"] - row["lower"]
    for metric in ("auroc", "brier"):
        ratio = width["thrice", metric] / width["alone", metric]
        assert ratio == pytest.approx(1, abs=0.1)


def test_a_model_that_says_yes_or_no_has_an_interval_of_its_brier_score(tmp_path):
    target = np.arange(500) < 25
    logits = np.where(target, 8.0, -8.0)
    logits[0] = -8.0
    table = pl.DataFrame(
        {"patient_id": np.arange(500), "target:a": target.astype(int), "logit:a": logits}
    )
    row = _row(_score(table, tmp_path), "a", "brier")
    assert row["lower"] < row["value"] < row["upper"] < 0.03
    assert row["value"] == pytest.approx(1 / 500, rel=0.01)
    perfect = table.with_columns(pl.Series("logit:a", np.where(target, 8.0, -8.0)))
    row = _row(_score(perfect, tmp_path), "a", "brier")
    assert row["value"] < row["upper"] < 0.03


def test_huge_log_odds_are_scored(tmp_path, recwarn):
    table = _table(labels=(("a", 0.1), ("b", 0.4)))
    clipped, huge = (
        _score(table.with_columns(pl.col("logit:a") * factor), tmp_path) for factor in (1e4, 1e307)
    )
    assert not recwarn.list
    brier = _row(huge, "a", "brier")
    assert brier == _row(clipped, "a", "brier")
    assert None not in huge.filter(metric="ece")["upper"]
    assert None not in huge.filter(metric="brier")["lower"]


@pytest.mark.parametrize("absent", ["", "  ", float("nan")])
def test_images_without_a_patient_are_refused(tmp_path, capsys, absent):
    table = _table()
    patients = list(range(len(table))) if absent != absent else table["patient_id"].to_list()
    patients[6] = absent
    with pytest.raises(SystemExit):
        _score(table.with_columns(patient_id=pl.Series(patients, strict=False)), tmp_path)
    assert "column 'patient_id', row 7: no patient" in capsys.readouterr().err


def test_an_output_that_cannot_be_written_is_named(tmp_path, capsys):
    path = tmp_path / "P.parquet"
    _table().write_parquet(path)
    (tmp_path / "file").touch()
    out = tmp_path / "file" / "S.parquet"
    with pytest.raises(SystemExit):
        main(["score", "--predictions", str(path), "--out", str(out)])
    assert f"--out {out}: cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "told"),
    [
        ("--resamples", "--resamples: must be a whole number of at least"),
        ("--confidence", "--confidence: must be a number between 0 and 1"),
        ("--seed", "--seed: must be a whole number of 0 or more"),
    ],
)
def test_options_say_which_values_they_take(capsys, option, told):
    with pytest.raises(SystemExit):
        main(["score", "--predictions", "P.parquet", "--out", "S.parquet", option, "x"])
    assert told in capsys.readouterr().err


def _broken(table, column, row, value, dtype=None):
    values = table[column].to_list()
    values[row] = value
    return table.with_columns(pl.Series(column, values, dtype=dtype, strict=False))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: _broken(t, "target:a", 6, 2), ("target:a", "row 7")),
        (lambda t: _broken(t, "target:a", 6, 0.5, pl.Float64), ("target:a", "row 7")),
        (lambda t: _broken(t, "target:a", 3, float("nan"), pl.Float64), ("target:a", "row 4")),
        (lambda t: t.with_columns(pl.col("target:a").cast(pl.String)), ("target:a", "row 1")),
        (lambda t: _broken(t, "logit:b", 4, float("nan")), ("logit:b", "row 5")),
        (lambda t: _broken(t, "logit:b", 4, float("inf")), ("logit:b", "row 5")),
        (lambda t: _broken(t, "logit:b", 4, None), ("logit:b", "row 5")),
        (lambda t: t.drop("target:b"), ("logit:b", "target:b")),
        (lambda t: t.drop("logit:b"), ("target:b", "logit:b")),
        (lambda t: t.rename({"target:b": "Target:b"}), ("Target:b", "target:")),
        (lambda t: t.rename({"logit:b": "logit :b"}), ("logit :b", "logit:")),
        (lambda t: t.drop("patient_id"), ("patient_id",)),
        (lambda t: _broken(t, "patient_id", 2, None), ("patient_id", "row 3")),
        (lambda t: t.with_columns(split=pl.lit("train")), ("split", "row 1")),
        (lambda t: t.with_columns(split=pl.lit("validation")), ("test",)),
        (lambda t: t.clear(), ("no row",)),
        (lambda t: pl.concat([t.with_columns(head=pl.lit(h)) for h in "ab"]), ("of 2 heads",)),
        (lambda t: t.select("patient_id"), ("target:",)),
        (
            lambda t: t.rename({"target:a": "target:macro", "logit:a": "logit:macro"}),
            (":macro",),
        ),
    ],
)
def test_wrong_tables_are_refused(tmp_path, capsys, change, told):
    with pytest.raises(SystemExit) as ended:
        _score(change(_table(rows=60)), tmp_path)
    assert ended.value.code == 1
    said = capsys.readouterr().err
    for words in told:
        assert words in said
    assert "Traceback" not in said
    assert [path.name for path in tmp_path.iterdir()] == ["P.parquet"]


@pytest.mark.parametrize(
    ("column", "values", "told"),
    [
        ("patient_id", pl.Series([["p"], ["q"]]), "'patient_id' holds values of type List(String)"),
        ("patient_id", pl.Series([b"p", b"q"]), "'patient_id' holds values of type Binary"),
        ("split", pl.Series([["test"], ["test"]]), "'split' holds values of type List(String)"),
        ("Split", pl.Series(["validation", "test"]), "'Split': if this is the split"),
    ],
)
def test_keys_of_another_kind_are_refused(tmp_path, capsys, column, values, told):
    path = tmp_path / "P.parquet"
    table = pl.DataFrame({"patient_id": ["p", "q"], "target:a": [1, 0], "logit:a": [0.5, 0.1]})
    table.with_columns(values.alias(column)).write_parquet(path)
    with pytest.raises(SystemExit, match="1"):
        main(["score", "--predictions", str(path), "--out", str(tmp_path / "S.parquet")])
    assert told in capsys.readouterr().err
    with pytest.raises(SystemExit, match="1"):
        main(["score", "--predictions", str(path), "--out", str(path)])
    assert "is the file of predictions" in capsys.readouterr().err


def test_repeated_columns_and_other_files_are_refused(tmp_path, capsys):
    path = tmp_path / "P.parquet"
    one = pa.array([1, 0])
    names = ["patient_id", "target:a", "logit:a", "logit:a"]
    pq.write_table(pa.Table.from_arrays([one] * 4, names=names), path)
    command = ["score", "--predictions", str(path), "--out", str(tmp_path / "S.parquet")]
    with pytest.raises(SystemExit, match="1"):
        main(command)
    assert "'logit:a' appears 2 times" in capsys.readouterr().err
    path.write_text("patient_id,target:a\n")
    with pytest.raises(SystemExit, match="1"):
        main(command)
    assert "cannot be read as Parquet" in capsys.readouterr().err
    path.unlink()
    with pytest.raises(SystemExit, match="1"):
        main(command)
    assert not (tmp_path / "S.parquet").exists()


def test_predictions_of_several_heads_are_refused(tmp_path):
    path = tmp_path / "P.parquet"
    table = pl.DataFrame({"patient_id": ["a", "b"], "target:x": [1, 0], "logit:x": [0.1, 0.2]})
    table.with_columns(pl.Series("head", ["knn", "linear"])).write_parquet(path)
    with pytest.raises(PredictionsError, match="'head': predictions of 2 heads: keep the rows"):
        read_predictions(path)
    table.with_columns(head=pl.lit("knn")).write_parquet(path)
    assert read_predictions(path)[0] == ["x"]
