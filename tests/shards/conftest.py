"""A folder of small shards, and its index."""

import pytest

from radscale_lib.shards.ranges import write_ranges
from tests.shards.small import NAMES, ROWS, write


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Three shards of different length."""
    folder = tmp_path_factory.mktemp("shards")
    for shard, rows in enumerate(ROWS):
        write(folder / NAMES[shard], shard, rows)
    return folder


@pytest.fixture(scope="session")
def ranges(folder, tmp_path_factory):
    """The index of the folder."""
    path = tmp_path_factory.mktemp("ranges") / "ranges.arrow"
    write_ranges(folder, NAMES, path)
    return path
