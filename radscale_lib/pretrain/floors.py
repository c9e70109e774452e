"""Floors as runs: an encoder with random weights, or principal components of the pixels."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import torch
from torch import Tensor

from radscale_lib.encoders.features import Tower
from radscale_lib.encoders.loading import random_weights
from radscale_lib.encoders.pixels import learn
from radscale_lib.encoders.prepare import to_input
from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.encoders.towers import build
from radscale_lib.pretrain.released import write_run
from radscale_lib.pseudonyms import unit_interval
from radscale_lib.shards.reader import ShardReader
from radscale_lib.study.encoders.base import EncoderSection, Four
from radscale_lib.study.floors import Pixels
from radscale_lib.study.model import Study

FILMS = 1000
"""Maximum number of the pool's films from which components are learnt."""
BATCH = 50
SEED = 0
"""Seed of the random weights."""


def write_floor(
    study: Study,
    name: str,
    catalog: Path | None,
    shards: Path | None,
    ranges: Path | None,
    out: Path,
) -> None:
    """Write the run folder of a floor: encoder, card and empty log.

    Args:
        study: the study.
        name: of the floor.
        catalog: `catalog.parquet` of the institution; not needed for random weights.
        shards: folder of its shards; not needed for random weights.
        ranges: their index, if there is one.
        out: folder for the run's files.
    """
    section = study.section_of(name)
    if isinstance(section, Pixels):
        assert catalog is not None and shards is not None
        content = learnt(section, catalog, shards, ranges)
    else:
        content = random_weights(section, SEED)
    write_run(out, content, arm=name, encoder=study.encoder_of(name), status="floor")


def learnt(section: Pixels, catalog: Path, shards: Path, ranges: Path | None) -> EncoderFile:
    """Components of at most `FILMS` films of the pool, the first by keyed hash."""
    like, grids = grids_of(section.like)
    section = section.model_copy(update={"like": like, "grids": grids})
    rows = pl.read_parquet(catalog, columns=["image_id", "split", "shard", "row"])
    pool = rows.filter(pl.col("split") == "pool")
    place = [unit_interval(image, "floor") for image in pool["image_id"]]
    chosen = pool.with_columns(pl.Series("place", place, pl.Float64)).sort("place", "image_id")
    chosen = chosen.head(FILMS)
    reader = ShardReader(shards, ranges)

    def batches() -> Iterator[Tensor]:
        for part in chosen.iter_slices(BATCH):
            stored = reader.images(part["shard"].to_list(), part["row"].to_list())
            yield to_input(stored, section)

    tower = learn(section, batches)
    section = section.model_copy(update={"like": like.model_copy(update={"weights": None})})
    return EncoderFile(section, {f"image.{name}": w for name, w in tower.state_dict().items()})


@torch.no_grad()
def grids_of(section: EncoderSection) -> tuple[EncoderSection, Four]:
    """An encoder's section completed from its library, and the grid sides of its levels."""
    tower: Tower = build(section).eval()
    side = tower.encoder.image_size
    one, two, three, four = (
        level.shape[-1] for level in tower.levels(torch.zeros(1, 1, side, side)).levels
    )
    return tower.encoder, (one, two, three, four)
