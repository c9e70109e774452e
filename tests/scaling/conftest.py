"""Scores of a study with known laws: three arms, five sizes, two seeds, four tasks."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from radscale_lib.scaling.simulate import power_truth, simulate_scores
from radscale_lib.scaling.tables import Tables, fit_study
from radscale_lib.study import Run, Study, parse_study

SIZES = (50, 100, 200, 400, 1200)
LAWS = {
    "mi2-reports": (0.9, 0.30, 0.0),
    "mi2-reports-labels": (1.1, 0.45, 0.06),
    "rad-dino": (0.3, 0.0, 0.0),
}
BASELINES = {"mi2-open": 0.2, "rad-dino-open": 0.3}


def study_values() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(Path("config/config.yaml").read_text())
    values["subsets"]["sizes"] = list(SIZES)
    for arm in values["arms"].values():
        arm["seeds"] = [0, 1]
    return values


@pytest.fixture(scope="session")
def study() -> Study:
    return parse_study(study_values())


@pytest.fixture(scope="session")
def simulate(study: Study) -> Callable[..., pl.DataFrame]:
    """Scores of the study, or a part of it, under other laws and baselines."""

    def scores(
        laws: dict[str, tuple[float, float, float]] = LAWS,
        baselines: dict[str, float] = BASELINES,
        of: Study = study,
        **options: Any,
    ) -> pl.DataFrame:
        return simulate_scores(of, power_truth(laws, baselines), **{"seed": 5} | options)

    return scores


@pytest.fixture(scope="session")
def scores(simulate: Callable[..., pl.DataFrame]) -> pl.DataFrame:
    return simulate()


@pytest.fixture
def missing() -> Run:
    return Run("mi2-reports", 400, 1)


@pytest.fixture(scope="session")
def tables(study: Study, scores: pl.DataFrame) -> Tables:
    return fit_study(study, scores)


@pytest.fixture(scope="session")
def findings(scores: pl.DataFrame) -> pl.DataFrame:
    """One task without its labels."""
    return scores.filter((pl.col("target") == "macro") & (pl.col("task") == "findings"))


@pytest.fixture(scope="session")
def small() -> Study:
    """The study with that task alone."""
    return parse_study(small_values())


def small_values() -> dict[str, Any]:
    values = study_values()
    values["evaluation"]["tasks"] = {"findings": values["evaluation"]["tasks"]["findings"]}
    values["scaling"]["metrics"] = {"findings": "auroc"}
    return values
