"""Feature maps kept in a file: what is read is what was made, to half a step."""

import tempfile
from pathlib import Path

import polars as pl
import pytest
import torch

from radscale_lib.provenance.step import InputError
from radscale_lib.tasks import grids
from radscale_lib.tasks.frozen import FrozenEncoder
from radscale_lib.tasks.grids import Grids, decode, encode, record_bytes
from radscale_lib.tasks.images import select
from radscale_lib.tasks.inputs import Inputs


@pytest.fixture(scope="module")
def frozen(files):
    rows = select(pl.read_parquet(files.catalog), "train", 12)
    inputs = Inputs(files.encoder("mi2-open"), Path(), files.catalog, files.shards)
    return FrozenEncoder(inputs, rows, files.study.compute, 5)


@pytest.mark.parametrize("shape", [(3, 5, 7), (4, 1, 1), (6,)])
def test_numbers_come_back_within_half_a_step(shape):
    made = torch.randn(8, *shape, generator=torch.Generator().manual_seed(1)) * 40
    made[0] = 7.5
    raw = encode(made)
    assert raw.shape == (8, record_bytes(shape)) and raw.dtype == torch.uint8
    found = decode(raw, shape)
    cells = made.reshape(8, shape[0], -1)
    half = (cells.amax(2) - cells.amin(2)) / 510
    error = (found - made).abs().reshape(8, shape[0], -1).amax(2)
    assert (error <= half * 1.001 + 1e-5).all()
    assert torch.equal(found[0], made[0])


def test_the_encoder_runs_once_for_each_image(frozen, monkeypatch):
    encoded = []
    features = frozen.features

    def counted(images):
        encoded.extend(images)
        return features(images)

    monkeypatch.setattr(frozen, "features", counted)
    with Grids(frozen, "grids") as kept:
        chosen = torch.tensor([11, 0, 3, 3])
        kept(chosen)
        levels = kept(chosen)
    assert encoded == list(range(12))
    for found, true in zip(levels, features(chosen.tolist()).levels, strict=True):
        spread = (true.amax((2, 3)) - true.amin((2, 3))).amax()
        assert found.shape == true.shape
        assert (found - true).abs().max() <= spread / 500


def test_the_file_has_no_name_and_its_room_is_checked(frozen, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with Grids(frozen, "grids") as kept:
        assert list(tmp_path.iterdir()) == []
        assert len(kept) == 12
    monkeypatch.setattr(grids, "disk_usage", lambda folder: (0, 0, 100))
    with pytest.raises(InputError, match=rf"{tmp_path}: No space left.*GB.*set TMPDIR"):
        Grids(frozen, "grids")
