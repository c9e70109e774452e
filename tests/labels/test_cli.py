"""The steps of the stage, by their command lines."""

import json
from pathlib import Path

import polars as pl
import pytest
import yaml

from radscale_lib.cli import audit_labels, join_labels, read_labels, sample_labels
from tests.labels.conftest import study_id


@pytest.fixture
def step(archive, tmp_path, capsys):
    """Runs a step of a study whose labels come from rules; its exit and what it said."""
    values = yaml.safe_load(Path("config/smoke.yaml").read_text())
    values["labels"] = {
        "findings": ["effusion", "nodule"],
        "tubes": ["ett"],
        "source": "rules",
        "audit": {"reports": 5},
    }

    def run(main, *options, **audit):
        values["labels"]["audit"] |= audit
        (tmp_path / "study.json").write_text(json.dumps(values))
        arguments = ["--study", str(tmp_path / "study.json"), "--catalog", str(archive.catalog)]
        try:
            main([*arguments, *map(str, options)])
        except SystemExit as ended:
            return ended.code, capsys.readouterr().err
        return 0, capsys.readouterr().err

    return run


def test_from_reports_to_audited_labels(step, archive, tmp_path):
    catalog = pl.read_parquet(archive.catalog)
    present = pl.col("study_id").is_in([study_id(number) for number in range(10)])
    empty = pl.col("study_id") == study_id(19)
    text = pl.when(present).then(pl.lit("Small effusion.")).otherwise(pl.lit("No effusion."))
    text = pl.when(empty).then(pl.lit(" \n")).otherwise(text)
    catalog.with_columns(findings=text, impression=pl.lit("")).write_parquet(archive.catalog)
    part, labels = tmp_path / "labels/rules/part=0.parquet", tmp_path / "labels"
    assert step(read_labels.main, "--source", "rules", "--part", 0, "--out", part) == (0, "")
    read = pl.read_parquet(part)
    assert len(read) == 57 and read.filter(pl.col("state") == "present").height == 10
    assert read.row(0)[:5] == (study_id(0), "effusion", "present", "rules", "findings")
    assert step(read_labels.main, "--source", "rules", "--part", 1, "--out", part)[0] == 1
    parts = ("--rules", part)
    assert step(sample_labels.main, *parts, "--out", labels / "audit")[0] == 0
    sample = pl.read_csv(labels / "audit/sample.csv", infer_schema=False)
    wrong = pl.when(pl.col("label") == "effusion").then(pl.lit("absent")).otherwise(pl.lit("n"))
    sample.with_columns(answer=wrong).write_csv(tmp_path / "filled.csv")
    scores = labels / "audit/scores.parquet"
    filled = {"table": str(tmp_path / "filled.csv")}
    options = ("--filled", tmp_path / "filled.csv", *parts, "--out", scores)
    assert step(audit_labels.main, *options, **filled) == (0, "")
    join = (*parts, "--audit", scores, "--out", labels)
    assert step(join_labels.main, *join) == (0, "")
    status, said = step(join_labels.main, *join, least={"precision": 0.5})
    assert status == 1
    assert "labels.audit.least: rules does not read some labels well enough: " in said
    assert "effusion: precision 0.00, at least 0.00 (of 0.5)" in said
    status, said = step(join_labels.main, *join, below="drop")
    assert status == 0 and "dropped effusion: precision 0.00, at least 0.00 (of 0.5)" in said
    assert set(pl.read_parquet(labels / "pool/findings.parquet")["finding:effusion"]) == {-3}


def test_a_filled_table_that_is_none(step, archive, tmp_path, said):
    (part,) = archive.parts("rules", {number: said("present") for number in range(20)})
    (tmp_path / "filled.csv").write_text("a,b\n")
    options = (
        "--filled",
        tmp_path / "filled.csv",
        "--rules",
        part,
        "--out",
        tmp_path / "s.parquet",
    )
    status, told = step(audit_labels.main, *options)
    assert status == 1 and "no column 'study_id'" in told and "Traceback" not in told
