"""Features in memory: each image's own, encoded in batches of the catalog's order."""

import numpy as np
import polars as pl

from radscale_lib.tasks.memory import Memory


def test_each_image_has_its_own_features_whoever_asks_first(tmp_path):
    splits = ["train", "pool", "test", "validation", "test", "pool", "train"]
    catalog = pl.DataFrame({"split": splits}).with_columns(
        pl.lit("a").alias("shard"), row=pl.Series(range(10, 17))
    )
    catalog.write_parquet(tmp_path / "catalog.parquet")
    asked = []

    def encode(rows):
        asked.append(rows["row"].to_list())
        values = rows["row"].to_numpy().astype(np.float16)
        return [values[:, None], values[:, None, None, None] + np.zeros((1, 2, 3, 3), np.float16)]

    memory = Memory(tmp_path / "catalog.parquet", 2)
    for wanted in ([16], [14, 16, 14], [10, 12], [13, 10]):
        rows = pl.DataFrame({"shard": ["a"] * len(wanted), "row": wanted})
        global_, level = memory(rows, encode)
        assert global_[:, 0].tolist() == wanted
        assert level.shape == (len(wanted), 2, 3, 3) and (level[:, 1, 2, 0] == wanted).all()
    assert asked == [[16], [13, 14], [10, 12]]
    assert memory.fits(1e6) and not memory.fits(1e9)
