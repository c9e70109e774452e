"""Test archives: the trained heads on other images, and what is not there."""

import numpy as np
import polars as pl
import pytest

from radscale_lib.study import Run, parse_study
from radscale_lib.tasks.evaluate import evaluate_run
from radscale_lib.tasks.gather import gather_elsewhere, scores_elsewhere
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.predictions import Predicted
from radscale_lib.tasks.runs import TABLE, tables_elsewhere
from radscale_lib.tasks.scoring import score_run
from tests.tasks.conftest import STUDY

RUN = Run("rad-dino-open", 0, 0)
HEADS = {
    "linear": {"kind": "linear", "label_shares": [0.5]},
    "knn": {"kind": "knn"},
    "attention": {"kind": "attention", "steps": 2, "width": 8, "rates": [1e-3]},
    "words": {"kind": "zero-shot"},
}
ARCHIVE = {"dicom": "abroad", "labels": "labels.csv", "reports": "reports.csv"}


def study_of(**archive):
    tasks = {
        "findings": STUDY["evaluation"]["tasks"]["findings"] | {"heads": HEADS},
        "reports": STUDY["evaluation"]["tasks"]["reports"],
        "pairs": {"kind": "retrieval"},
        "segmentation": STUDY["evaluation"]["tasks"]["segmentation"],
    }
    values = STUDY | {
        "test_archives": {"abroad": ARCHIVE | archive},
        "evaluation": {"resamples": 20, "tasks": tasks},
        "scaling": {
            "metrics": {"findings": "auroc", "reports": "bleu", "pairs": "recall_at_1"}
            | {"segmentation": "dice"},
            "heads": {"findings": "linear"},
        },
    }
    return parse_study(values)


@pytest.fixture(scope="module")
def evaluated(files, tmp_path_factory):
    """A run on the institution, and on its test images once more, as another archive."""
    out = tmp_path_factory.mktemp("elsewhere")
    study = study_of(without_labels=["nodule"], tubes="tubes.csv")
    catalog = out / "abroad.parquet"
    pl.read_parquet(files.catalog).filter(split="test").write_parquet(catalog)
    encoder = files.encoder(RUN.arm)
    there = Inputs(encoder, out / "features" / "abroad", catalog, files.shards)
    elsewhere = {"abroad": there}
    here = Inputs(encoder, out / "features", files.catalog, files.shards, elsewhere=elsewhere)
    tasks = list(study.evaluation.tasks)
    tables = {name: out / "tasks" / name / TABLE for name in tasks}
    abroad = tables_elsewhere(study, RUN, out / "abroad", ["abroad"], tasks, TABLE)
    work = out / "work"
    evaluate_run(study, RUN, here, tables, 1, work, abroad)
    return study, here, tables, abroad, work


def test_tasks_without_a_table_or_labels_are_not_scored_there():
    assert study_of().tasks_at("abroad") == ["findings", "reports", "pairs"]
    assert study_of(language="de").tasks_at("abroad") == ["findings"]
    lacking = study_of(without_labels=["effusion", "nodule"])
    assert lacking.tasks_at("abroad") == ["reports", "pairs"]


def test_the_same_images_have_the_same_predictions(evaluated):
    """Of each head, with the institution's validation images, which thresholds are taken from."""
    _, _, tables, abroad, _ = evaluated
    for name, path in tables.items():
        here, there = Predicted.read(path), Predicted.read(abroad["abroad"][name])
        assert there.table.columns == here.table.columns and len(there.table)
        assert (there.choices, there.notes) == (here.choices, here.notes)
        ids = ["head", "image_id", "patient_id"]
        both = here.table.join(there.table, on=ids, suffix=" there")
        assert len(both) == len(here.table) - unlabelled(name, here)
        for column in here.table.columns[len(ids) :]:
            if column.endswith("nodule") and column.startswith("target"):
                continue
            one, other = both[column], both[f"{column} there"]
            if one.dtype.is_float():
                np.testing.assert_allclose(one.to_numpy(), other.to_numpy(), atol=1e-4)
            else:
                assert one.to_list() == other.to_list()


def unlabelled(name, here):
    """Test images of which only the nodule is known: nothing is known of them abroad."""
    if name != "findings":
        return 0
    return len(here.table.filter(pl.col("target:effusion").is_null(), split="test"))


def test_labels_that_are_not_there_are_unknown_and_have_no_rows(evaluated):
    study, _, _, abroad, _ = evaluated
    table = Predicted.read(abroad["abroad"]["findings"]).table
    assert table.filter(split="test")["target:nodule"].is_null().all()
    scores = score_run(study.seen_from("abroad"), RUN, "rad-dino", abroad["abroad"])
    findings = scores.filter(task="findings")
    assert set(findings["target"]) == {"effusion", "macro"} | (set(findings["target"]) & {"micro"})
    assert set(findings["head"]) == {"linear", "linear@50%", "knn", "attention", "words"}
    words = findings.filter(head="words")
    assert words["value"].is_null().all() and set(words["note"]) == {"no text tower"}
    pairs = scores.filter(task="pairs")
    assert pairs["value"].is_null().all() and set(pairs["note"]) == {"no text tower"}
    known = findings.filter(head="linear", target="effusion", metric="auroc")
    assert known["value"][0] is not None


def test_scores_are_those_of_the_institution_where_images_and_labels_are(evaluated):
    study, _, tables, abroad, _ = evaluated
    here = score_run(study, RUN, "rad-dino", tables)
    there = score_run(study.seen_from("abroad"), RUN, "rad-dino", abroad["abroad"])
    keys = ["task", "head", "target", "metric"]
    both = here.filter(pl.col("target") != "macro").join(there, on=keys, suffix=" there")
    both = both.filter(pl.col("cases") == pl.col("cases there")).drop_nulls("value")
    assert len(both) > 10
    np.testing.assert_allclose(both["value"], both["value there"], atol=1e-5)


def test_what_is_kept_gives_the_same_tables_again(evaluated, monkeypatch):
    study, here, tables, abroad, work = evaluated
    paths = [*tables.values(), *abroad["abroad"].values()]
    before = [path.read_bytes() for path in paths]
    for path in paths:
        path.unlink()
    monkeypatch.setattr("radscale_lib.tasks.evaluate.predict_part", None)
    evaluate_run(study, RUN, here, tables, 1, work, abroad)
    assert [path.read_bytes() for path in paths] == before


def test_one_table_has_the_archive_first_and_says_what_is_missing(evaluated, tmp_path, capsys):
    study, _, _, abroad, _ = evaluated
    score_run(study.seen_from("abroad"), RUN, "rad-dino", abroad["abroad"])
    study = study_of()
    root = next(iter(abroad["abroad"].values())).parents[6]
    found = [(archive, path) for archive, path in scores_elsewhere(study, root) if path.exists()]
    gather_elsewhere(study, found, tmp_path / "scores.parquet")
    table = pl.read_parquet(tmp_path / "scores.parquet")
    assert table.columns[:2] == ["archive", "arm"] and set(table["archive"]) == {"abroad"}
    said = capsys.readouterr().err
    assert "abroad: nothing to score segmentation by" in said
    assert "abroad: no scores: findings of mi2-open/n=0/seed=0" in said
    assert f"findings of {RUN.path}" not in said
