"""Shards: what is written is read back, from any order, and damage is named."""

import hashlib
import importlib
import pickle
import shutil

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radscale_lib.shards import png
from radscale_lib.shards.errors import ShardError
from radscale_lib.shards.reader import ShardReader
from radscale_lib.shards.schema import row_digest
from radscale_lib.shards.writer import open_shard
from tests.shards.small import LABELS, ROWS, image_of, row_of, write


def test_layout_is_the_contract(folder):
    file = pq.ParquetFile(folder / "part=0.parquet")
    assert file.metadata.metadata[b"radscale.schema"] == b"1"
    assert file.metadata.metadata[b"radscale.stage"] == b"stage-id"
    groups = range(file.metadata.num_row_groups)
    assert [file.metadata.row_group(g).num_rows for g in groups] == [64, 64, 22]
    index = file.schema_arrow.names.index("image")
    assert not file.schema_arrow.field("image").nullable
    for group in groups:
        column = file.metadata.row_group(group).column(index)
        assert column.compression == "UNCOMPRESSED"
        assert not column.has_dictionary_page
        assert set(column.encodings) <= {"PLAIN", "RLE"}
        other = file.metadata.row_group(group).column(index + 1)
        assert other.compression == "ZSTD"


def test_other_readers_open_a_shard(folder):
    frame = pl.read_parquet(folder / "part=0.parquet")
    assert frame.height == 150
    assert frame["finding:effusion"].to_list()[:4] == [1, 0, -1, None]
    assert frame["image"][7] == png.encode(image_of(0, 7))


def read_by_pandas(path):
    table = importlib.import_module("pandas").read_parquet(path)
    return len(table), table["image"][7]


def read_by_duckdb(path):
    duckdb = pytest.importorskip("duckdb")
    images = duckdb.sql(f"SELECT image FROM '{path}'").fetchall()
    return len(images), images[7][0]


def read_by_datasets(path):
    datasets = pytest.importorskip("datasets")
    table = datasets.Dataset.from_parquet(str(path), cache_dir=str(path.parent / "cache"))
    return len(table), table[7]["image"]


@pytest.mark.parametrize("read", [read_by_pandas, read_by_duckdb, read_by_datasets])
def test_more_readers_open_a_shard(folder, tmp_path, read):
    shutil.copy(folder / "part=0.parquet", tmp_path / "shard.parquet")
    assert read(tmp_path / "shard.parquet") == (150, png.encode(image_of(0, 7)))


places = st.lists(
    st.integers(0, 2).flatmap(lambda s: st.tuples(st.just(s), st.integers(0, ROWS[s] - 1))),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(places=places, cache=st.sampled_from([0, 10_000, 2**28]))
def test_any_places_in_any_order(folder, places, cache):
    reader = ShardReader(folder, cache_bytes=cache)
    shards = [f"part={shard}.parquet" for shard, _ in places]
    images = reader.images(shards, [row for _, row in places])
    assert len(images) == len(places)
    for image, (shard, row) in zip(images, places, strict=True):
        assert image.dtype == np.uint8
        np.testing.assert_array_equal(image, image_of(shard, row))


def test_cache_is_bounded(folder):
    reader = ShardReader(folder, cache_bytes=20_000)
    for row in range(150):
        reader.encoded(["part=0.parquet"], [row])
        assert reader.held_bytes <= 20_000
    assert reader.held_bytes > 0


def test_reader_survives_pickling(folder):
    reader = ShardReader(folder, cache_bytes=12_345)
    reader.images(["part=0.parquet"], [3])
    copy = pickle.loads(pickle.dumps(reader))
    assert copy.cache_bytes == 12_345
    np.testing.assert_array_equal(copy.images(["part=0.parquet"], [3])[0], image_of(0, 3))


def test_reader_takes_columns_of_a_catalog(folder):
    catalog = pl.DataFrame({"shard": ["part=1.parquet", "part=0.parquet"], "row": [2, 149]})
    first, second = ShardReader(folder).images(catalog["shard"], catalog["row"])
    np.testing.assert_array_equal(first, image_of(1, 2))
    np.testing.assert_array_equal(second, image_of(0, 149))


def test_every_flipped_image_byte_is_found(folder, tmp_path):
    path = tmp_path / "part=0.parquet"
    sound = (folder / "part=0.parquet").read_bytes()
    image = png.encode(image_of(0, 100))
    start = sound.index(image)
    for offset in range(0, len(image), 7):
        damaged = bytearray(sound)
        damaged[start + offset] ^= 1
        path.write_bytes(damaged)
        reader = ShardReader(tmp_path)
        reader.images(["part=0.parquet"], [10])
        with pytest.raises(ShardError, match=r"part=0\.parquet: row 100 is damaged \(checksum\)"):
            reader.images(["part=0.parquet"], [100])


def test_undecodable_image_is_named(tmp_path):
    with open_shard(tmp_path / "part=0.parquet", LABELS, "s") as writer:
        writer.append(row_of(0, 0))
        writer.append({**row_of(0, 1), "image": b"no image"})
    with pytest.raises(ShardError, match="row 1 holds no decodable image"):
        ShardReader(tmp_path).images(["part=0.parquet"] * 2, [0, 1])


def test_missing_truncated_and_short_shards_are_named(folder, tmp_path):
    reader = ShardReader(tmp_path)
    with pytest.raises(ShardError, match=r"part=9\.parquet is missing"):
        reader.images(["part=9.parquet"], [0])
    sound = (folder / "part=0.parquet").read_bytes()
    (tmp_path / "part=0.parquet").write_bytes(sound[: len(sound) // 2])
    with pytest.raises(ShardError, match=r"part=0\.parquet is not a complete shard"):
        reader.images(["part=0.parquet"], [0])
    with pytest.raises(ShardError, match="no row 64 among 64"):
        ShardReader(folder).images(["part=1.parquet"], [64])
    with pytest.raises(ShardError, match="no row -1"):
        ShardReader(folder).images(["part=1.parquet"], [-1])


def test_same_rows_same_bytes_and_nothing_half_written(tmp_path):
    write(tmp_path / "a.parquet", 0, 70)
    write(tmp_path / "b.parquet", 0, 70)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    with pytest.raises(RuntimeError), open_shard(tmp_path / "c.parquet", LABELS, "s") as writer:
        writer.append(row_of(0, 0))
        raise RuntimeError
    assert not (tmp_path / "c.parquet").exists()


def test_empty_shard_is_a_shard(tmp_path):
    write(tmp_path / "part=0.parquet", 0, 0)
    assert pl.read_parquet(tmp_path / "part=0.parquet").height == 0
    assert ShardReader(tmp_path).images([], []) == []


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("image", b"other"),
        ("findings", "other"),
        ("impression", ""),
        ("finding:effusion", 0),
        ("tube:ett", 1),
        ("labelled", False),
        ("tubes", None),
    ],
)
def test_digest_follows_all_that_training_sees(column, value):
    row = row_of(0, 0)
    assert row_digest({**row, column: value}) != row_digest(row)


def test_digest_ignores_the_rest_and_is_stable():
    row = row_of(0, 0)
    assert row_digest({**row, "view": "AP", "p1": 0.0}) == row_digest(row)
    seen = (
        b'{"finding:effusion":1,"findings":"No effusion 0.","impression":null,'
        b'"labelled":true,"tube:ett":null,"tubes":"[]"}'
    )
    expected = hashlib.sha256(hashlib.sha256(b"x").digest() + seen).hexdigest()[:32]
    assert row_digest({**row, "image": b"x"}) == expected
