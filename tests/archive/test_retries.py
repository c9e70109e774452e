"""Partitions whose files could not be read are ingested again at the next start."""

from radscale_lib.archive import retries


def test_a_partition_with_postponed_files_loses_its_ledger_once(tmp_path):
    for part in range(3):
        (tmp_path / f"part={part}.parquet").write_bytes(b"")
    retries.note(tmp_path / "part=1.parquet", 5)
    retries.note(tmp_path / "part=2.parquet", 1)
    retries.note(tmp_path / "part=2.parquet", 0)
    retries.note(tmp_path / "part=0.parquet", 0)
    assert retries.take_up(tmp_path) == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["part=0.parquet", "part=2.parquet"]
    assert retries.take_up(tmp_path) == 0
    assert retries.take_up(tmp_path / "none") == 0
