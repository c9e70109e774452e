"""Labels that are read from reports, in the workflow."""

from pathlib import Path

import yaml

from radscale_lib.study import load_study
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
