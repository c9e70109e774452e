"""A small catalog, and what two sources read of it."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import polars as pl
import pytest

from radscale_lib.labels.reports import Labelled, Report, write_readings
from radscale_lib.labels.states import NAMES, STATES, Reading
from radscale_lib.study.archive import Labels

SPLITS = ("pool", "train", "validation", "test")


def study_id(number: int) -> str:
    return f"{number:032x}"


class Archive(NamedTuple):
    """A catalog of 40 images of 20 studies, two each, and a folder for parts."""

    catalog: Path
    folder: Path

    def parts(self, source: str, states: dict[int, dict[str, str]]) -> list[Path]:
        """What a source read: state of each label by the study's number."""
        path = self.folder / source / "part=0.parquet"
        labels = list(next(iter(states.values())))
        reports = [Report(study_id(number), "text", "") for number in sorted(states)]
        readings = [
            [Labelled(None, Reading(STATES[states[number][label]])) for label in labels]
            for number in sorted(states)
        ]
        write_readings(path, source, labels, reports, readings)
        return [path]


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    images = range(40)
    table = {
        "image_id": [f"{number:032x}" for number in images],
        "study_id": [study_id(number // 2) for number in images],
        "split": [SPLITS[number // 2 % 4] for number in images],
        "findings": [f"Report {number // 2}." for number in images],
        "impression": [None if number // 2 % 3 else "Short." for number in images],
        "labelled": [number // 2 < 10 for number in images],
        "finding:effusion": [1 if number % 4 < 2 else None for number in images],
        "finding:nodule": [0] * 40,
        "tube:ett": [-1] * 40,
    }
    schema = {name: pl.Int8 for name in table if ":" in name}
    pl.DataFrame(table, schema_overrides=schema).write_parquet(tmp_path / "catalog.parquet")
    return Archive(tmp_path / "catalog.parquet", tmp_path / "labels")


@pytest.fixture
def labels() -> Callable[..., Labels]:
    def make(**more: object) -> Labels:
        return Labels(findings=("effusion", "nodule"), tubes=("ett",), **more)  # type: ignore[arg-type]

    return make


@pytest.fixture
def said() -> Callable[[str, str, str], dict[str, str]]:
    """States by the names of the small catalog's labels."""

    def make(effusion: str, nodule: str = "absent", ett: str = "not_mentioned") -> dict[str, str]:
        assert {effusion, nodule, ett} <= set(NAMES.values())
        return {"effusion": effusion, "nodule": nodule, "ett": ett}

    return make
