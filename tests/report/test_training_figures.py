"""Figures of trainings: their logs, and scores along the budget."""

from pathlib import Path

import polars as pl
import pytest

from radscale_lib.files import read_json
from radscale_lib.report.draw import draw_figures
from radscale_lib.report.figures import Tables
from radscale_lib.report.figures.training import read_logs
from radscale_lib.study import Study, parse_study
from tests.scaling.conftest import small_values

NONE = pl.DataFrame()


@pytest.fixture(scope="module")
def study() -> Study:
    values = small_values()
    values["arms"]["rad-dino"]["keep"] = [0.25, 0.5]
    values["scaling"]["checkpoint_by"] = "findings"
    values["report"] = {"formats": ["svg"]}
    return parse_study(values)


def along(study: Study) -> pl.DataFrame:
    """Rows at two sizes of two seeds; the smaller size chooses half of the budget."""
    rows = [
        {
            **{"arm": "rad-dino", "size": size, "images": size, "seed": seed, "task": "findings"},
            **{"head": "linear", "target": "macro", "metric": "auroc", "share": share},
            **{"value": 0.6 + share / 10 + seed / 100, "samples": int(4800 * share)},
            **{"flops": 1e12 * share, "chosen": share == (0.5 if size == 50 else 1.0)},
        }
        for size in (50, 100)
        for seed in (0, 1)
        for share in (0.25, 0.5, 1.0)
    ]
    return pl.DataFrame(rows)


def logs(folder: Path) -> list[Path]:
    """Of a run with all that is watched, one without, and a failed one."""
    paths = []
    for arm, names in (("rad-dino", ("rank", "knn")), ("mi2-reports", ()), ("gone", None)):
        path = folder / arm / "n=50" / "seed=0" / "log.parquet"
        path.parent.mkdir(parents=True)
        rows = [
            {"step": step, "samples": 32 * step, "loss": 1 / step, "images_per_second": 1.0}
            | {name: float(step) for name in names or ()}
            for step in range(1, 4 if names is not None else 1)
        ]
        pl.DataFrame(rows, schema=None if rows else {"step": pl.Int64}).write_parquet(path)
        paths.append(path)
    return paths


def test_logs_and_scores_along_the_budget_are_drawn(study: Study, tmp_path: Path) -> None:
    training = read_logs(logs(tmp_path / "encoders"))
    tables = Tables(*[NONE] * 5, checkpoints=along(study), training=training)
    draw_figures(study, tables, tmp_path, ["checkpoints", "training"])
    drawn = pl.read_csv(tmp_path / "tables" / "checkpoints-findings.csv")
    points = drawn.filter(~pl.col("chosen"))
    assert points.select("size", "share").rows() == [
        (size, share) for size in (50, 100) for share in (0.25, 0.5, 1.0)
    ]
    assert points["value"][0] == pytest.approx(0.63)
    assert set(points["seeds"]) == {2}
    best = drawn.filter("chosen")
    assert best.select("size", "share").rows() == [(50, 0.5), (100, 1.0)]
    assert best["value"].to_list() == pytest.approx([0.655, 0.705])
    watched = pl.read_csv(tmp_path / "tables" / "training.csv")
    names = ["arm", "size", "seed", "step", "samples", "loss", "rank", "grad_norm", "knn"]
    assert watched.columns == names
    assert watched.group_by("arm").len().sort("arm").rows() == [("mi2-reports", 3), ("rad-dino", 3)]
    listed = read_json(tmp_path / "figures" / "figures.json")["figures"]
    figures = {each["name"]: each for each in listed}
    assert "validation images of findings" in figures["checkpoints-findings"]["caption"]
    assert figures["training"]["section"] == "runs"
    assert "loss, effective rank, k-NN" in figures["training"]["caption"]
    for name in figures:
        drawing = (tmp_path / "figures" / f"{name}.svg").read_text()
        assert len(drawing) > 1000 and "mathdefault" not in drawing  # ticks are plain text


def test_without_them_nothing_is_drawn(study: Study, tmp_path: Path) -> None:
    tables = Tables(*[NONE] * 5, checkpoints=along(study).clear())
    draw_figures(study, tables, tmp_path, ["checkpoints", "training"])
    assert read_json(tmp_path / "figures" / "figures.json")["figures"] == []
