"""Whether an archive was ingested with a key, by the file names in its ledgers."""

from pathlib import Path

import pytest
import yaml

from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.keyed import was_keyed
from radscale_lib.archive.listing import refresh
from radscale_lib.preflight.archives import archive_findings
from radscale_lib.study import parse_study
from radscale_lib.study.archive import Archive, Labels

KEY = b"9f2c4e6a8b0d1c3e"


@pytest.mark.parametrize("merged", [False, True])
def test_an_archive_knows_its_key(make_dicom, make_image, tmp_path, merged):
    for number in range(3):
        make_dicom(tmp_path / f"dicom/{number}.dcm", make_image(70, 80, 255).astype("u1"), number)
    refresh(tmp_path / "dicom", tmp_path / "listing", 2)
    listings = [tmp_path / f"listing/part={k}.tsv" for k in range(2)]
    ledgers = [tmp_path / f"ledger/part={k}.parquet" for k in range(2)]
    assert not was_keyed(KEY, listings[1], ledgers[1])
    outputs = Outputs(tmp_path / "index.parquet", ledgers[0], tmp_path / "shard.parquet")
    archive = Archive(dicom=tmp_path / "dicom")
    ingest(archive, Labels(), KEY, "id", listings[0], Sources(tmp_path / "dicom"), outputs)
    if merged:
        ledgers[0].replace(tmp_path / "ledger.parquet")
    assert was_keyed(KEY, listings[1], ledgers[1])
    assert not was_keyed(KEY[::-1], listings[1], ledgers[1])


def test_a_check_names_a_weak_key_before_any_job(make_dicom, make_image, tmp_path, monkeypatch):
    """And lets an archive that was ingested with it go on."""
    make_dicom(tmp_path / "dicom/0.dcm", make_image(70, 80, 255).astype("u1"))
    (tmp_path / "key").write_bytes(KEY)
    (tmp_path / "key").chmod(0o644)
    values = yaml.safe_load(Path("config/smoke.yaml").read_text())
    tables = {name: str(tmp_path / f"{name}.csv") for name in ("reports", "labels", "tubes")}
    values["institution"] = {
        "dicom": str(tmp_path / "dicom"), "key_file": str(tmp_path / "key"), **tables
    }  # fmt: skip
    values["results"] = str(tmp_path)
    study = parse_study(values)

    def found():
        return [finding.stops for finding in archive_findings(study) if "chmod 600" in finding.text]

    assert found() == [True]
    data = study.folder / "data" / "institution"
    refresh(tmp_path / "dicom", data / "listing", 1)
    ledger, listing = data / "ledger/part=0.parquet", data / "listing/part=0.tsv"
    outputs = Outputs(data / "index/part=0.parquet", ledger, data / "shards/part=0.parquet")
    ingest(study.institution, Labels(), KEY, "id", listing, Sources(tmp_path / "dicom"), outputs)
    assert found() == [False]
    (tmp_path / "key").chmod(0o600)
    assert found() == []
