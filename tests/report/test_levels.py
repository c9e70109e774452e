"""Baselines that are only evaluated, and floors: in the figure, its table, and in words."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
import yaml

from radscale_lib.report.document import _score_rows
from radscale_lib.report.figures import Tables
from radscale_lib.report.figures.classes import draw_classes
from radscale_lib.report.figures.crossovers import draw_crossovers
from radscale_lib.report.figures.forest import draw_forest
from radscale_lib.report.figures.scaling import draw_scaling
from radscale_lib.report.sentences import studied, task_results
from radscale_lib.report.series import mean_of_seeds, task_series
from radscale_lib.scaling.tables import CROSSOVERS_SCHEMA, FITS_SCHEMA, fit_study
from radscale_lib.study import Run, Study, parse_study
from radscale_lib.tasks.scores import SCHEMA

VALUES = {
    "mi2-open": 0.70,
    "rad-dino-open": 0.66,
    "dinov2": 0.75,
    "biomedclip": 0.72,
    "mi2-random": 0.61,
    "mi2-pixels": 0.71,
    "rad-dino-random": 0.60,
    "rad-dino-pixels": 0.58,
}


def study() -> Study:
    values = yaml.safe_load(Path("config/config.yaml").read_text())
    values["encoders"] |= {
        name: {"kind": "timm", "name": "test_vit", "random": 0} for name in ("a", "b")
    }
    values["baselines"] = {"dinov2": {"encoder": "a"}, "biomedclip": {"encoder": "b"}}
    return parse_study(values)


def scores(of: Study) -> pl.DataFrame:
    rows = []
    for run in of.runs:
        value = VALUES.get(run.arm, 0.65 + 0.01 * np.log2(max(run.size, 1)))
        rows.append(
            {
                **run._asdict(),
                **{"encoder": of.encoder_of(run.arm), "task": "findings", "head": "linear"},
                "target": "macro",
                **{"metric": "auroc", "value": value, "lower": value - 0.02},
                **{"upper": value + 0.02, "confidence": 0.95, "cases": 100, "positives": 20},
                "resamples_used": 3,
                "resamples": [value - 0.01, value, value + 0.01],
            }
        )
    return pl.DataFrame(rows, schema=SCHEMA)


def series(of: Study) -> pl.DataFrame:
    return task_series(of, scores(of), FITS_SCHEMA.to_frame(), "findings")


def tables(of: Study) -> Tables:
    nothing = [schema.to_frame() for schema in (FITS_SCHEMA, CROSSOVERS_SCHEMA)]
    return Tables(scores(of), *nothing, pl.DataFrame(), pl.DataFrame())


def test_a_mean_over_seeds_has_no_interval_if_a_seed_has_none() -> None:
    rows = scores(study()).filter(arm="mi2-reports").head(1)
    assert mean_of_seeds(rows, 0.9)["lower"] is not None
    found = mean_of_seeds(pl.concat([rows, rows.with_columns(note=pl.lit("too few"))]), 0.9)
    assert (found["value"], found["lower"], found["upper"]) == (rows["value"][0], None, None)


def test_the_plotted_table_holds_every_baseline_and_floor() -> None:
    kinds = dict(series(study()).select("arm", "kind").unique().iter_rows())
    assert {arm for arm, kind in kinds.items() if kind == "baseline"} == {
        *("mi2-open", "rad-dino-open", "dinov2", "biomedclip")
    }
    assert {arm for arm, kind in kinds.items() if kind == "floor"} == set(study().floors)


def test_each_has_a_line_of_its_own_in_the_figure() -> None:
    of = study()
    drawn = next(iter(draw_scaling(of, tables(of))))
    handles = drawn.figure.legends[0].legend_handles
    texts = [text.get_text() for text in drawn.figure.legends[0].get_texts()]
    looks = [
        (handle.get_color(), handle.get_marker(), str(handle._unscaled_dash_pattern))
        for handle in handles
    ]
    assert set(VALUES) <= set(texts) and len(set(looks)) == len(texts)
    assert all(name in drawn.alt for name in VALUES)


def test_the_table_of_scores_has_their_rows() -> None:
    rows = {
        row["arm"]: row["cells"]
        for row in _score_rows(study(), "findings", series(study()))["rows"]
    }
    assert rows["dinov2"][0]["value"] == "0.750" and rows["dinov2"][1]["value"] == "–"
    assert rows["mi2-pixels"][0]["ends"] == "0.701 to 0.719"


def test_what_is_below_its_floor_is_said() -> None:
    of = study()
    told = task_results(
        of, series(of), FITS_SCHEMA.to_frame(), CROSSOVERS_SCHEMA.to_frame(), "findings"
    )
    assert "Evaluated only: dinov2 0.750 (0.741 to 0.759) and biomedclip" in " ".join(told)
    below = [line for line in told if "scores below" in line]
    assert "mi2-open (0.700) scores below principal components of the pixels (0.710)." in below
    assert not any("rad-dino" in line for line in below)
    assert "Evaluated only: dinov2 and biomedclip." in studied(of, scores(of))[0]


def test_a_task_without_scores_is_told_to_have_none() -> None:
    of = study()
    told = task_results(
        of, series(of).clear(), FITS_SCHEMA.to_frame(), CROSSOVERS_SCHEMA.to_frame(), "findings"
    )
    assert told == ["No run has such a score: column note of scores.parquet gives the reasons."]


def test_a_study_of_baselines_alone_is_drawn_and_told() -> None:
    values = yaml.safe_load(Path("config/config.yaml").read_text())
    for key in ("arms", "subsets"):
        del values[key]
    values["encoders"] = {"a": {"kind": "timm", "name": "test_vit", "random": 0}}
    values["baselines"] = {"dinov2": {"encoder": "a"}}
    of = parse_study(values)
    assert of.runs == [Run("dinov2", 0, 0)]
    drawn = next(iter(draw_scaling(of, tables(of))))
    assert "dinov2 at 0.750" in drawn.alt
    assert studied(of, scores(of))[0] == "No encoder was trained here. Evaluated only: dinov2."
    assert _score_rows(of, "findings", series(of))["rows"] == [
        {"arm": "dinov2", "cells": [{"value": "0.750", "ends": "0.741 to 0.759"}]}
    ]


def test_the_other_figures_hold_them_too() -> None:
    of = study()
    every = scores(of)
    labels = every.with_columns(target=pl.lit("effusion"), value=pl.col("value") + 0.1)
    every = pl.concat([every, labels])
    fitted = fit_study(of, every)
    tables = Tables(every, fitted.fits, fitted.crossovers, fitted.comparisons, fitted.verdicts)
    pairs = set(fitted.crossovers.select("arm", "baseline").iter_rows())
    assert {("rad-dino", "dinov2"), ("rad-dino", "rad-dino-open")} <= pairs
    drawn = [next(iter(draw(of, tables))) for draw in (draw_forest, draw_crossovers, draw_classes)]
    forest, crossovers, classes = (each.table for each in drawn)
    rows = forest.filter(pl.col("lower").is_null(), task="findings")
    gains = dict(rows.select("arm", "value").iter_rows())
    assert gains["dinov2"] == pytest.approx(0.75 - 0.70)
    assert gains["rad-dino-random"] == pytest.approx(0.60 - 0.66)
    assert set(of.baselines) <= set(crossovers["baseline"])
    assert {*of.baselines, *of.floors} <= set(classes["arm"])
    legends = [text.get_text() for text in drawn[0].figure.legends[0].get_texts()]
    assert {"dinov2", "mi2-pixels"} <= set(legends)
    # Statements on an arm refer to its own open weights.
    told = task_results(of, series(of), fitted.fits, fitted.crossovers, "findings")
    assert not any("dinov2" in line for line in told if "Evaluated only" not in line)
