"""Test archives: the trained heads on other images, and what is not there."""

import numpy as np
import polars as pl
import pytest

from radscale_lib.study import Run, parse_study
from radscale_lib.tasks.evaluate import evaluate_run
from radscale_lib.tasks.gather import gather
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.predictions import Predicted
from radscale_lib.tasks.runs import SCORES, TABLE, tables_elsewhere
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
    """Test images with a known nodule only; elsewhere nothing is known."""
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


def test_groups_of_an_archive_are_those_of_its_own_catalog(evaluated, tmp_path):
    """With the institution's test images once more, they are the institution's groups."""
    study, here, tables, abroad, _ = evaluated
    in_half = pl.col("patient_id").str.slice(1, 1) < "5"
    view = pl.when(in_half).then(pl.lit("AP")).otherwise(pl.lit("PA"))
    catalog = tmp_path / "catalog.parquet"
    pl.read_parquet(here.catalog).with_columns(view=view).write_parquet(catalog)
    score_run(study, RUN, "rad-dino", tables, catalog)
    score_run(study.seen_from("abroad"), RUN, "rad-dino", abroad["abroad"], catalog)
    keys = ["head", "target", "metric", "group"]
    ours, theirs = (
        pl.read_parquet(of["segmentation"].with_name("subgroups.parquet")).filter(kind="group")
        for of in (tables, abroad["abroad"])
    )
    assert set(ours["group"]) == {"AP", "PA"}
    both = ours.join(theirs, on=keys, suffix=" there")
    assert len(both) == len(ours) == len(theirs)
    assert both["cases"].to_list() == both["cases there"].to_list()
    one, other = (both[column].fill_null(9).to_numpy() for column in ("value", "value there"))
    np.testing.assert_allclose(one, other, atol=1e-4)


def test_a_tube_that_nobody_looked_for_is_no_shortcut(evaluated, tmp_path):
    """A tube missing from an archive's tables does not count as absent."""
    study, here, _, abroad, _ = evaluated
    catalog = pl.read_parquet(here.elsewhere["abroad"].catalog)
    with_tube = catalog.with_columns(pl.lit(None, pl.Int8).alias("tube:ett"))
    with_tube.write_parquet(tmp_path / "catalog.parquet")
    evaluation = study.evaluation.model_copy(update={"shortcuts": {"effusion": "ett"}})
    study = study.model_copy(update={"evaluation": evaluation})
    for lacking in ((), ("ett",)):
        test = study.test_archives["abroad"]
        test = test.model_copy(update={"without_labels": (*test.without_labels, *lacking)})
        seen = study.model_copy(update={"test_archives": {"abroad": test}}).seen_from("abroad")
        findings = abroad["abroad"]["findings"]
        score_run(seen, RUN, "rad-dino", {"findings": findings}, tmp_path / "catalog.parquet")
        groups = pl.read_parquet(findings.with_name("subgroups.parquet"))
        assert ("effusion by ett" in set(groups["by"])) == (not lacking)


def test_one_table_of_an_archive_says_what_is_missing(evaluated, tmp_path, capsys):
    study, _, _, abroad, _ = evaluated
    score_run(study.seen_from("abroad"), RUN, "rad-dino", abroad["abroad"])
    found = [path.with_name(SCORES) for path in abroad["abroad"].values()]
    gather(study.seen_from("abroad"), found, tmp_path / SCORES)
    table = pl.read_parquet(tmp_path / SCORES)
    assert set(table["task"]) == set(study.evaluation.tasks)
    assert (tmp_path / "draws.parquet").exists() and (tmp_path / "subgroups.parquet").exists()
    said = capsys.readouterr().err
    assert "no scores: findings of mi2-open/n=0/seed=0" in said
    assert f"findings of {RUN.path}" not in said


def test_the_study_as_an_archive_sees_it_has_its_tasks():
    seen = study_of(language="de").seen_from("abroad")
    assert list(seen.evaluation.tasks) == list(seen.scaling.metrics) == ["findings"]
    assert not seen.test_archives
