"""An archive's shards as a PyTorch dataset."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from radscale_lib.api.results import StudyResults
from radscale_lib.shards.reader import ShardReader


class ShardDataset(Dataset[dict[str, Any]]):
    """Images of an archive, one item each: `image`, and columns of the catalog.

    A loader may read it with several workers. The images of a batch are requested together.

    Attributes:
        rows: the catalog's rows, in the order of the items.

    Example:
        >>> import radscale_lib
        >>> from torch.utils.data import DataLoader
        >>> study = radscale_lib.open_study("study.yaml")
        >>> tower = radscale_lib.load_encoder(study.encoder("rad-dino", size=16))
        >>> films = radscale_lib.ShardDataset(
        ...     study, split="test", columns=["finding:effusion"],
        ...     transform=lambda film: tower.prepare([film])[0],
        ... )
        >>> batch = next(iter(DataLoader(films, batch_size=4)))
        >>> batch["image"].shape, batch["finding:effusion"].shape
        (torch.Size([4, 1, 32, 32]), torch.Size([4]))
    """

    def __init__(
        self,
        study: StudyResults,
        archive: str = "institution",
        split: str | None = None,
        columns: Sequence[str] = ("image_id",),
        rows: pl.DataFrame | None = None,
        transform: Callable[[NDArray[np.uint8]], Any] | None = None,
    ) -> None:
        """Open the shards of an archive.

        Args:
            study: of `open_study`.
            archive: `institution` or `public`.
            split: `pool`, `train`, `validation` or `test`; None: all images.
            columns: columns of the catalog to put in the items; missing numbers are NaN, other
                missing values None.
            rows: rows of the catalog, such as those with a report; None: all of it.
            transform: applied to each film, uint8 [H, W]; None: a tensor uint8 [1, H, W]. Films
                differ in size, so batches need a transform to a common size.

        Raises:
            KeyError: if the archive is not ingested, or the catalog has no such column.
            ShardError: if a shard is missing, truncated, or not the catalog's.
        """
        catalog = study.table(f"{archive}/catalog") if rows is None else rows
        self.rows = catalog if split is None else catalog.filter(pl.col("split") == split)
        if absent := [name for name in columns if name not in self.rows.columns]:
            raise KeyError(f"{absent[0]}: no column of the catalog: use some of "
                           f"{', '.join(self.rows.columns)}")  # fmt: skip
        self._columns = {name: self._values(name) for name in columns}
        # Lists, since polars must not be used in a loader's forked workers.
        self._places = self.rows["shard"].to_list(), self.rows["row"].to_list()
        self._transform = transform
        folder = study.data_folder(archive)
        ranges = study.folder / "data" / archive / "ranges.arrow"
        self._reader = ShardReader(folder / "shards", ranges if ranges.is_file() else None)
        last = self.rows.group_by("shard").agg(pl.col("row").max())
        self._reader.check(dict(last.iter_rows()))

    def __len__(self) -> int:
        """Number of images."""
        return len(self._places[0])

    def __getitem__(self, index: int) -> dict[str, Any]:
        """One item.

        Raises:
            IndexError: if the index is out of range.
            DamagedImageError: naming its shard and row.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(index)
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """Several items; PyTorch loaders fetch batches this way."""
        shards, rows = ([column[index] for index in indices] for column in self._places)
        films = self._reader.images(shards, rows)
        transform = self._transform or (lambda film: torch.from_numpy(film.copy()).unsqueeze(0))
        return [
            {"image": transform(film)}
            | {name: values[index] for name, values in self._columns.items()}
            for index, film in zip(indices, films, strict=True)
        ]

    def _values(self, name: str) -> list[Any]:
        column = self.rows[name]
        if column.dtype.is_numeric():
            column = column.cast(pl.Float32).fill_null(float("nan"))
        return column.to_list()
