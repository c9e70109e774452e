"""What the report says about test archives."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from radscale_lib.report.words import interval, metric_name, task_title
from radscale_lib.study import Study
from radscale_lib.tasks.draws import read_scores

ELSEWHERE = ("scores", "fits", "crossovers", "verdicts", "differences", "subgroups")
"""Tables of a test archive that the report reads."""
CLAIMS = {
    "rises": "rises with the number of images",
    "overtakes": "ahead of the open weights at the largest size",
}
"""Kinds of claims on an arm that are checked on test archives, in words."""


def read_elsewhere(study: Study, folder: Path) -> dict[str, dict[str, pl.DataFrame]]:
    """The tables of each test archive by name, scores with their draws.

    Args:
        study: names the archives.
        folder: `test_archives` of its results.
    """
    return {
        archive: {
            "scores": read_scores(folder / archive / "scores.parquet"),
            **{
                name: pl.read_parquet(folder / archive / f"{name}.parquet")
                for name in ELSEWHERE[1:]
            },
        }
        for archive in study.test_archives
    }


def replicated(
    study: Study, verdicts: pl.DataFrame, elsewhere: Mapping[str, Mapping[str, pl.DataFrame]]
) -> list[dict[str, Any]]:
    """By task, whether the claims on an arm at the institution also hold on test archives.

    Args:
        study: names arms, tasks and archives.
        verdicts: of the institution.
        elsewhere: from `read_elsewhere`.

    Returns:
        Rows for an arm and a claim (`CLAIMS`) with a cell for the institution and for each archive:
        verdict, and value with its interval.
    """
    places = [verdicts, *(tables["verdicts"] for tables in elsewhere.values())]
    tasks: list[dict[str, Any]] = []
    for task in study.scaling.metrics:
        rows: list[dict[str, Any]] = [
            {"arm": arm, "claim": words, "cells": [_cell(of, kind, arm, task) for of in places]}
            for arm in study.arms
            for kind, words in CLAIMS.items()
        ]
        if any(cell["verdict"] for row in rows for cell in row["cells"][1:]):
            title = f"{task_title(study, task)}, {metric_name(study, task)}"
            tasks.append({"title": title, "rows": rows})
    return tasks


def _cell(verdicts: pl.DataFrame, kind: str, arm: str, task: str) -> dict[str, str]:
    found = verdicts.filter(kind=kind, target="macro", arm=arm, task=task).rows(named=True)
    if not found:
        return {"verdict": "", "value": ""}
    row = found[0]
    value = interval(row["value"], row["lower"], row["upper"], sign=True)
    return {"verdict": row["verdict"], "value": value}
