"""The calibration figure: what it shows is what `reliability.parquet` holds."""

import polars as pl
import pytest
from scipy.stats import binomtest

from radscale_lib.report.figures.calibration import MOST, calibration_table, draw_calibration
from radscale_lib.report.listing import listed_figures


def test_bins_are_those_of_the_largest_size_and_of_the_open_weights(example):
    drawn = pl.read_csv(example.folder / "tables" / "calibration-tubes.csv")
    bins = example.table("reliability").filter(task="tubes", seed=0)
    for arm, size in (("rad-dino", 1200), ("mi2-open", 0)):
        for target in bins["target"].unique():
            of = bins.filter(arm=arm, size=size, target=target).sort("lower")
            mine = drawn.filter(arm=arm, target=target)
            assert mine["predicted"].to_list() == pytest.approx(of["mean"].to_list())
            assert mine["positives"].to_list() == of["positives"].to_list()
    assert set(drawn.filter(arm="rad-dino")["size"]) == {1200}


def test_intervals_are_wilsons(example):
    drawn = pl.read_csv(example.folder / "tables" / "calibration-findings.csv")
    for row in drawn.iter_rows(named=True):
        ends = binomtest(row["positives"], row["cases"]).proportion_ci(
            example.study.evaluation.confidence, "wilson"
        )
        assert (row["observed_lower"], row["observed_upper"]) == pytest.approx(
            tuple(ends), abs=1e-9
        )


def test_of_many_labels_the_most_frequent_are_drawn(example):
    bins = example.table("reliability").filter(task="findings")
    first = bins.filter(target=bins["target"][0])
    many = pl.concat(
        first.with_columns(target=pl.lit(f"label {i:02}"), positives=pl.col("positives") * 0 + i)
        for i in range(1, 21)
    )
    table = calibration_table(example.study, many)
    assert table["target"][0] == "label 20"
    (drawing,) = draw_calibration(example.study, example.all_tables(reliability=many))
    titles = [axes.get_title("left") for axes in drawing.figure.axes if axes.get_visible()]
    assert [title.split(" (")[0] for title in titles] == [f"label {i:02}" for i in range(20, 8, -1)]
    assert f"Shown: the {MOST} of 20 labels with the most positives." in drawing.caption


def test_the_report_has_a_section_of_it(example):
    listed = listed_figures(example.folder / "figures")
    names = [one["name"] for one in listed if one["section"] == "calibration"]
    assert names == ["calibration-findings", "calibration-tubes"]
    assert 'id="calibration"' in example.html
