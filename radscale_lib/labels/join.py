"""Join the states of all sources into the study's labels: a table for each group of labels."""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from pathlib import Path

import polars as pl

from radscale_lib.labels.agreement import SCHEMA, compare
from radscale_lib.labels.states import ABSENT, MISSING, NOT_MENTIONED, PRESENT, STATES, UNCERTAIN
from radscale_lib.shards.labels import group_columns
from radscale_lib.shards.parquet import write_table
from radscale_lib.study.archive import Labels

FOLDERS = {"pool": ("pool",), "held-out": ("train", "validation", "test")}
"""Folders of the label tables, and the splits whose images are in each."""
COUNTS = pl.Schema(
    {"source": pl.String, "label": pl.String, "state": pl.String, "studies": pl.Int64}
)


class LabelsError(ValueError):
    """Labels that cannot be joined, or may not be used."""


def known_states(
    labels: Labels, catalog: Path, parts: Mapping[str, Sequence[Path]]
) -> dict[str, pl.DataFrame]:
    """The states of each study by source.

    Args:
        labels: the study's labels.
        catalog: `catalog.parquet`.
        parts: parts of what each source read from reports.

    Returns:
        By source: `study_id` and an int8 column for each label, as in `labels.states`. Studies
        about which a source says nothing are left out. If a table has labels for each image, the
        most certain affirmation among a study's images counts.
    """
    found: dict[str, pl.DataFrame] = {}
    for source in labels.sources:
        if source in labels.readers:
            found[source] = pl.concat(
                [_wide(pl.read_parquet(path), labels.columns) for path in parts[source]]
            )
        else:
            images = _table(labels, catalog).filter("labelled")
            kinds = [
                pl.col(name)
                .fill_null(NOT_MENTIONED)
                .sort_by(pl.col(name).replace_strict(_RANKS, default=-1))
                .last()
                for name in labels.columns
            ]
            found[source] = images.group_by("study_id").agg(kinds).sort("study_id")
    return found


_RANKS = {NOT_MENTIONED: 0, ABSENT: 1, UNCERTAIN: 2, PRESENT: 3}


def write_labels(
    labels: Labels,
    catalog: Path,
    parts: Mapping[str, Sequence[Path]],
    out: Path,
    dropped: Collection[str] = (),
) -> None:
    """Write `pool/<group>.parquet` and `held-out/<group>.parquet`: a row for each image.

    A later source fills in what earlier ones do not know; test patients get the labels of
    `labels.test_source`, if there is one.

    Args:
        labels: the study's labels.
        catalog: `catalog.parquet`.
        parts: parts of what each source read from reports.
        out: the folder `labels`.
        dropped: labels for which the first source that reads reports is not used.
    """
    images = _table(labels, catalog)
    states: dict[str, pl.DataFrame] = {}
    for source in labels.sources:
        if source in labels.readers:
            wide = pl.concat(
                [_wide(pl.read_parquet(path), labels.columns) for path in parts[source]]
            ).with_columns(labelled=pl.lit(True))
            table = images.select("study_id").join(
                wide, on="study_id", how="left", maintain_order="left"
            )
            table = table.with_columns(pl.col("labelled").fill_null(False))
            if source == labels.readers[0]:
                table = table.with_columns(
                    pl.lit(MISSING, pl.Int8).alias(name) for name in sorted(dropped)
                )
        else:
            table = images
        states[source] = table
    last = (labels.source, (labels.test_source,) if labels.test_source else labels.source)
    tested = (images["split"] == "test").rename("tested")
    for group, columns in group_columns(labels).items():
        names = getattr(labels, group)
        usual, of_test = (_filled([states[s] for s in order], names, columns) for order in last)
        joined = pl.concat([images.select("image_id", "split"), usual], how="horizontal")
        if labels.test_source:
            others = of_test.select(pl.all().name.suffix(" of test"))
            joined = pl.concat([joined, others, tested.to_frame()], how="horizontal").select(
                "image_id",
                "split",
                *(
                    pl.when("tested").then(f"{name} of test").otherwise(name).alias(name)
                    for name in ("labelled", *columns)
                ),
            )
        for folder, splits in FOLDERS.items():
            if group not in labels.groups_in(folder):
                continue
            kept = joined.filter(pl.col("split").is_in(splits)).drop("split")
            write_table(out / folder / f"{group}.parquet", kept.to_arrow())


def count_states(found: Mapping[str, pl.DataFrame], smallest_cell: int = 1) -> pl.DataFrame:
    """Studies by source, label and state (`COUNTS`).

    Counts below `smallest_cell` are null; if that is a single state, so is the next larger count,
    since the sum would reveal it.
    """
    rows = []
    for source, table in found.items():
        for label in table.columns[1:]:
            known = dict(table[label].value_counts().iter_rows())
            counts = {name: int(known.get(state, 0)) for name, state in STATES.items()}
            hidden = {name for name, count in counts.items() if 0 < count < smallest_cell}
            others = [name for name, count in counts.items() if count and name not in hidden]
            if len(hidden) == 1 and others:
                hidden.add(min(others, key=lambda name: counts[name]))
            rows += [
                (source, label, name, None if name in hidden else count)
                for name, count in counts.items()
            ]
    return pl.DataFrame(rows, schema=COUNTS, orient="row")


def compare_sources(found: Mapping[str, pl.DataFrame], smallest_cell: int = 1) -> pl.DataFrame:
    """Agreement of each pair of sources on each label (`agreement.SCHEMA`); tables are references.

    Uncertain, denied and unmentioned are distinguished as in `agreement.compare`.
    """
    rows = []
    for one, other in combinations(found, 2):
        source, reference = (other, one) if one == "table" else (one, other)
        both = found[source].join(found[reference], on="study_id", suffix=" of reference")
        for label in found[source].columns[1:]:
            pairs = both.select(
                found=pl.col(label), true=pl.col(f"{label} of reference"), weight=pl.lit(1.0)
            ).filter((pl.col("found") != MISSING) & (pl.col("true") != MISSING))
            rows.append(compare(pairs, label, source, reference, smallest_cell))
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def _wide(part: pl.DataFrame, names: Sequence[str]) -> pl.DataFrame:
    """A row for each study in a part read by a source, in order of ids."""
    states = part.select(
        "study_id", "label", pl.col("state").replace_strict(STATES, return_dtype=pl.Int8)
    )
    if states.is_empty():
        return pl.DataFrame(schema={"study_id": pl.String, **dict.fromkeys(names, pl.Int8)})
    wide = states.pivot("label", index="study_id", values="state")
    missing = [name for name in names if name not in wide.columns]
    if missing:
        raise LabelsError(f"labels {missing} were not read: run snakemake again")
    return wide.select("study_id", *names).sort("study_id")


def _table(labels: Labels, catalog: Path) -> pl.DataFrame:
    """Images with the labels of the table, if it is a source, under the labels' own names."""
    own: dict[str, str] = {}
    for group, columns_of in group_columns(labels).items():
        for column, name in zip(columns_of, getattr(labels, group), strict=True):
            if name not in own.values():
                own[column] = name
    columns = ["image_id", "study_id", "split"]
    if "table" not in labels.sources:
        return pl.read_parquet(catalog, columns=columns)
    return pl.read_parquet(catalog, columns=[*columns, "labelled", *own]).rename(own)


def _filled(
    tables: Sequence[pl.DataFrame], names: Sequence[str], columns: Sequence[str]
) -> pl.DataFrame:
    """Each label from the first table that knows it; null if not mentioned."""
    together = pl.concat(
        [
            table.select(
                pl.col("labelled").alias(f"{number} labelled"),
                *(
                    pl.col(name).replace(NOT_MENTIONED, None).alias(f"{number} {name}")
                    for name in names
                ),
            )
            for number, table in enumerate(tables)
        ],
        how="horizontal",
    )
    expressions = []
    for name, column in zip(names, columns, strict=True):
        value: pl.Expr = pl.lit(MISSING, pl.Int8)
        for number in reversed(range(len(tables))):
            said = pl.col(f"{number} {name}")
            known = pl.col(f"{number} labelled") & (said != MISSING).fill_null(True)
            value = pl.when(known).then(said).otherwise(value)
        expressions.append(value.cast(pl.Int8).alias(column))
    labelled = pl.any_horizontal(f"{number} labelled" for number in range(len(tables)))
    return together.select(labelled.alias("labelled"), *expressions)
