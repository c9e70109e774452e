"""A study with a baseline and floors beside its arm, and one of baselines alone, to the report.

Each is a change of the finished tiny study, whose archive stays.
"""

import shutil
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from tests.workflow.checkout import ROOT, TINY, Checkout

VIT = {"kind": "timm", "name": "test_vit", "random": 0, "resolution": 32}


def changed(finished: Checkout, folder: Path, change: dict[str, Any], *removed: str) -> Checkout:
    """A copy of the finished tiny study, its study file changed."""
    values = yaml.safe_load((ROOT / TINY).read_text()) | change
    for key in removed:
        del values[key]
    checkout = finished.copy(folder / "checkout")
    checkout.study_file.write_text(yaml.safe_dump(values, sort_keys=False))
    return checkout


@pytest.mark.slow
def test_baselines_alone_are_evaluated(finished_tiny: Checkout, tmp_path: Path) -> None:
    change = {"encoders": {"vit": VIT}, "baselines": {"a-vit": {"encoder": "vit"}}}
    checkout = changed(finished_tiny, tmp_path, change, "arms", "bases", "public", "subsets")
    shutil.rmtree(checkout.results / "subsets")
    checkout.snakemake()
    report = (checkout.results / "report.html").read_text()
    scores = pl.read_parquet(checkout.results / "scores.parquet")
    assert set(scores.select("arm", "task").iter_rows()) == {
        ("a-vit", "findings"),
        ("a-vit", "segmentation"),
    }
    assert "No encoder was trained here." in report and "random weights" in report
    assert not list((checkout.results / "subsets").iterdir())


@pytest.mark.slow
def test_floors_and_baselines_stand_beside_an_arm(finished_tiny: Checkout, tmp_path: Path) -> None:
    """They are added to a finished study: its own encoders stay."""
    values = yaml.safe_load((ROOT / TINY).read_text())
    change = {
        "encoders": values["encoders"] | {"vit": VIT},
        "baselines": {"a-vit": {"encoder": "vit"}},
        "arms": {"rad-dino": values["arms"]["rad-dino"]},
        "evaluation": values["evaluation"] | {"floors": True},
    }
    checkout = changed(finished_tiny, tmp_path, change)
    assert "pretrain_arm" not in {job["rule"] for job in checkout.plan()}
    checkout.snakemake()
    report = (checkout.results / "report.html").read_text()
    scores = pl.read_parquet(checkout.results / "scores.parquet")
    assert set(scores["arm"]) == {
        *("rad-dino", "rad-dino-open", "a-vit", "mi2-open"),  # a base is evaluated as it is
        *("rad-dino-random", "rad-dino-pixels", "mi2-random", "mi2-pixels"),
    }
    assert set(scores.filter(pl.col("arm") == "rad-dino-pixels")["task"]) == {
        *("findings", "segmentation"),
    }
    assert all(name in report for name in set(scores["arm"]))
    figure = (checkout.results / "tables" / "scaling-findings.csv").read_text()
    assert figure.count(",floor,") == 4 and "a-vit,baseline" in figure
    assert checkout.plan() == []
