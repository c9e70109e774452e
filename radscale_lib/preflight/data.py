"""Check sizes and labels against the catalog, once there is one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from radscale_lib.preflight.finding import Finding
from radscale_lib.study.model import Study

if TYPE_CHECKING:
    import polars as pl

SCORED = ("train", "validation", "test")


def data_findings(study: Study) -> Iterator[Finding]:
    """Subsets larger than the pool, and labels without positives or negatives in a split."""
    path = study.data_folder("institution") / "catalog.parquet"
    if not path.exists():
        return
    import polars as pl

    from radscale_lib.shards.labels import GROUPS, join_labels, label_files

    try:
        catalog = pl.scan_parquet(path)
        columns = catalog.collect_schema().names()
        images = dict(catalog.group_by("split").len().collect().iter_rows())
    except (pl.exceptions.PolarsError, OSError) as error:
        yield Finding(f"{path}: cannot be read ({type(error).__name__}): remove it, and run again")
        return
    pool, largest = images.get("pool", 0), study.subsets.sizes[-1]
    if study.arms and largest > pool:
        yield Finding(
            f"subsets.sizes: {largest} is above the {pool} images of the pool: lower it, add "
            "files to the archive, or lower the splits"
        )
    folder = study.folder / "labels/held-out"
    if study.labels.readers:
        if not all(file.is_file() for file in label_files(study.labels, folder)):
            return
        catalog = join_labels(
            catalog.select("image_id", "split").collect(), study.labels, folder
        ).lazy()
        columns = catalog.collect_schema().names()
    for name, task in study.evaluation.tasks.items():
        if task.names and task.needs == "labels":
            wanted = task.targets(study.labels)
            labels = [f"{GROUPS[task.names]}:{label}" for label in wanted]
            known = [label for label in labels if label in columns]
            counts = _counts(catalog, known)
            yield from _task_findings(name, counts)


Counts = dict[str, dict[str, tuple[int, int]]]
"""Label column -> split -> numbers of positive and of negative images."""


def _counts(catalog: pl.LazyFrame, labels: list[str]) -> Counts:
    import polars as pl

    table = (
        catalog.filter(pl.col("labelled"))
        .group_by("split")
        .agg(
            *((pl.col(label) == 1).sum().alias(f"+{label}") for label in labels),
            *((pl.col(label).fill_null(0) == 0).sum().alias(f"-{label}") for label in labels),
        )
        .collect()
    )
    rows = {row["split"]: row for row in table.iter_rows(named=True)}
    none = dict.fromkeys((sign + label for label in labels for sign in "+-"), 0)
    return {
        label: {
            split: (rows.get(split, none)[f"+{label}"], rows.get(split, none)[f"-{label}"])
            for split in SCORED
        }
        for label in labels
    }


def _task_findings(task: str, counts: Counts) -> Iterator[Finding]:
    missing = {
        label: lacking
        for label, splits in counts.items()
        if (lacking := [split for split in ("train", "test") if 0 in splits[split]])
    }
    for label, lacking in missing.items():
        told = ", ".join(
            f"{counts[label][split][0]} positive and {counts[label][split][1]} negative images in "
            f"{split}"
            for split in lacking
        )
        yield Finding(
            f"evaluation.tasks.{task}: {label} has {told}: it cannot be scored: name another "
            "label, or raise that split's share",
            stops=False,
        )
    if counts and len(missing) == len(counts):
        yield Finding(
            f"evaluation.tasks.{task}: no label has positive and negative images in both train and "
            "test: raise these splits' shares, or name other labels"
        )
