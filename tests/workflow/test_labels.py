"""Labels that are read from reports, in the workflow."""

from pathlib import Path

import polars as pl
import pytest
import yaml

from radscale_lib.study import load_study
from tests.workflow.checkout import copy_checkout
from workflow.dry_run import planned

ROOT = Path(__file__).parents[2]


def test_what_waits_for_labels(tmp_path: Path, monkeypatch) -> None:
    """No training on images alone or on reports alone has labels among what it comes from."""
    monkeypatch.chdir(ROOT)
    values = yaml.safe_load(Path("config/smoke.yaml").read_text())
    values |= {"results": str(tmp_path)}
    values["labels"] |= {"source": ["rules", "table"], "test_source": "table", "partitions": 3}
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    jobs = planned(load_study(path), ["pretrain", "audit_labels", "--configfile", str(path)])
    by_number = {job.number: job for job in jobs}

    def before(number: int) -> set[str]:
        after = by_number[number].after
        return {by_number[n].rule for n in after}.union(*map(before, after))

    trained = [job for job in jobs if job.rule == "pretrain_arm"]
    reading = {job.wildcards["arm"]: "read_labels" in before(job.number) for job in trained}
    assert reading == {"rad-dino": False, "mi2-reports": False, "mi2-reports-labels": True}
    assert sum(job.rule == "read_labels" for job in jobs) == 3
    (sample,) = [job for job in jobs if job.rule == "sample_labels"]
    assert "read_labels" in before(sample.number)
    for job in trained:
        tables = {path.name for path in job.inputs if "labels" in path.parts}
        wanted = {"findings.parquet", "tubes.parquet"} if reading[job.wildcards["arm"]] else set()
        assert tables == wanted


@pytest.mark.long
def test_the_study_of_labels_and_a_tube_that_is_read_otherwise(tmp_path: Path) -> None:
    """Rules read the phantom's labels; then "portable" is made to mean a tube.

    Only what learns from labels of tubes, or is tested on them, runs again, and no encoder.
    """
    checkout = copy_checkout(tmp_path / "checkout", "config/labels.yaml")
    checkout.snakemake()
    found = pl.read_parquet(checkout.results / "labels/agreement.parquet")
    assert found["recall"].min() > 0.85 and found["precision"].min() > 0.95
    assert found["studies"].min() > 500
    report = (checkout.results / "report.html").read_text(encoding="utf-8")
    assert 'id="labels-agreement"' in report and "films were made of" in report
    checkout.snakemake("--", "audit_labels")
    assert (checkout.results / "labels/audit/page.html").exists()
    assert checkout.plan() == []

    findings = (checkout.results / "labels/pool/findings.parquet").read_bytes()
    study = yaml.safe_load(checkout.study_file.read_text())
    study["labels"]["phrases"] = {"ett": ["portable"]}
    checkout.study_file.write_text(yaml.safe_dump(study))
    checkout.snakemake("--", "labels")
    assert (checkout.results / "labels/pool/findings.parquet").read_bytes() == findings
    jobs = checkout.plan()
    trained = {job["wildcards"]["arm"] for job in jobs if job["rule"].startswith("pretrain")}
    assert trained == {"labels"}
    kept = checkout.results / "work/evaluated/images/n=100/seed=0"
    before = {path: path.stat().st_mtime_ns for path in kept.glob("*/made.json")}
    checkout.snakemake("--until", "evaluate_run")
    changed = {path.parent.name for path in before if path.stat().st_mtime_ns != before[path]}
    assert changed == {"tubes.linear"}
