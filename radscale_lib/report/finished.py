"""Read a finished study's settings and tables from its folder of results."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from radscale_lib.provenance.manifest import path_of, read_manifest
from radscale_lib.provenance.settings import FOLDER, read_settings
from radscale_lib.report.figures import Tables
from radscale_lib.report.figures.training import read_logs
from radscale_lib.report.schema import FILMS_SCHEMA
from radscale_lib.study import Study, StudyError
from radscale_lib.tasks.draws import read_scores


def settings_of(results: Path, stage: str = "figures") -> Study:
    """The settings with which a stage of a study ran.

    Args:
        results: the study's folder, such as `results/demo`.
        stage: the last stage that must have run.

    Raises:
        StudyError: if the folder does not record them.
    """
    manifest = read_manifest(path_of(results, stage))
    if manifest is None:
        raise StudyError(
            f"{results}: not the folder of a finished study (provenance/{stage}.json is missing): "
            "give the folder that has scores.parquet, or --study"
        )
    return read_settings(results / FOLDER / f"{manifest.settings}.json")


def tables_of(results: Path) -> Tables:
    """The tables from which figures are drawn.

    Args:
        results: the study's folder.

    Raises:
        StudyError: if a table is missing.
    """
    names = ("scores", "fits", "crossovers", "comparisons", "verdicts")
    missing = [name for name in names if not (results / f"{name}.parquet").exists()]
    if missing:
        raise StudyError(f"{results}: {missing[0]}.parquet is missing: finish the study first")

    def found(name: str) -> pl.DataFrame | None:
        path = results / f"{name}.parquet"
        return pl.read_parquet(path) if path.exists() else None

    return replace(
        judged_tables(results),
        subsets=found("subsets/card"),
        similarity=[pl.read_parquet(path) for path in sorted(results.glob("similarity/*.parquet"))],
        checkpoints=found("checkpoints"),
        training=read_logs(sorted(results.glob("encoders/*/*/*/log.parquet"))),
        elsewhere=tables_elsewhere(results / "test_archives"),
        reliability=found("reliability"),
        label_fits=found("label_fits"),
        films=[
            pl.read_parquet(path)
            for path in sorted(results.glob("examples/*.parquet"))
            if is_films(path)
        ],
        tips=together(sorted(results.glob("tips/*.parquet"))),
    )


def judged_tables(folder: Path) -> Tables:
    """The scores in a folder with their draws, and the tables of fits and verdicts."""
    fits, crossovers, comparisons, verdicts = (
        pl.read_parquet(folder / f"{name}.parquet")
        for name in ("fits", "crossovers", "comparisons", "verdicts")
    )
    scores = read_scores(folder / "scores.parquet")
    return Tables(scores, fits, crossovers, comparisons, verdicts)


def tables_elsewhere(folder: Path) -> dict[str, Tables]:
    """The tables of each test archive whose folder has them, by name."""
    found = sorted(path.parent for path in folder.glob("*/verdicts.parquet"))
    return {path.name: judged_tables(path) for path in found}


def is_films(path: Path) -> bool:
    """Whether a table of examples is of films with masks."""
    return pl.read_parquet_schema(path) == FILMS_SCHEMA


def together(paths: Sequence[Path]) -> pl.DataFrame | None:
    """The rows of all tables as one table; None without tables."""
    return pl.concat([pl.read_parquet(path) for path in paths]) if paths else None


def of_arms(study: Study, tables: Tables, arms: Collection[str]) -> tuple[Study, Tables]:
    """A study and its tables with some of its arms only.

    Raises:
        StudyError: for an arm that is not in the study.
    """
    unknown = sorted(set(arms) - set(study.arms))
    if unknown:
        raise StudyError(f"no arm {', '.join(unknown)}: use {', '.join(study.arms)}")
    left_out = sorted(set(study.arms) - set(arms))

    def kept(table: pl.DataFrame) -> pl.DataFrame:
        for name in {"arm", "other"} & set(table.columns):
            table = table.filter(~pl.col(name).is_in(left_out) | pl.col(name).is_null())
        return table

    def known(table: pl.DataFrame | None) -> pl.DataFrame | None:
        return None if table is None else kept(table)

    shown = {name: arm for name, arm in study.arms.items() if name in arms}
    names = ("scores", "fits", "crossovers", "comparisons", "verdicts")
    some = replace(
        tables,
        **{name: kept(getattr(tables, name)) for name in names},
        similarity=[table for table in map(kept, tables.similarity) if len(table)],
        elsewhere={
            archive: of_arms(study, theirs, arms)[1] for archive, theirs in tables.elsewhere.items()
        },
        films=[table for table in map(kept, tables.films) if len(table)],
        tips=known(tables.tips),
        reliability=known(tables.reliability),
        label_fits=known(tables.label_fits),
    )
    return study.model_copy(update={"arms": shown}), some
