"""The table of a run: a row per image that it learns from, in the subset's order.

It is an uncompressed Arrow file that every process of a run maps into memory, so that each machine
holds a table of millions of reports only once.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.ipc
from numpy.typing import NDArray

from radscale_lib.digests import text_number
from radscale_lib.files import atomic_write
from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.shards.labels import read_with_labels, targets
from radscale_lib.shards.schema import label_columns, other_columns
from radscale_lib.study.archive import Labels

if TYPE_CHECKING:
    import polars as pl

COLUMNS = (
    "shard",
    "row",
    "height",
    "width",
    "patient_id",
    "study_id",
    "view",
    "findings",
    "impression",
    "labelled",
)


class NothingToLearnError(PretrainError):
    """No image of the subset has the reports or labels that the arm learns from."""


Teaches = Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.bool_]]
"""Which images have labels to learn from [N], given the study's labels [N, L] and others [N, M]."""


def known_labels(states: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Images for which at least one label of the study is known: bool [N]."""
    return np.asarray((~np.isnan(states)).any(axis=1))


def write_rows(
    path: Path,
    catalog: Path,
    subset: Path | None,
    labels: Labels,
    supervision: Sequence[str],
    teaches: Teaches = known_labels,
    label_tables: Path | None = None,
) -> dict[str, int]:
    """Write the table of a run.

    Args:
        path: Arrow file to write.
        catalog: `catalog.parquet` of the archive.
        subset: `n=N.parquet`; None takes every image of the catalog.
        labels: the study's labels.
        supervision: `reports`, `labels`, both, or nothing for images alone. Images with none of
            these are left out. The table has labels only if they are named.
        teaches: which images have labels to learn from.
        label_tables: folder of the label tables; None: labels are in the catalog.

    Returns:
        Number of images left out, by reason.

    Raises:
        NothingToLearnError: if no row remains.
    """
    import polars as pl

    columns = ["image_id", *COLUMNS]
    if "labels" in supervision:
        columns += [*label_columns(labels), *other_columns(labels)]
    table = read_with_labels(catalog, columns, labels, label_tables)
    if subset is not None:
        order = pl.read_parquet(subset, columns=["image_id"])
        table = order.join(table, on="image_id", how="left", maintain_order="left")
        missing = table["shard"].null_count()
        if missing:
            raise NothingToLearnError(
                f"{subset}: {missing} images are not in {catalog}: draw the subset again"
            )
    lacking = _lacking(table, labels, supervision, teaches)
    kept = table.filter(lacking == "")
    left_out = dict(sorted(lacking.filter(lacking != "").value_counts().iter_rows()))
    if kept.is_empty():
        reasons = "; ".join(left_out)
        raise NothingToLearnError(
            f"{subset or catalog}: none of {len(table)} images has {' or '.join(supervision)} to "
            f"learn from ({reasons}); labels.uncertain and labels.blank say which labels count"
        )
    # Training reads running text; only the label rules need line ends.
    running = pl.col("findings", "impression").str.replace_all("\n", " ", literal=True)
    keys = pl.Series("key", [text_number(name) for name in kept["image_id"]], pl.UInt64)
    with atomic_write(path) as partial:
        kept.with_columns(keys, running).drop("image_id").write_ipc(
            partial, compression="uncompressed"
        )
    return left_out


def _lacking(
    table: "pl.DataFrame", labels: Labels, supervision: Sequence[str], teaches: Teaches
) -> "pl.Series":
    """The reason why each image is left out; empty for those that are kept."""
    import polars as pl

    reasons, kept = [], pl.repeat(not supervision, len(table), eager=True)
    if "reports" in supervision:
        texts = [table[name].fill_null("") != "" for name in ("findings", "impression")]
        kept |= texts[0] | texts[1]
        reasons.append(pl.repeat("without report", len(table), eager=True))
    if "labels" in supervision:
        states, others = (
            targets(table, names, labels)
            for names in (label_columns(labels), other_columns(labels))
        )
        kept |= table["labelled"] & pl.Series(teaches(states, others))
        label = pl.when(table["labelled"]).then(pl.lit("labels say nothing"))
        reasons.append(pl.select(label.otherwise(pl.lit("without labels"))).to_series())
    said = pl.select(pl.concat_str(reasons, separator=", ") if reasons else pl.lit("")).to_series()
    return pl.select(pl.when(kept).then(pl.lit("")).otherwise(said)).to_series()


class Rows:
    """The table of a run, which each process opens for itself."""

    def __init__(self, path: Path, labels: Labels) -> None:
        """Read the table at `path`."""
        self.path = path
        self.labels = labels

    def __getstate__(self) -> dict[str, Any]:
        """Each process maps the file itself."""
        return {"path": self.path, "labels": self.labels}

    def __len__(self) -> int:
        return int(self._table.num_rows)

    @cached_property
    def _table(self) -> pa.Table:
        with pa.memory_map(str(self.path)) as source:
            table = pa.ipc.open_file(source).read_all()
        return table

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {
            name: self._table[name][index].as_py()
            for name in ("view", "findings", "impression", "labelled")
        }

    def places(self, indices: Sequence[int]) -> tuple[list[str], list[int]]:
        """Shards and shard rows of the given images."""
        shards, rows = self._table["shard"], self._table["row"]
        return [shards[i].as_py() for i in indices], [rows[i].as_py() for i in indices]

    def key(self, index: int) -> int:
        """The number of the image's id (`text_number`), which keys its augmentation."""
        key: int = self._table["key"][index].as_py()
        return key

    @property
    def last_rows(self) -> dict[str, int]:
        """The last row needed of each shard, in order of shard names."""
        last = self._table.group_by("shard").aggregate([("row", "max")])
        pairs = zip(last["shard"].to_pylist(), last["row_max"].to_pylist(), strict=True)
        return dict(sorted(pairs))

    @property
    def pixels(self) -> int:
        """Number of pixels of all images together."""
        height, width = (
            self._table[name].to_numpy().astype(np.int64) for name in ("height", "width")
        )
        return int((height * width).sum())

    @property
    def study(self) -> NDArray[np.int64]:
        """Number of each image's study, int64 [N]."""
        return self._numbers("study_id")

    @property
    def patient(self) -> NDArray[np.int64]:
        """Number of each image's patient, int64 [N]."""
        return self._numbers("patient_id")

    def _numbers(self, column: str) -> NDArray[np.int64]:
        codes = self._table[column].combine_chunks().dictionary_encode()
        if isinstance(codes, pa.ChunkedArray):
            codes = codes.combine_chunks()
        numbers: NDArray[np.int64] = codes.indices.to_numpy().astype(np.int64)
        return numbers

    @property
    def targets(self) -> NDArray[np.float32]:
        """Labels under the study's policy [N, L]: 1, 0, or NaN if unknown."""
        return self._targets(label_columns(self.labels))

    @property
    def other_targets(self) -> NDArray[np.float32]:
        """The same for labels outside the study's list [N, M]."""
        return self._targets(other_columns(self.labels))

    def _targets(self, names: list[str]) -> NDArray[np.float32]:
        import polars as pl

        if not set(names) <= set(self._table.column_names):  # not read: nothing learns from them
            return np.full((len(self), len(names)), np.nan, np.float32)
        table = pl.DataFrame(pl.from_arrow(self._table.select(["labelled", *names])))
        return targets(table, names, self.labels)
