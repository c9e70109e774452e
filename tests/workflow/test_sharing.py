"""An archive that was ingested once and serves several studies."""

import subprocess
from pathlib import Path

import pytest
import yaml

from radscale_lib import ShardDataset, open_study
from radscale_lib.study import StudyError, load_study
from radscale_lib.study.model import Study
from tests.workflow.checkout import TINY, Checkout, copy_checkout

pytestmark = pytest.mark.slow


def shared(owner: Checkout, folder: Path, **changes: object) -> Path:
    """A study file that shares the archives of another study."""
    values = yaml.safe_load(owner.study_file.read_text())
    values |= {"name": "second", **changes}
    del values["splits"]
    for name in ("institution", "public"):
        values.setdefault(name, {})
        values[name] = {"ingested": str(owner.results)}
    path = folder / "second.yaml"
    path.write_text(yaml.safe_dump(values, sort_keys=False))
    return path


def test_a_study_takes_over_how_its_archives_were_ingested(
    finished_tiny: Checkout, tmp_path: Path
) -> None:
    owner, study = load_study(finished_tiny.study_file), load_study(shared(finished_tiny, tmp_path))
    for name, archive in study.archives.items():
        assert archive.model_copy(update={"ingested": None}) == owner.archives[name]
        assert study.data_folder(name) == finished_tiny.results / "data" / name
    assert study.splits == owner.splits
    assert len(ShardDataset(open_study(shared(finished_tiny, tmp_path)), split="test")) > 5
    assert Study.model_validate_json(study.model_dump_json()) == study


def test_what_contradicts_a_shared_archive(finished_tiny: Checkout, tmp_path: Path) -> None:
    def refused(**changes: object) -> str:
        path = shared(finished_tiny, tmp_path)
        values = yaml.safe_load(path.read_text())
        for key, value in changes.items():
            values[key] = (values.get(key) or {}) | value
        path.write_text(yaml.safe_dump(values))
        with pytest.raises(StudyError) as caught:
            load_study(path)
        return str(caught.value)

    assert "splits.test: the archive of institution.ingested was ingested with 0.2" in refused(
        splits={"test": 0.3}
    )
    assert "labels.findings: ['nodule'] not among the labels" in refused(
        labels={"findings": ["nodule"]}
    )
    assert "institution.image: the archive of institution.ingested has its settings" in refused(
        institution={"image": {"shorter_side": 16}}
    )
    assert "no ingested archive 'institution'" in refused(
        institution={"ingested": str(tmp_path / "absent")}
    )


@pytest.mark.long
def test_nothing_changes_under_a_study_that_shares_an_archive(
    tiny: Checkout, tmp_path: Path
) -> None:
    second = copy_checkout(tmp_path / "second", TINY)
    second.study_path = "second.yaml"
    shared(tiny, second.folder)
    targets = ["subsets", "results/second/data/institution/ranges.arrow"]
    rules = {job["rule"] for job in second.plan(*targets)}
    assert rules == {"index_shards_institution", "draw_subset", "describe_subsets"}
    second.snakemake("--", *targets)
    assert second.plan(*targets) == []
    catalog = (tiny.results / "data/institution/catalog.parquet").read_bytes()
    with tiny.study(institution__image={"shorter_side": 48}):
        assert "ingest_partition" in {job["rule"] for job in tiny.plan()}
        ended = subprocess.run(
            tiny.command(), cwd=tiny.folder, env=tiny.environment(), capture_output=True, text=True
        )
        assert ended.returncode == 1 and "other studies use it" in ended.stderr
        assert str(second.results.resolve()) in ended.stderr
    assert "kept: other studies use them" in tiny.snakemake("--", "slim_shards")
    assert (tiny.results / "data/institution/catalog.parquet").read_bytes() == catalog
    assert second.plan(*targets) == [] == tiny.plan()
    # The archive is mounted elsewhere.
    tiny.folder.rename(tmp_path / "elsewhere")
    moved = Checkout(tmp_path / "elsewhere", study_path=TINY)
    shared(moved, second.folder)
    assert second.plan(*targets) == []
