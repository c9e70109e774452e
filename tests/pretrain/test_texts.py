"""Texts, ids, and the table they come from."""

import pickle
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from radscale_lib.encoders.text import ClipTokenizer, LearntTokenizer
from radscale_lib.pretrain.rows import NothingToLearnError, Rows, write_rows
from radscale_lib.pretrain.texts import (
    Drawn,
    Pairing,
    label_prompt,
    label_samples,
    report_number,
    sentences,
    shared_words,
)
from radscale_lib.study.archive import Labels
from radscale_lib.study.paradigms.unicl import Unicl
from radscale_lib.tasks.images import with_section
from tests.pretrain.archive import Archive

RECIPE = Unicl(paradigm="unicl", optimiser={"samples": 8, "batch": 8, "lr": 1e-3})
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


def test_prompts_may_say_what_is_absent() -> None:
    assert label_prompt("PA", ["ett"], ["chest_tube", "cvc"]) == (
        "x-ray chest posteroanterior endotracheal tube, no chest tube, no central venous catheter"
    )


NAN = np.nan
STATES = np.array(
    [
        [1, 0, 0],
        [1, 0, 0],
        [0, 0, 1],
        [0, 0, 0],
        [0, NAN, 0],  # unknown whether there is no finding
        [1, NAN, 0],
        [NAN, NAN, NAN],
        [0, 0, 0],  # with a finding outside of the study's
        [0, 0, 0],  # perhaps with one
    ],
    np.float32,
)
OTHERS = np.zeros((9, 1), np.float32)
OTHERS[7:, 0] = 1, NAN


def pairing(
    supervision: list[str], negatives: bool = False, states: NDArray[np.float32] = STATES
) -> Pairing:
    recipe = RECIPE.model_copy(update={"label_share": 0.25, "state_negatives": negatives})
    return Pairing(LABELS, supervision, recipe, states, OTHERS[: len(states)])


def row(**values: object) -> dict[str, object]:
    return {"view": "PA", "findings": "F", "impression": "I", "labelled": True} | values


class Letters:
    """A tokenizer of letters: a token for each, and one at each end."""

    def __init__(self, context: int) -> None:
        self.context = context

    def lengths(self, texts: Sequence[str]) -> list[int]:
        return [len(text) + 2 for text in texts]


def draws(pairs: Pairing, index: int, context: int = 200, **values: object) -> Counter[Drawn]:
    rng = np.random.default_rng(0)
    return Counter(pairs.draw(rng, index, row(**values), Letters(context)) for _ in range(400))


def texts(*arguments: Any, **values: Any) -> set[str]:
    return {drawn.text for drawn in draws(*arguments, **values)}


def test_reports_give_a_section_at_random() -> None:
    found = draws(pairing(["reports"]), 0)
    assert {(drawn.text, drawn.by_labels, drawn.left_out) for drawn in found} == {
        ("F", False, 0),
        ("I", False, 0),
    }
    assert min(found.values()) > 150
    assert texts(pairing(["reports"]), 2, findings=None) == {"I"}
    assert texts(pairing(["reports"]), 2, findings="") == {"I"}


def test_numbers_of_reports_are_their_words_and_of_labels_what_is_known() -> None:
    same = {report_number(text) for text in ("No effusion.", "no  EFFUSION", "no effusion;\n")}
    assert len(same) == 1
    assert report_number("effusion no") not in same
    labels = pairing(["labels"])
    classes = [next(iter(draws(labels, index, view=v))).number for index, v in enumerate("ABCD")]
    assert classes[0] == classes[1]  # equal sets, for any view
    assert len(set(classes)) == 3
    assert not same & set(classes)
    assert all(-(2**63) <= number < 2**63 for number in classes)


def test_a_doubtful_label_is_not_said_to_be_absent() -> None:
    """Images 0 to 3 are known; of 4, 6, 7 and 8 there is nothing to say."""
    says = label_samples(RECIPE, STATES, OTHERS)
    assert says.tolist() == [True, True, True, True, False, True, False, False, False]
    labels = pairing(["labels", "reports"])
    assert texts(labels, 3, findings="", impression="") == {
        "x-ray chest posteroanterior no finding"
    }
    assert texts(labels, 5, findings="", impression="") == {
        "x-ray chest posteroanterior cardiomegaly"
    }
    for index in (4, 6, 7, 8):
        assert texts(labels, index) == {"F", "I"}
        assert labels.prompt(index, "PA") == ""
    assert labels.states(4).tolist() == [0, -1, 0]


def test_stated_negatives() -> None:
    """What is absent is said, and is something to say; "no finding" says it all."""
    recipe = RECIPE.model_copy(update={"state_negatives": True})
    says = label_samples(recipe, STATES, OTHERS)
    assert says.tolist() == [True] * 6 + [False, True, True]
    labels = pairing(["labels"], negatives=True)
    ahead = "x-ray chest posteroanterior"
    assert texts(labels, 0) == {f"{ahead} cardiomegaly, no pleural effusion, no endotracheal tube"}
    assert texts(labels, 3) == {f"{ahead} no finding"}
    assert texts(labels, 4) == {f"{ahead} no cardiomegaly, no endotracheal tube"}
    assert texts(labels, 7) == {
        f"{ahead} no cardiomegaly, no pleural effusion, no endotracheal tube"
    }
    # 68 letters do not fit: what is present is always said.
    short = draws(labels, 0, context=65)
    assert {drawn.text for drawn in short} == {
        f"{ahead} cardiomegaly, no pleural effusion",
        f"{ahead} cardiomegaly, no endotracheal tube",
    }
    assert {drawn.left_out for drawn in short} == {21, 22}


def test_both_are_mixed_by_the_share() -> None:
    found = draws(pairing(["reports", "labels"]), 3)
    labels = sum(count for drawn, count in found.items() if drawn.by_labels)
    assert labels == pytest.approx(100, abs=35)
    only_labels = texts(pairing(["reports", "labels"]), 3, findings=None, impression=None)
    assert only_labels == {"x-ray chest posteroanterior no finding"}


REPORT = "Heart is large. Tube at 4. 5 cm below! Lungs are clear? Bones are old;\nNo air."


def test_sentences() -> None:
    assert sentences(REPORT) == [
        "Heart is large.",
        "Tube at 4. 5 cm below!",
        "Lungs are clear?",
        "Bones are old;",
        "No air.",
    ]
    assert sentences("心影增大。未见气胸。") == ["心影增大。", "未见气胸。"]
    assert sentences("  one  ") == ["one"]


def test_long_reports_give_whole_sentences() -> None:
    """In their order, as many as fit, each at times; the draw depends on the generator alone."""
    found = draws(pairing(["reports"]), 0, context=40, findings=REPORT, impression="")
    parts = sentences(REPORT)
    for drawn in found:
        given = sentences(drawn.text)
        assert [part for part in parts if part in given] == given
        assert len(drawn.text) <= 38
        left = min(len(part) for part in parts if part not in given)
        assert len(drawn.text) + 1 + left >= 38  # no other fits, with a blank ahead of each
        assert drawn.tokens == len(REPORT) + 2
        assert drawn.left_out == len(REPORT) - len(drawn.text)
        assert drawn.number == report_number(REPORT)
    assert {part for drawn in found for part in sentences(drawn.text)} == set(parts)
    again = draws(pairing(["reports"]), 0, context=40, findings=REPORT, impression="")
    assert found == again


def test_a_sentence_that_is_too_long_is_cut() -> None:
    (drawn,) = draws(pairing(["reports"]), 0, context=12, findings="a" * 30, impression="")
    assert (drawn.text, drawn.tokens, drawn.left_out) == ("a" * 30, 32, 20)


@pytest.mark.parametrize("learnt", [True, False])
def test_tokenizers_count_what_they_would_cut(learnt: bool) -> None:
    text = "The heart is not enlarged, and there is no pneumothorax. " * 2 + "It is."
    if learnt:
        tokenizer: Any = LearntTokenizer.learn([text, text], 300, 24)
        tokenizer = LearntTokenizer(tokenizer.json)
    else:
        tokenizer = ClipTokenizer(24)
    assert tokenizer.context == 24
    whole, short = tokenizer.lengths([text, "heart"])
    assert whole > 24
    assert tokenizer(["heart"]).shape[1] == short
    assert tokenizer([text]).shape[1] == 24
    # Sentences add up: each has its ends, and a blank ahead costs nothing or its own token.
    parts = tokenizer.lengths([f" {sentence}" for sentence in sentences(text)])
    assert whole == sum(parts) - 2 * len(parts) + 2


def test_training_and_tasks_read_running_text(archive: Archive, tmp_path: Path) -> None:
    catalog = pl.read_parquet(archive.catalog).with_columns(findings=pl.lit("No effusion\nNodule"))
    catalog.write_parquet(tmp_path / "catalog.parquet")
    labels = archive.study.labels
    write_rows(tmp_path / "rows", tmp_path / "catalog.parquet", None, labels, ["reports"])
    assert Rows(tmp_path / "rows", labels)[0]["findings"] == "No effusion Nodule"
    files = cast(Any, SimpleNamespace(catalog=tmp_path / "catalog.parquet"))
    assert with_section(files, "findings")["findings"].unique().to_list() == ["No effusion Nodule"]


def test_rows_follow_the_subset(archive: Archive, tmp_path: Path) -> None:
    path = tmp_path / "rows.arrow"
    labels = archive.study.labels
    assert write_rows(path, archive.catalog, archive.subset, labels, ["reports", "labels"]) == {}
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
    counted = {1: 1, 0: 0, -1: np.nan, None: 0}  # under the default policy
    wanted = [[counted[r[c]] if r["labelled"] else np.nan for c in columns] for r in expected]
    np.testing.assert_array_equal(rows.targets, np.float32(wanted))
    assert rows.other_targets.shape == (20, 0)
    assert rows.pixels == sum(r["height"] * r["width"] for r in expected)
    # An arm that does not learn from labels reads none.
    assert write_rows(path, archive.catalog, archive.subset, labels, ["reports"]) == {}
    assert np.isnan(Rows(path, labels).targets).all()


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
    for supervision, expected, reasons in (
        (["reports"], texts, {"without report": ~texts}),
        (["labels"], labelled, {"without labels": ~labelled}),
        (
            ["reports", "labels"],
            texts | labelled,
            {"without report, without labels": ~texts & ~labelled},
        ),
    ):
        left_out = write_rows(path, source, None, labels, supervision)
        assert left_out == {reason: which.sum() for reason, which in reasons.items()}
        assert len(Rows(path, labels)) == expected.sum()
    catalog.with_columns(labelled=False).write_parquet(source)
    with pytest.raises(NothingToLearnError, match=r"has labels to learn from \(without"):
        write_rows(path, source, None, labels, ["labels"])


def test_images_whose_labels_say_nothing_are_left_out(archive: Archive, tmp_path: Path) -> None:
    """Every seventh effusion is uncertain: what a label text can say of the others is counted."""
    path, labels = tmp_path / "rows.arrow", archive.study.labels
    teaches = partial(label_samples, RECIPE)
    left_out = write_rows(path, archive.catalog, None, labels, ["labels"], teaches)
    catalog = pl.read_parquet(archive.catalog)
    silent = catalog.filter(
        pl.col("labelled"),
        pl.col("finding:effusion") == -1,
        pl.col("finding:cardiomegaly") == 0,
        pl.col("tube:ett").is_null(),
    )
    assert left_out == {"labels say nothing": len(silent), "without labels": 15}
    assert len(silent) > 0
    says = label_samples(RECIPE, (rows := Rows(path, labels)).targets, rows.other_targets)
    assert says.all()
    # Where the loss reads cells, each known one teaches.
    assert write_rows(path, archive.catalog, None, labels, ["labels"]) == {"without labels": 15}


def test_a_subset_of_another_catalog(archive: Archive, tmp_path: Path) -> None:
    catalog = tmp_path / "catalog.parquet"
    pl.read_parquet(archive.catalog).head(10).write_parquet(catalog)
    with pytest.raises(NothingToLearnError, match="draw the subset again"):
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
