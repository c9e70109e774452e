"""Whether an archive was ingested with a key: told by the names that its ledgers give files."""

import pytest

from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.keyed import was_keyed
from radscale_lib.archive.listing import refresh
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
