"""The audit: drawing reports to read, and what the answers say of a source."""

import json
import re

import polars as pl
import pytest

from radscale_lib.exports import write_csv
from radscale_lib.labels.audit import SAMPLE, below_least, draw, read_filled, score
from radscale_lib.labels.join import LabelsError, known_states
from radscale_lib.labels.page import page
from tests.labels.conftest import study_id


@pytest.fixture
def drawn(archive, labels, said):
    """Rules find an effusion in 2 of 20 studies, and differ from the table in some."""
    section = labels(source="rules", compared="table", audit={"reports": 6})
    states = {n: said("present" if n in (3, 5) else "not_mentioned") for n in range(20)}
    found = known_states(section, archive.catalog, {"rules": archive.parts("rules", states)})
    return section, found, draw(section, archive.catalog, found)


def test_rare_states_and_differences_are_drawn_and_weighed(drawn):
    _, _, sample = drawn
    assert sample.schema == SAMPLE
    rows = sample.filter(pl.col("label") == "effusion")
    assert len(rows) == 6 and rows["study_id"].n_unique() == 6
    assert {study_id(3), study_id(5)} <= set(rows["study_id"])
    # Of each label the weights add up to its studies.
    assert set(sample.group_by("label").agg(pl.col("weight").sum())["weight"]) == {20.0}
    assert set(rows["answer"]) == {""} and rows["findings"].str.starts_with("Report").all()
    assert rows["study_id"].to_list() != sorted(rows["study_id"])


def test_the_same_sample_again(drawn, archive):
    section, found, sample = drawn
    assert draw(section, archive.catalog, found).equals(sample)
    other = section.model_copy(update={"audit": section.audit.model_copy(update={"seed": 1})})
    assert not draw(other, archive.catalog, found).equals(sample)


def test_answers_give_precision_and_recall(drawn, tmp_path):
    section, found, sample = drawn
    truth = {study_id(3): "present", study_id(7): "p"}
    answers = [truth.get(s, "not mentioned") for s in sample["study_id"]]
    # Weights come from what was read, not from the file.
    answered = sample.with_columns(answer=pl.Series(answers), weight=pl.lit(1e9))
    write_csv(answered, tmp_path / "filled.csv")
    filled = read_filled(tmp_path / "filled.csv", section)
    assert len(filled) == len(sample)
    table = score(section, filled, found)
    row = table.row(
        by_predicate=(pl.col("label") == "effusion") & (pl.col("source") == "rules"), named=True
    )
    assert row["precision"] == 0.5 and row["reference"] == "audit"
    missed = sample.filter(pl.col("study_id") == study_id(7), pl.col("label") == "effusion")
    weight = missed["weight"].sum()
    assert row["recall"] == pytest.approx(1 / (1 + weight))
    assert below_least(section, table) == []
    strict = section.model_copy(
        update={
            "audit": section.audit.model_copy(
                update={"least": section.audit.least.model_copy(update={"precision": 0.9})}
            )
        }
    )
    below = dict(below_least(strict, table))
    assert below["effusion"] == "precision 0.50, at least 0.09 (of 0.9)"
    assert below["ett"] == "precision unknown (of 0.9)"


def test_one_right_answer_passes_no_bar(drawn, tmp_path):
    section, found, sample = drawn
    truth = ["present" if s == study_id(3) else "" for s in sample["study_id"]]
    write_csv(sample.with_columns(answer=pl.Series(truth)), tmp_path / "filled.csv")
    least = section.audit.least.model_copy(update={"recall": 0.8})
    section = section.model_copy(
        update={"audit": section.audit.model_copy(update={"least": least})}
    )
    table = score(section, read_filled(tmp_path / "filled.csv", section), found)
    assert dict(below_least(section, table))["effusion"] == "recall 1.00, at least 0.21 (of 0.8)"


def test_nothing_to_draw_is_said(archive, drawn):
    section, found, _ = drawn
    with pytest.raises(LabelsError, match="no report of this archive could be read"):
        draw(section, archive.catalog, {name: table.clear() for name, table in found.items()})


def test_an_empty_answer_is_no_answer(drawn, tmp_path):
    section, _, sample = drawn
    write_csv(sample, tmp_path / "filled.csv")
    with pytest.raises(LabelsError, match="it contains no answer: fill in the column 'answer'"):
        read_filled(tmp_path / "filled.csv", section)


HEAD = "study_id,label,weight,answer\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (HEAD + "a,effusion,1,yes\n", "row 2: answer: write one of present"),
        (HEAD + "a,effusion,1,present\na,effusion,1,absent\n", "row 3: study_id: answered"),
        (HEAD + "a,mass,1,present\n", "row 2: label: none of the study's: effusion"),
        ("study_id,weight,answer\n", "no column 'label'"),
        ("", "cannot be read"),
    ],
)
def test_wrongly_filled(tmp_path, labels, content, said):
    path = tmp_path / "filled.csv"
    path.write_text(content)
    with pytest.raises(LabelsError, match=said) as error:
        read_filled(path, labels(source="rules"))
    assert str(path) in str(error.value)


def test_a_spreadsheet_of_europe(tmp_path, labels):
    path = tmp_path / "filled.csv"
    path.write_text("study_id;label;weight;answer\na;effusion;1,5;PRESENT\n", encoding="utf-8")
    assert read_filled(path, labels(source="rules")).row(0) == ("a", "effusion", 1)


def test_answers_of_another_archive(drawn):
    section, found, _ = drawn
    filled = pl.DataFrame({"study_id": ["f" * 32], "label": ["effusion"], "true": [1]})
    with pytest.raises(
        LabelsError, match="1 of 1 answers are of studies that this archive does not"
    ):
        score(section, filled, found)


def test_the_page_holds_reports_as_text(drawn):
    _, _, sample = drawn
    evil = sample.head(1).with_columns(findings=pl.lit("</script><img src=x onerror=alert(1)>"))
    text = page(evil, "<b>study</b>")
    assert "</script><img" not in text and "<b>study" not in text
    assert not re.search(r"<[^>]*(src|href)=|https?:|url\(|@import|fetch\(", page(sample, "study"))
    rows = json.loads(re.search(r'id="rows">(.*?)</script>', text, re.S)[1])
    assert rows[0]["findings"] == "</script><img src=x onerror=alert(1)>"
    assert "answer" not in rows[0]
