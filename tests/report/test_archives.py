"""Scores on test archives in figures, tables, the page, and what may leave."""

import re

import polars as pl
import pytest

from radscale_lib.report.document import write_report
from radscale_lib.report.draw import draw_figures
from radscale_lib.report.elsewhere import CLAIMS, replicated
from radscale_lib.report.figures import Tables
from radscale_lib.report.figures.archives import archive_table
from radscale_lib.report.release import release
from radscale_lib.scaling.tables import fit_study
from radscale_lib.study import parse_study
from radscale_lib.tasks.differences import difference_table
from radscale_lib.tasks.scores import SCHEMA
from radscale_lib.tasks.subgroups import SCHEMA as OF_GROUPS
from tests.report.conftest import study_values

SUBGROUPS = pl.DataFrame(schema={"arm": pl.String, "size": pl.Int64, "seed": pl.Int64,
    "task": pl.String, "head": pl.String, **OF_GROUPS})  # fmt: skip


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
def elsewhere(example, study):
    """One archive where all is as at the institution, one where findings are 0.1 lower."""
    whole = example.all_tables()
    lower = whole.scores.filter(task="findings").with_columns(
        pl.col("value", "lower", "upper") - 0.1
    )
    fitted = fit_study(study.seen_from("films"), lower)
    films = Tables(lower, fitted.fits, fitted.crossovers, fitted.comparisons, fitted.verdicts)
    return {"abroad": whole, "films": films}


@pytest.fixture(scope="module")
def pages(elsewhere):
    """The tables that the report reads."""
    nothing = {"differences": difference_table(SCHEMA.to_frame(), []), "subgroups": SUBGROUPS}
    return {
        archive: {
            name: getattr(tables, name) for name in ("scores", "fits", "crossovers", "verdicts")
        }
        | nothing
        for archive, tables in elsewhere.items()
    }


def test_the_table_of_a_task_has_the_institution_first(example, study, elsewhere):
    table = archive_table(study, example.all_tables(elsewhere=elsewhere), "findings")
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


def test_figures_for_every_task_that_is_scored_elsewhere(example, study, elsewhere, tmp_path):
    metrics = {task: study.scaling.metrics[task] for task in ("findings", "tubes")}
    study = study.model_copy(
        update={"scaling": study.scaling.model_copy(update={"metrics": metrics})}
    )
    tables = example.all_tables(elsewhere=elsewhere)
    draw_figures(study, tables, tmp_path, ["archives"])
    curves = ["scaling-abroad-findings", "scaling-abroad-tubes", "scaling-films-findings"]
    names = {path.stem for path in (tmp_path / "tables").glob("*.csv")}
    assert names == {"archives-findings", "archives-tubes", *curves}
    table = pl.read_csv(tmp_path / "tables" / "archives-tubes.csv")
    assert set(table["archive"]) == {"institution", "abroad"}
    drawn = pl.read_csv(tmp_path / "tables" / "scaling-films-findings.csv")
    assert {"mean", "fit", "baseline"} <= set(drawn["kind"])
    titled = (tmp_path / "figures" / "scaling-films-findings.svg").read_text()
    assert "Findings classification on films" in titled
    draw_figures(study, example.all_tables(), tmp_path / "none", ["archives"])
    assert not list((tmp_path / "none" / "figures").glob("archives-*"))


def test_the_page_has_a_section_that_says_what_is_not_scored(example, study, pages):
    tables = [example.table(n) for n in ("fits", "crossovers", "comparisons", "verdicts")]
    page = write_report(
        study, example.table("scores"), *tables, {}, [], example.folder / "none", elsewhere=pages
    )
    section = re.search(r'<section id="test-archives".*?</section>', page, re.S)
    assert section is not None
    text = " ".join(re.sub(r"<[^>]+>", " ", section[0]).split())
    assert "Labels that the archive does not have: nodule." in text
    assert (
        "Tasks that were not scored, since the archive has no table or labels for them: "
        "segmentation and report generation." in text
    )
    assert len(re.findall(r'id="at-\d">Test archive', section[0])) == 2
    assert len(re.findall(r'id="laws-\d-caption"', section[0])) == 2
    ids = re.findall(r' id="([^"]+)"', page)
    assert len(ids) == len(set(ids))


def test_what_holds_at_the_institution_is_looked_for_on_archives(example, study, pages):
    verdicts = example.table("verdicts")
    findings, tubes, *_ = replicated(study, verdicts, pages)
    rows = {(row["arm"], row["claim"]): row["cells"] for row in findings["rows"]}
    here, abroad, films = rows["mi2-reports", CLAIMS["rises"]]
    assert here["verdict"] == "supported" and abroad == here
    assert films["verdict"] and films != here
    assert {row["cells"][2]["verdict"] for row in tubes["rows"]} <= {"not testable", ""}


def test_claims_on_an_archive_are_of_what_is_scored_there(elsewhere):
    verdicts = elsewhere["films"].verdicts
    assert set(verdicts.filter(pl.col("kind") != "stated")["task"]) == {"findings", "tubes"}
    assert verdicts.filter(kind="rises", target="macro", task="findings")["adjusted"].count() == 3


def test_labels_that_few_images_of_an_archive_have_stay(study, elsewhere, tmp_path):
    few = pl.when(pl.col("target") == "nodule").then(3).otherwise("positives").alias("positives")
    there = study.model_copy(update={"results": tmp_path})
    for archive, tables in elsewhere.items():
        folder = there.folder / "test_archives" / archive
        folder.mkdir(parents=True)
        tables.scores.with_columns(few).write_parquet(folder / "scores.parquet")
    release(there, b"key", tmp_path / "out")
    left = {
        archive: set(
            pl.read_parquet(tmp_path / f"out/test_archives/{archive}/scores.parquet")["target"]
        )
        for archive in elsewhere
    }
    assert "nodule" in left["abroad"]  # a phantom's, which shows nobody
    assert "nodule" not in left["films"]
