"""Floors as runs of a study."""

from pathlib import Path

import pytest
import torch

from radscale_lib.encoders.storage import load_tower
from radscale_lib.files import read_json
from scripts import floor
from tests.pretrain.archive import Archive


def made(archive: Archive, name: str, out: Path, *films: object) -> Path:
    argv = ["--study", archive.study_file, "--arm", name, "--out", out, *films]
    floor.main([str(each) for each in argv])
    return out / "encoder.safetensors"


@pytest.mark.parametrize("encoder", ["mi2", "rad-dino"])
def test_an_encoder_has_two_floors(archive: Archive, encoder: str, tmp_path: Path) -> None:
    films = ("--catalog", archive.catalog, "--shards", archive.shards, "--ranges", archive.ranges)
    section = archive.study.encoders[encoder]
    sides = []
    for kind, given in (("random", ()), ("pixels", films)):
        name = f"{encoder}-{kind}"
        path = made(archive, name, tmp_path / kind, *given)
        card = read_json(path.with_name("encoder.json"))
        assert (card["arm"], card["encoder"], card["status"]) == (name, encoder, "floor")
        tower = load_tower(path)
        assert tower.encoder.place(90, 60) == section.place(90, 60)
        features = tower.levels(torch.rand(2, 1, 32, 32))
        assert all(part.isfinite().all() for part in (*features.levels, features.global_))
        sides.append([level.shape[-1] for level in features.levels])
        again = made(archive, name, tmp_path / "again" / kind, *given)
        assert again.read_bytes() == path.read_bytes()
    assert sides[0] == sides[1]
