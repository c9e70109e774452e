"""The loader: the same samples for any number of workers, exact resume, and damaged images."""

import pickle
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from radscale_lib.digests import text_number
from radscale_lib.files import read_json
from radscale_lib.pretrain.data import ImageSource, Share, damaged_images
from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.rows import Rows, write_rows
from radscale_lib.pretrain.run import pretrain
from radscale_lib.pretrain.sampler import samples
from radscale_lib.shards.errors import DamagedImageError, ShardError
from radscale_lib.shards.reader import ShardReader
from radscale_lib.study import parse_study
from tests.pretrain.archive import Archive
from tests.pretrain.runs import batches_of, job


@pytest.fixture
def rows(archive: Archive, tmp_path: Path) -> Rows:
    """The table of a run over the whole archive."""
    write_rows(tmp_path / "rows.arrow", archive.catalog, None, archive.study.labels, ())
    return Rows(tmp_path / "rows.arrow", archive.study.labels)


def source_of(archive: Archive, rows: Rows, **options: object) -> ImageSource:
    return ImageSource(rows, archive.shards, archive.ranges, resident_pixels=0, **options)  # type: ignore[arg-type]


class Keys(Dataset[torch.Tensor]):
    """Item `step`: epoch, row and a pixel sum of each image of a step."""

    def __init__(self, source: ImageSource, share: Share) -> None:
        self.source, self.share = source, share

    def __getitem__(self, step: int) -> torch.Tensor:
        images = self.source.step(self.share, step)
        return torch.tensor([[i.epoch, i.table_row, int(i.pixels.sum())] for i in images])


def test_the_order_is_that_of_any_number_of_workers_and_resumes_anywhere(
    archive: Archive, rows: Rows
) -> None:
    """60 images in batches of 8: 20 steps cross epochs in mid-batch."""
    data = Keys(source_of(archive, rows), Share(5, 8, len(rows)))
    whole = torch.stack([data[step] for step in range(20)])
    expected = samples(5, len(rows), 0, 160)
    assert whole[..., :2].reshape(-1, 2).tolist() == [list(sample) for sample in expected]
    for workers, start in ((0, 7), (2, 0), (3, 11)):
        loader = DataLoader(
            data, batch_size=None, sampler=range(start, 20), num_workers=workers,
            multiprocessing_context="fork" if workers else None,
        )  # fmt: skip
        assert torch.equal(torch.stack(list(loader)), whole[start:])


def test_images_are_those_of_the_table(archive: Archive, rows: Rows) -> None:
    share = Share(0, 10, len(rows))
    direct = source_of(archive, rows).step(share, 3)
    resident = ImageSource(rows, archive.shards).step(share, 3)
    by_group = ImageSource(rows, archive.shards, resident_pixels=0).step(share, 3)
    for images in zip(direct, resident, by_group, strict=True):
        row = images[0].table_row
        shard, place = rows.places([row])
        (stored,) = ShardReader(archive.shards).images(shard, place)
        assert len({(image.epoch, image.table_row, image.key) for image in images}) == 1
        assert images[0].key == text_number(f"{row:032x}")
        for image in images:
            np.testing.assert_array_equal(image.pixels, stored)


def test_the_next_step_is_fetched_ahead(
    archive: Archive, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And once: a step that was asked for is not asked for again."""
    asked: list[list[int]] = []
    request = ShardReader.request
    monkeypatch.setattr(
        ShardReader,
        "request",
        lambda self, shards, rows: asked.append(list(rows)) or request(self, shards, rows),
    )
    share = Share(0, 4, len(rows))
    source = source_of(archive, rows)
    source.step(share, 2)
    source.step(share, 3)
    steps = [[image for _, image in share.of_step(step)] for step in (2, 3, 4)]
    assert asked == [rows.places(step)[1] for step in steps]


def damage(archive: Archive, folder: Path, *images: int) -> Archive:
    """A copy of the archive in which a byte of some images is flipped."""
    shutil.copytree(archive.shards, folder / "shards")
    for image in images:
        name, row = f"part={image % 2}.parquet", image // 2
        (data,) = ShardReader(archive.shards).encoded([name], [row])
        path = folder / "shards" / name
        content = bytearray(path.read_bytes())
        content[content.index(data) + len(data) // 2] ^= 1
        path.write_bytes(content)
    return replace(archive, shards=folder / "shards")


@pytest.mark.parametrize("resident", [0, 10**9])
def test_damage_stops_or_is_skipped_and_counted(
    archive: Archive, rows: Rows, tmp_path: Path, resident: int
) -> None:
    """Image 3 and its stand-in (33) are damaged; 34 stands in for both."""
    hurt = damage(archive, tmp_path, 3, 33)
    share = Share(0, 60, len(rows))
    options = {"ranges": archive.ranges, "resident_pixels": resident}
    with pytest.raises(DamagedImageError, match=r"part=1\.parquet: row (1|16) is damaged"):
        ImageSource(rows, hurt.shards, **options).step(share, 0)
    listed = tmp_path / "damaged.tsv"
    source = ImageSource(rows, hurt.shards, damaged=listed, **options)
    drawn = [image.table_row for image in source.step(share, 0)]
    source.step(share, 1)
    sound = [image for _, image in share.of_step(0)]
    assert drawn == [{3: 34, 33: 4}.get(image, image) for image in sound]
    assert set(listed.read_text().splitlines()) == {"part=1.parquet\t1", "part=1.parquet\t16"}
    assert damaged_images(listed) == 2
    assert damaged_images(tmp_path / "none") == 0


def test_nothing_but_damage(archive: Archive, rows: Rows, tmp_path: Path) -> None:
    hurt = damage(archive, tmp_path, *range(60))
    source = ImageSource(rows, hurt.shards, archive.ranges, tmp_path / "damaged.tsv")
    with pytest.raises(PretrainError, match="all 60 images are damaged"):
        source.step(Share(0, 4, len(rows)), 0)


def test_an_error_of_a_worker_keeps_its_kind(archive: Archive, rows: Rows, tmp_path: Path) -> None:
    hurt = damage(archive, tmp_path, 3)
    data = Keys(ImageSource(rows, hurt.shards, archive.ranges, resident_pixels=0), Share(0, 60, 60))
    loader = DataLoader(data, batch_size=None, num_workers=1, sampler=range(1),
                        multiprocessing_context="fork")  # fmt: skip
    with pytest.raises(DamagedImageError, match="row 1 is damaged"):
        list(loader)


def test_a_run_over_damage(archive: Archive, tmp_path: Path) -> None:
    """It stops by default, with the image's name; or goes on, and its card counts."""
    hurt = damage(archive, tmp_path, *range(0, 60, 2))
    made = job(hurt, "rad-dino-open", work=tmp_path / "work")
    with pytest.raises(DamagedImageError, match="is damaged"):
        pretrain(made, tmp_path / "out", 1)
    values = archive.study.model_dump(mode="json") | {"compute": {"damaged_images": "skip"}}
    pretrain(replace(made, study=parse_study(values)), tmp_path / "out", 1)
    card = read_json(tmp_path / "out" / "encoder.json")
    assert (card["status"], card["damaged_images"]) == ("ok", 30)


def test_missing_shards_stop_a_run_before_its_first_step(archive: Archive, tmp_path: Path) -> None:
    made = job(archive, "rad-dino")
    gone = replace(made, shards=tmp_path / "nowhere")
    with pytest.raises(ShardError, match=r"part=0\.parquet is missing.*\n.*part=1\.parquet"):
        batches_of(gone, tmp_path / "run")


def test_the_source_is_small_for_workers(archive: Archive, rows: Rows) -> None:
    """Workers get paths, not tables or open files."""
    source = source_of(archive, rows)
    source.step(Share(0, 4, len(rows)), 0)
    assert len(pickle.dumps(source)) < 2000
