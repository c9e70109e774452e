"""Byte ranges: images are found without their neighbours, damage and other files are refused."""

import errno
import importlib
import os
import pickle
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radscale_lib.shards import png, storage
from radscale_lib.shards import reader as reader_module
from radscale_lib.shards.errors import DamagedImageError, ShardError
from radscale_lib.shards.pages import NotAddressableError, value_ranges
from radscale_lib.shards.ranges import Ranges, StaleIndexError, write_ranges
from radscale_lib.shards.reader import ShardReader
from radscale_lib.shards.thrift import ThriftError, read_struct
from radscale_lib.shards.writer import open_shard
from tests.shards.small import LABELS, NAMES, ROWS, image_of, row_of, write

ALL = [(NAMES[shard], row) for shard, rows in enumerate(ROWS) for row in range(rows)]
places = st.lists(st.sampled_from(ALL), max_size=40)


@settings(max_examples=30, deadline=None)
@given(places=places)
def test_any_places_in_any_order(folder, ranges, places):
    reader = ShardReader(folder, ranges)
    images = reader.images([shard for shard, _ in places], [row for _, row in places])
    for image, (shard, row) in zip(images, places, strict=True):
        np.testing.assert_array_equal(image, image_of(NAMES.index(shard), row))
    assert reader.held_bytes == 0


def evict(path: Path) -> None:
    """Drop a file's pages from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def test_only_the_bytes_of_an_image_are_read(folder, ranges, monkeypatch):
    """Whether they come from the disk, or are viewed in the page cache."""
    asked = []
    for name in ("read", "view"):
        method = getattr(storage.LocalFile, name)

        def spy(file, offset, length, method=method):
            asked.append(length)
            return method(file, offset, length)

        monkeypatch.setattr(storage.LocalFile, name, spy)
    chosen = [(NAMES[0], 100), (NAMES[1], 3), (NAMES[0], 5)]
    encoded = ShardReader(folder, ranges).encoded(*zip(*chosen, strict=True))
    assert asked == [len(data) for data in encoded]


def test_a_system_that_cannot_tell_what_is_cached_is_asked_once_per_file(
    folder, ranges, monkeypatch
):
    probed = []

    def probe(descriptor, *_):
        probed.append(descriptor)
        raise OSError(errno.EOPNOTSUPP, "not supported")

    monkeypatch.setattr(os, "preadv", probe, raising=False)
    monkeypatch.setattr(os, "RWF_NOWAIT", 8, raising=False)
    chosen = [(NAMES[0], 100), (NAMES[1], 3), (NAMES[0], 5)]
    encoded = ShardReader(folder, ranges).encoded(*zip(*chosen, strict=True))
    assert all(isinstance(data, bytes) for data in encoded)
    assert len(probed) == 2


@pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="needs Linux")
def test_what_is_cached_is_viewed_and_the_rest_read(tmp_path, monkeypatch):
    monkeypatch.setattr(reader_module, "VIEWED_BYTES", 30_000)
    big = np.random.default_rng(0).integers(0, 256, (90, 100), dtype=np.uint8)
    with open_shard(tmp_path / NAMES[0], LABELS, "stage-id") as writer:
        for row in range(100):
            writer.append({**row_of(0, row), "image": png.encode(big ^ np.uint8(row))})
    write_ranges(tmp_path, NAMES[:1], tmp_path / "ranges")
    reader = ShardReader(tmp_path, tmp_path / "ranges")
    evict(tmp_path / NAMES[0])
    request = reader.request([NAMES[0]] * 100, range(100))
    cold = list(reader.encoded_or_defects(request))
    assert isinstance(cold[0], bytes)
    for image, encoded in enumerate(reader.encoded([NAMES[0]] * 100, range(100))):
        assert isinstance(encoded, memoryview)
        assert encoded == cold[image]
        np.testing.assert_array_equal(png.decode(encoded), big ^ np.uint8(image))


def test_a_shard_that_shrinks_under_the_reader_is_damage(folder, ranges, tmp_path):
    """Not the end of the process, though it was mapped."""
    shutil.copy(folder / NAMES[0], tmp_path / NAMES[0])
    reader = ShardReader(tmp_path, ranges)
    reader.images([NAMES[0]], [100])
    os.truncate(tmp_path / NAMES[0], 100)
    with pytest.raises(DamagedImageError, match="row 100 is damaged"):
        reader.images([NAMES[0]], [100])


def test_a_request_survives_closed_files(folder, ranges, tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "OPEN_FILES", 1)
    reader = ShardReader(folder, ranges)
    requests = [reader.request([name] * 2, [0, 0]) for name in NAMES]
    views = [list(reader.encoded_or_defects(request)) for request in requests]
    for shard, pair in enumerate(views):
        for data in pair:
            np.testing.assert_array_equal(png.decode(data), image_of(shard, 0))


def test_the_index_is_small_and_the_same_each_time(folder, ranges, tmp_path):
    write_ranges(folder, NAMES, tmp_path / "again.arrow", threads=3)
    assert (tmp_path / "again.arrow").read_bytes() == ranges.read_bytes()
    table = pa.ipc.open_file(str(ranges)).read_all()
    assert table.nbytes == 20 * sum(ROWS)


def test_a_reader_survives_pickling(folder, ranges):
    reader = ShardReader(folder, ranges, cache_bytes=7)
    reader.images([NAMES[0]], [3])
    copy = pickle.loads(pickle.dumps(reader))
    np.testing.assert_array_equal(copy.images([NAMES[0]], [3])[0], image_of(0, 3))
    assert copy.held_bytes == 0


def test_more_shards_than_open_files(tmp_path, monkeypatch):
    monkeypatch.setattr(storage, "OPEN_FILES", 2)
    names = [f"part={shard}.parquet" for shard in range(5)]
    for shard, name in enumerate(names):
        write(tmp_path / name, shard, 2)
    write_ranges(tmp_path, names, tmp_path / "ranges")
    reader = ShardReader(tmp_path, tmp_path / "ranges")
    descriptors = Path("/proc/self/fd")
    before = len(list(descriptors.iterdir())) if descriptors.exists() else 0
    request = reader.request(names, [1] * 5)
    if before:
        assert len(list(descriptors.iterdir())) <= before + 5
    assert len(reader.images_or_defects(request)) == 5
    for _ in range(2):
        for shard, image in enumerate(reader.images(names, [1] * 5)):
            np.testing.assert_array_equal(image, image_of(shard, 1))
    if before:
        assert len(list(descriptors.iterdir())) <= before + 5


@pytest.mark.parametrize("indexed", [True, False])
def test_a_flipped_byte_is_named_and_costs_one_image(folder, ranges, tmp_path, indexed):
    sound = (folder / NAMES[0]).read_bytes()
    image = png.encode(image_of(0, 100))
    start = sound.index(image)
    for offset in range(0, len(image), 11):
        damaged = bytearray(sound)
        damaged[start + offset] ^= 1
        (tmp_path / NAMES[0]).write_bytes(damaged)
        reader = ShardReader(tmp_path, ranges if indexed else None)
        with pytest.raises(
            DamagedImageError, match=r"part=0\.parquet: row 100 is damaged"
        ) as found:
            reader.images([NAMES[0]], [100])
        assert (found.value.shard, found.value.row) == (NAMES[0], 100)
        request = reader.request([NAMES[0]] * 2, [100, 101])
        first, second = reader.images_or_defects(request)
        assert isinstance(first, DamagedImageError)
        np.testing.assert_array_equal(second, image_of(0, 101))


def test_a_row_group_without_readable_values_is_damaged_as_a_whole(folder, tmp_path):
    damaged = bytearray((folder / NAMES[0]).read_bytes())
    start = damaged.index(png.encode(image_of(0, 100)))
    damaged[start - 1] = 255  # its length, in the highest byte
    (tmp_path / NAMES[0]).write_bytes(damaged)
    reader = ShardReader(tmp_path)
    found = reader.images_or_defects(reader.request([NAMES[0]] * 3, [10, 70, 127]))
    assert [isinstance(image, DamagedImageError) for image in found] == [False, True, True]
    with pytest.raises(ShardError, match=r"part=0\.parquet is damaged"):
        write_ranges(tmp_path, NAMES[:1], tmp_path / "ranges")


def test_start_names_every_shard_that_will_not_do(folder, ranges, tmp_path):
    sound = [(folder / name).read_bytes() for name in NAMES]
    (tmp_path / NAMES[0]).write_bytes(sound[0][:-100])
    write(tmp_path / NAMES[1], 7, 64)  # whole, but another shard
    last = {name: rows - 1 for name, rows in zip(NAMES, ROWS, strict=True)}
    with pytest.raises(ShardError) as found:
        ShardReader(tmp_path, ranges).check(last)
    lines = str(found.value).splitlines()
    assert len(lines) == 3
    assert "part=0.parquet is not a complete shard" in lines[0]
    assert "was made of another" in lines[1]
    assert "part=1.parquet" in lines[1]
    assert "part=2.parquet is missing" in lines[2]
    ShardReader(folder, ranges).check(last)
    ShardReader(folder).check(last)
    for reader in (ShardReader(folder, ranges), ShardReader(folder)):
        with pytest.raises(ShardError, match="no row 64 among 64"):
            reader.check({NAMES[1]: 64})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"compression": "snappy", "use_dictionary": False}, "compressed (SNAPPY)"),
        ({"compression": "none", "use_dictionary": True}, "encoded"),
        (
            {
                "compression": "none",
                "use_dictionary": False,
                "column_encoding": {"image": "DELTA_LENGTH_BYTE_ARRAY"},
            },
            "encoded",
        ),
    ],
)
def test_other_layouts_are_refused_and_read_by_row_group(folder, tmp_path, options, reason):
    table = pq.read_table(folder / NAMES[0])
    pq.write_table(table, tmp_path / NAMES[0], row_group_size=50, **options)
    (entry,) = write_ranges(tmp_path, NAMES[:1], tmp_path / "ranges")
    assert reason in entry.refused
    reader = ShardReader(tmp_path, tmp_path / "ranges")
    reader.check({NAMES[0]: 149})
    np.testing.assert_array_equal(reader.images([NAMES[0]], [120])[0], image_of(0, 120))
    assert reader.held_bytes > 0


def test_nullable_columns_are_refused(folder, tmp_path):
    table = pq.read_table(folder / NAMES[0], columns=["image"])
    nullable = table.cast(pa.schema([pa.field("image", pa.binary())]))
    pq.write_table(nullable, tmp_path / NAMES[0], compression="none", use_dictionary=False)
    (entry,) = write_ranges(tmp_path, NAMES[:1], tmp_path / "ranges")
    assert entry.refused == "column image may hold nulls or lists"


@pytest.mark.parametrize("version", ["1.0", "2.0"])
@pytest.mark.parametrize("per_page", [1, 7, 1000])
def test_pages_of_any_size_and_version(folder, tmp_path, version, per_page):
    table = pq.read_table(folder / NAMES[0])
    pq.write_table(
        table, tmp_path / NAMES[0], compression="none", use_dictionary=False,
        data_page_version=version, write_batch_size=per_page, data_page_size=1,
        write_page_checksum=True, row_group_size=64,
    )  # fmt: skip
    (entry,) = write_ranges(tmp_path, NAMES[:1], tmp_path / "ranges")
    assert entry.refused is None
    reader = ShardReader(tmp_path, tmp_path / "ranges")
    images = reader.images([NAMES[0]] * 150, range(150))
    assert all(np.array_equal(image, image_of(0, row)) for row, image in enumerate(images))


def test_a_shard_that_the_index_does_not_know(folder, tmp_path):
    write_ranges(folder, NAMES[:1], tmp_path / "ranges")
    reader = ShardReader(folder, tmp_path / "ranges")
    reader.check({NAMES[1]: 3})
    np.testing.assert_array_equal(reader.images([NAMES[1]], [3])[0], image_of(1, 3))


def test_what_is_no_index(folder, tmp_path):
    (tmp_path / "ranges").write_bytes(b"no index")
    with pytest.raises(StaleIndexError, match="ranges is not a readable index"):
        ShardReader(folder, tmp_path / "ranges").images([NAMES[0]], [0])
    with pa.ipc.new_file(tmp_path / "other", pa.schema([("offset", pa.int64())])):
        pass
    with pytest.raises(StaleIndexError, match="version ''"):
        Ranges(tmp_path / "other").at([0])


@settings(max_examples=200, deadline=None)
@given(data=st.binary(max_size=60))
def test_headers_of_noise_are_refused(data):
    with pytest.raises((ThriftError, NotAddressableError)):
        read_struct(data, 0)
        value_ranges(data, 1)
        raise ThriftError


@pytest.fixture
def remote(folder):
    """The folder in fsspec's memory."""
    memory = importlib.import_module("fsspec").filesystem("memory")
    for name in NAMES:
        memory.pipe(f"/{folder.name}/{name}", (folder / name).read_bytes())
    yield f"fsspec+memory:///{folder.name}", memory
    memory.rm(f"/{folder.name}", recursive=True)


@pytest.mark.parametrize("indexed", [True, False])
def test_an_fsspec_address(folder, remote, ranges, tmp_path, indexed):
    address, memory = remote
    write_ranges(address, NAMES, tmp_path / "ranges")
    assert (tmp_path / "ranges").read_bytes() == ranges.read_bytes()
    reader = ShardReader(address, ranges if indexed else None)
    reader.check({name: rows - 1 for name, rows in zip(NAMES, ROWS, strict=True)})
    chosen = [ALL[place] for place in (200, 3, 77, 149, 3)]
    for image, (shard, row) in zip(reader.images(*zip(*chosen, strict=True)), chosen, strict=True):
        np.testing.assert_array_equal(image, image_of(NAMES.index(shard), row))
    memory.rm(f"/{folder.name}/{NAMES[2]}")
    with pytest.raises(ShardError, match=r"part=2\.parquet is missing"):
        ShardReader(address, ranges).check({NAMES[2]: 0})


def test_messages_hold_no_secrets_of_an_address():
    address = "s3://key:secret@bucket/shards?endpoint_override=localhost:1&scheme=http"
    assert storage.Storage(address).address("part=0.parquet") == "s3://bucket/shards/part=0.parquet"


def test_an_s3_server(folder, ranges, monkeypatch):
    server = pytest.importorskip("moto.server", reason="needs moto[server]")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    thread = server.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    thread.start()
    try:
        host, port = thread.get_host_and_port()
        options = f"endpoint_override={host}:{port}&scheme=http&region=us-east-1"
        boto3 = importlib.import_module("boto3")
        client = boto3.client("s3", endpoint_url=f"http://{host}:{port}", region_name="us-east-1")
        client.create_bucket(Bucket="radscale")
        for name in NAMES:
            client.upload_file(str(folder / name), "radscale", f"shards/{name}")
        reader = ShardReader(f"s3://radscale/shards?{options}", ranges)
        reader.check({name: rows - 1 for name, rows in zip(NAMES, ROWS, strict=True)})
        images = reader.images(*zip(*ALL, strict=True))
        for image, (shard, row) in zip(images, ALL, strict=True):
            np.testing.assert_array_equal(image, image_of(NAMES.index(shard), row))
        with pytest.raises(ShardError, match=r"^s3://radscale/shards/gone is missing"):
            reader.check({"gone": 0})
    finally:
        thread.stop()
