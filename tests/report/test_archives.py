"""Scores on test archives in figures, tables, the page, and what may leave."""

import re

import polars as pl
import pytest

from radscale_lib.report.document import write_report
from radscale_lib.report.draw import draw_figures
from radscale_lib.report.figures.archives import archive_table
from radscale_lib.report.release import _elsewhere
from radscale_lib.study import parse_study
from tests.report.conftest import study_values


@pytest.fixture(scope="module")
def study():
    values = study_values()
    values["report"] = {**values.get("report", {}), "formats": ["svg"]}
    image = {"image": values["institution"]["image"]}
    values["test_archives"] = {
        "abroad": {"phantom": {"patients": 9, "seed": 3}, "without_labels": ["nodule"], **image},
        "films": {"dicom": "films", "labels": "labels.csv", **image},
    }
    return parse_study(values)


@pytest.fixture(scope="module")
def elsewhere(example):
    """One archive where all is as at the institution, one where findings are 0.1 lower."""
    scores = example.table("scores")
    lower = scores.filter(task="findings").with_columns(pl.col("value", "lower", "upper") - 0.1)
    parts = [("abroad", scores), ("films", lower)]
    return pl.concat(of.select(pl.lit(archive).alias("archive"), pl.all()) for archive, of in parts)


def test_the_table_of_a_task_has_the_institution_first(example, study, elsewhere):
    table = archive_table(study, example.table("scores"), elsewhere, "findings")
    assert table["archive"].unique(maintain_order=True).to_list() == [
        "institution", "abroad", "films",
    ]  # fmt: skip
    values = {
        archive: table.filter(archive=archive, arm="rad-dino", kind="mean")["value"].to_list()
        for archive in ("institution", "abroad", "films")
    }
    assert len(values["institution"]) == 5
    assert values["abroad"] == values["institution"]
    assert values["films"] == pytest.approx([value - 0.1 for value in values["institution"]])


def test_a_figure_for_every_task_that_is_scored_elsewhere(example, study, elsewhere, tmp_path):
    tables = example.all_tables(test_scores=elsewhere)
    draw_figures(study, tables, tmp_path, ["archives"])
    names = {path.stem for path in (tmp_path / "tables").glob("*.csv")}
    assert names == {f"archives-{task}" for task in study.scaling.metrics}
    table = pl.read_csv(tmp_path / "tables" / "archives-tubes.csv")
    assert set(table["archive"]) == {"institution", "abroad"}
    without = example.all_tables()
    draw_figures(study, without, tmp_path / "none", ["archives"])
    assert not list((tmp_path / "none" / "figures").glob("archives-*"))


def test_the_page_has_a_section_that_says_what_is_not_scored(example, study, elsewhere):
    tables = [example.table(n) for n in ("fits", "crossovers", "comparisons", "verdicts")]
    page = write_report(
        study, example.table("scores"), *tables, {}, [], example.folder / "none",
        test_scores=elsewhere,
    )  # fmt: skip
    section = re.search(r'<section id="test-archives".*?</section>', page, re.S)
    assert section is not None
    text = re.sub(r"<[^>]+>", " ", section[0])
    assert "Labels that it does not have: nodule." in text
    assert (
        "Not scored, since it lacks their table or labels: segmentation and report generation."
        in text
    )
    assert len(re.findall(r"<caption>Test archive", section[0])) == 2


def test_labels_that_few_images_of_an_archive_have_stay(study, elsewhere):
    few = pl.when(pl.col("target") == "nodule").then(3).otherwise("positives").alias("positives")
    table = _elsewhere(study, elsewhere.with_columns(few))
    left = table.group_by("archive").agg(pl.col("target").unique())
    targets = dict(left.iter_rows())
    assert "nodule" in targets["abroad"]  # a phantom's, of nobody
    assert "nodule" not in targets["films"]
