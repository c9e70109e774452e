"""Texts, ids, and the table they come from."""

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from radscale_lib.pretrain.rows import NothingToLearnError, Rows, write_rows
from radscale_lib.pretrain.texts import Pairing, label_prompt, present_labels, shared_words
from radscale_lib.study.archive import Labels
from tests.pretrain.archive import Archive

LABELS = Labels(findings=("cardiomegaly", "pleural_effusion"), tubes=("ett",))


@pytest.mark.parametrize(
    ("view", "present", "expected"),
    [
        (
            "AP",
            ["cardiomegaly", "ett"],
            "x-ray chest anteroposterior cardiomegaly, endotracheal tube",
        ),
        ("PA", [], "x-ray chest posteroanterior no finding"),
        ("unknown", ["pleural_effusion"], "x-ray chest pleural effusion"),
        ("LL", ["NGT - Abnormal"], "x-ray chest lateral nasogastric tube abnormal"),
        ("RL", ["chest_tube", "cvc"], "x-ray chest lateral chest tube, central venous catheter"),
    ],
)
def test_prompts(view: str, present: list[str], expected: str) -> None:
    assert label_prompt(view, present) == expected


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("ignore", [True, False, False]),
        ("negative", [True, False, False]),
        ("positive", [True, True, False]),
    ],
)
def test_uncertain_labels(policy: str, expected: list[bool]) -> None:
    labels = LABELS.model_copy(update={"uncertain": policy})
    values = np.array([[1, -1, np.nan], [0, 0, 0]])
    assert present_labels(values, labels).tolist() == [expected, [False] * 3]


def pairing(supervision: list[str], share: float = 0.5) -> Pairing:
    present = np.array([[1, 0, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0]], bool)
    return Pairing(LABELS, supervision, share, np.array([0, 0, 1, 2]), present)


def row(**values: object) -> dict[str, object]:
    return {"view": "PA", "findings": "F", "impression": "I", "labelled": True} | values


def draws(pairs: Pairing, index: int, **values: object) -> Counter[tuple[str, int]]:
    rng = np.random.default_rng(0)
    return Counter(pairs.draw(rng, index, row(**values)) for _ in range(400))


def test_reports_give_a_section_at_random() -> None:
    found = draws(pairing(["reports"]), 0)
    assert found.keys() == {("F", 0), ("I", 0)}
    assert min(found.values()) > 150
    assert draws(pairing(["reports"]), 2, findings=None).keys() == {("I", 1)}
    assert draws(pairing(["reports"]), 2, findings="").keys() == {("I", 1)}


def test_ids_of_reports_are_studies_and_of_labels_are_label_sets() -> None:
    reports, labels = pairing(["reports"]), pairing(["labels"])
    ids = [next(iter(draws(reports, index)))[1] for index in range(4)]
    assert ids == [0, 0, 1, 2]
    classes = [next(iter(draws(labels, index, view=v)))[1] for index, v in enumerate("ABCD")]
    assert classes[0] == classes[1]  # equal sets, whatever the view
    assert len(set(classes)) == 3
    assert not set(ids) & set(classes)


def test_both_are_mixed_by_the_share() -> None:
    found = draws(pairing(["reports", "labels"], 0.25), 3)
    labels = sum(count for (text, _), count in found.items() if text.startswith("x-ray"))
    assert labels == pytest.approx(100, abs=35)
    only_reports = draws(pairing(["reports", "labels"], 0.25), 3, labelled=False)
    assert {text for text, _ in only_reports} == {"F", "I"}
    only_labels = draws(pairing(["reports", "labels"], 0.25), 3, findings=None, impression=None)
    assert {text for text, _ in only_labels} == {"x-ray chest posteroanterior no finding"}


def test_rows_follow_the_subset(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "rows.arrow"
    labels = archive.study.labels
    assert write_rows(path, archive.catalog, archive.subset, labels, []) == 20
    rows = pickle.loads(pickle.dumps(Rows(path, labels)))
    order = pl.read_parquet(archive.subset)["image_id"].to_list()
    catalog = {r["image_id"]: r for r in pl.read_parquet(archive.catalog).iter_rows(named=True)}
    expected = [catalog[name] for name in order]
    assert rows.places(range(20)) == (
        [r["shard"] for r in expected],
        [r["row"] for r in expected],
    )
    for index in (0, 7, 19):
        assert rows[index] == {
            name: expected[index][name] for name in ("view", "findings", "impression", "labelled")
        }
    studies = [r["study_id"] for r in expected]
    assert [studies.index(s) for s in studies] == [
        rows.study.tolist().index(number) for number in rows.study
    ]
    columns = ["finding:cardiomegaly", "finding:effusion", "tube:ett"]
    wanted = [[np.nan if r[c] is None else r[c] for c in columns] for r in expected]
    np.testing.assert_array_equal(rows.label_values, wanted)
    assert rows.pixels == sum(r["height"] * r["width"] for r in expected)


def test_rows_without_supervision_are_left_out(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "rows.arrow"
    labels = archive.study.labels
    catalog = pl.read_parquet(archive.catalog).with_columns(
        findings=pl.when(pl.col("row") < 5).then(None).otherwise("findings"),
        impression=pl.when(pl.col("row") < 3).then(pl.lit("")).otherwise("impression"),
    )
    catalog.write_parquet(tmp_path / "catalog.parquet")
    source = tmp_path / "catalog.parquet"
    texts = (catalog["row"] >= 3).to_numpy()
    labelled = catalog["labelled"].to_numpy()
    for supervision, expected in (
        (["reports"], texts),
        (["labels"], labelled),
        (["reports", "labels"], texts | labelled),
    ):
        assert write_rows(path, source, None, labels, supervision) == expected.sum()
    catalog.with_columns(labelled=False).write_parquet(source)
    with pytest.raises(NothingToLearnError, match="none of 60 images has labels"):
        write_rows(path, source, None, labels, ["labels"])


def test_a_subset_of_another_catalog(archive: Archive, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.parquet"
    pl.read_parquet(archive.catalog).head(10).write_parquet(catalog)
    with pytest.raises(NothingToLearnError, match="make the subset again"):
        write_rows(tmp_path / "rows", catalog, archive.subset, archive.study.labels, [])


def test_words_of_few_patients_are_not_learnt():
    """A patient with many reports is one patient; a word in other letters is the same word."""
    texts = ["Small effusion, Smith.", "EFFUSION of Smith", "smith: effusion", "Smith-Jones", ""]
    patients = np.array([0, 0, 1, 0, 2])
    assert shared_words(texts, patients, 1) == texts
    assert shared_words(texts, patients, 2) == [
        "  effusion, Smith.", "EFFUSION   Smith", "smith: effusion", "Smith- ", "",
    ]  # fmt: skip
    assert shared_words(texts, patients, 3) == ["   ,  .", "     ", " :  ", " - ", ""]
