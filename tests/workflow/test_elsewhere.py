"""Test archives: another hospital's films and a published collection, from files to the report."""

import re
import subprocess
from collections import Counter

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from tests.workflow.checkout import Checkout

ARCHIVES = ("abroad", "vindr")
ANOTHER = {
    "phantom": {"patients": 9, "seed": 99, "site": "public", "pixels": 64, "broken": 0},
    "image": {"shorter_side": 32},
}
AFTERWARDS = {
    *("score_run", "gather_scores", "compare_encoders", "fit_scaling"),
    *("gather_elsewhere", "compare_elsewhere", "fit_elsewhere", "draw_figures", "write_report"),
}
"""Rules after the predictions."""


def test_an_archive_that_is_added_later_makes_nothing_of_others_anew(finished: Checkout) -> None:
    """It is ingested and scored by the trained heads; no encoder is trained."""
    with finished.study(test_archives={"late": ANOTHER}):
        jobs = Counter(job["rule"] for job in finished.plan())
    assert jobs["catalog_late"] == jobs["gather_elsewhere"] == jobs["fit_elsewhere"] == 1
    assert jobs["evaluate_run"] == jobs["score_run"] == 8
    assert not [
        name
        for name in jobs
        if name.startswith("pretrain") or name.endswith(("_institution", "_public"))
    ]


def tables(study: Checkout, archive: str) -> dict[str, pl.DataFrame]:
    folder = study.results / "test_archives" / archive
    return {path.stem: pl.read_parquet(path) for path in folder.glob("*.parquet")}


@pytest.mark.long
def test_every_task_and_head_is_scored_where_it_can_be(finished_elsewhere: Checkout) -> None:
    heads = {
        "findings": {"linear", "knn", "attention", "words"},
        "tubes": {"linear"},
        "segmentation": {"pyramid", "linear"},
        "reports": {"language-model"},
        "pairs": {"cosine"},
    }
    expected = {"abroad": heads, "vindr": {"findings": heads["findings"]}}
    runs = pl.read_parquet(finished_elsewhere.results / "scores.parquet").select(
        "arm", "size", "seed"
    )
    for archive in ARCHIVES:
        scores = tables(finished_elsewhere, archive)["scores"]
        found = scores.group_by("task").agg(pl.col("head").unique())
        assert {task: set(of) for task, of in found.iter_rows()} == expected[archive]
        assert set(scores.select("arm", "size", "seed").iter_rows()) == set(runs.iter_rows())
    read = tables(finished_elsewhere, "vindr")["scores"].filter(head="linear", metric="auroc")
    assert set(read["target"]) == {"cardiomegaly", "effusion", "pneumothorax", "macro", "micro"}
    assert read["value"].null_count() == 0 and set(read["cases"].drop_nulls()) == {40, 120}
    leaks = pl.read_parquet(finished_elsewhere.results / "data/vindr/leakage.parquet")
    assert leaks.rows() == [("institution", None, 0), ("public", None, 0)]


@pytest.mark.long
def test_what_follows_from_scores_is_there_for_each_archive(finished_elsewhere: Checkout) -> None:
    arms = {"mi2-reports", "mi2-reports-labels", "rad-dino"}
    for archive in ARCHIVES:
        of = tables(finished_elsewhere, archive)
        assert set(of) == {
            *("scores", "draws", "subgroups", "reliability", "differences"),
            *("fits", "crossovers", "comparisons", "label_fits", "verdicts"),
        }
        fitted = of["fits"].filter(task="findings")
        assert set(fitted["arm"]) == arms and set(fitted["runs"]) == {2}
        assert set(of["differences"]["arm"]) >= arms
        assert "pneumothorax" in set(of["reliability"]["target"])
        assert finished_elsewhere.results.joinpath(
            f"figures/scaling-{archive}-findings.svg"
        ).exists()
    groups = {archive: tables(finished_elsewhere, archive)["subgroups"] for archive in ARCHIVES}
    assert set(groups["abroad"]["by"]) >= {
        *("view", "sex", "age_band", "pneumothorax by chest_tube"),
    }
    assert not set(groups["vindr"]["by"]) & {"sex", "age_band", "pneumothorax by chest_tube"}
    page = (finished_elsewhere.results / "report.html").read_text()
    section = re.search(r'<section id="test-archives".*?</section>', page, re.S)
    assert section is not None
    text = " ".join(re.sub(r"<[^>]+>", " ", section[0]).split())
    assert "Labels that the archive does not have: ett, cvc and chest_tube." in text
    for caption in ("laws", "differences", "subgroups"):
        assert re.search(rf'id="{caption}-1-caption"', section[0])


@pytest.mark.long
def test_archives_are_scored_anew_without_encoders(finished_elsewhere: Checkout) -> None:
    assert finished_elsewhere.plan() == []
    with finished_elsewhere.study(evaluation__resamples=60):
        rules = {job["rule"] for job in finished_elsewhere.plan()}
    # Examples are chosen by their scores, and intervals of found tips are also resampled.
    assert rules == AFTERWARDS | {"choose_examples", "draw_similarity"}
    with finished_elsewhere.appended("radscale_lib/metrics/dice.py", "\nCHANGED = 1\n"):
        rules = {job["rule"] for job in finished_elsewhere.plan()}
    assert rules <= AFTERWARDS | {"choose_examples"} and "score_run" in rules


@pytest.mark.long
def test_a_further_archive_leaves_the_others_as_they_are(finished_elsewhere: Checkout) -> None:
    """Up to the predictions, since a plan cannot know that these will be the same."""
    with finished_elsewhere.study(test_archives__late=ANOTHER):
        jobs = [job for job in finished_elsewhere.plan() if job["rule"] not in AFTERWARDS]
    assert {job["wildcards"].get("archive") for job in jobs} <= {None, "late"}
    rules = {job["rule"] for job in jobs}
    assert not [rule for rule in rules if rule.endswith(("_vindr", "_abroad", "_institution"))]
    assert not [rule for rule in rules if rule.startswith("pretrain")]


@pytest.mark.long
def test_any_encoder_has_its_scores_on_archives(finished_elsewhere: Checkout) -> None:
    run = "rad-dino/n=40/seed=0"
    said = finished_elsewhere.radscale(
        *("evaluate-encoder", f"results/elsewhere/encoders/{run}/encoder.safetensors"),
        *("--study", finished_elsewhere.study_path, "--out", "own", "--threads", "1"),
        *("--task", "findings"),
    )
    assert re.findall(r"^(\w+):$", said, re.M) == ["institution", *ARCHIVES]
    keys = ["head", "target", "metric"]
    for archive in ARCHIVES:
        own = pl.read_parquet(
            finished_elsewhere.folder / "own/test_archives" / archive / "scores.parquet"
        )
        known = tables(finished_elsewhere, archive)["scores"].filter(
            arm="rad-dino", size=40, task="findings"
        )
        compared = [*keys, "value", "lower", "upper", "cases"]
        assert_frame_equal(own.select(compared).sort(keys), known.select(compared).sort(keys))


@pytest.mark.long
def test_the_films_that_are_learnt_from_are_refused(tiny: Checkout) -> None:
    """By patient and by image, as counts; nothing of the archive is left to be scored."""
    same = {"patients": 30, "seed": 11, "site": "institution", "broken": 5}
    values = ANOTHER | {"phantom": ANOTHER["phantom"] | same}
    with tiny.study(test_archives={"again": values}):
        ended = subprocess.run(
            tiny.command("--quiet", "all"),
            cwd=tiny.folder, env=tiny.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert ended.returncode != 0
    said = ended.stdout + ended.stderr
    counts = re.search(
        r"test_archives\.again: it holds (\d+) patients and (\d+) images of 'institution'", said
    )
    assert counts is not None, said[-3000:]
    assert 0 < int(counts[1]) < int(counts[2])
    assert not (tiny.results / "data/again/catalog.parquet").exists()
    assert not (tiny.results / "test_archives/again").exists()
    known = pl.read_parquet(tiny.results / "data/institution/catalog.parquet")
    assert not any(each in said for each in set(known["patient_id"]))
