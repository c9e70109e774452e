"""Kinds from a package outside of the tree: no fork is needed, and their code counts."""

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from tests.kinds.pages import PAGE, PLUGIN, files_by_section, filled
from tests.workflow.checkout import ROOT, TINY, Checkout

FILES = {"encoder": 2, "paradigm": 2, "task": 3, "metric": 1, "figure": 1}
"""Files that a kind of each takes."""


def study(**more: Any) -> dict[str, Any]:
    """The tiny study with the plugin's encoder, paradigm, task and metric, and none of ours."""
    values: dict[str, Any] = json.loads(json.dumps(yaml.safe_load((ROOT / TINY).read_text())))
    recipe = {"paradigm": "brightness", "optimiser": {"samples": 32, "batch": 8, "lr": 1e-2}}
    trained = {"encoder": "mean", "recipe": recipe}
    values["encoders"] = {"mean": {"kind": "mean"}}
    values["bases"] = {"mean-open": trained}
    supervised = {"paradigm": "supervised", "optimiser": recipe["optimiser"]}
    values["arms"] = {
        "means": trained,
        "between": {"interpolates": "means"},
        "labels": {"encoder": "mean", "supervision": ["labels"], "recipe": supervised},
    }
    values["evaluation"]["tasks"] = {"greys": {"kind": "brightness"}}
    values["scaling"]["metrics"] = {"greys": "r2"}
    return values | more


def environment(*paths: Path) -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(map(str, paths))}


def told(values: dict[str, Any], code: str, plugin: Path = PLUGIN) -> str:
    """The output of a program run with the plugin installed, given a study."""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        input=json.dumps(values),
        env=environment(ROOT, plugin),
        capture_output=True,
        text=True,
        check=False,
    )
    return ended.stdout + ended.stderr


PARSE = """
import json, sys
from radscale_lib.study import parse_study, StudyError
try:
    print(sorted(parse_study(json.load(sys.stdin)).encoders.items()))
except StudyError as error:
    print(error)
"""
IDS = """
import json, sys
from radscale_lib.planning.identity import components, stage_id
from radscale_lib.study import parse_study
study = parse_study(json.load(sys.stdin))
of = lambda stage, **names: stage_id(components(study, stage, **names))
print(json.dumps({
    "pretrain": of("pretrain", arm="means"),
    "features": of("features", arm="means"),
    "evaluate": of("evaluate", arm="means"),
    "head": of("head", arm="means", task="greys", part="default"),
    "score": of("score", arm="means"),
    "figures": of("figures"),
    "fit": of("fit"),
}))
"""


def test_the_page_shows_the_files_that_run() -> None:
    """`make docs` writes them into docs/extend/extending.md."""
    text = PAGE.read_text()
    assert text == filled(text), "docs/extend/extending.md: run make docs"
    shown = files_by_section(text)
    assert {title.rpartition(" ")[2]: len(files) for title, files in shown.items()} == FILES
    files = {path.relative_to(PLUGIN).as_posix() for path in PLUGIN.glob("*/*.py")}
    assert {name for names in shown.values() for name in names} == {
        name for name in files if not name.endswith("__init__.py")
    }
    installed = configparser.ConfigParser()
    installed.read(next(PLUGIN.glob("*.dist-info")) / "entry_points.txt")
    (block,) = re.findall(r"^```toml\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    points = tomllib.loads(block)["project"]["entry-points"]
    assert points == {group: dict(installed[group]) for group in installed.sections()}


def test_an_unknown_kind_lists_the_known_ones_the_plugins_too() -> None:
    said = told(study(encoders={"mean": {"kind": "biomedclip"}}), PARSE)
    ours = "'mi2', 'open_clip', 'rad-dino', 'timm', 'transformers'"
    assert f"encoders.mean.kind: must be one of {ours}, 'mean' (got 'biomedclip')" in said
    assert "MeanEncoder(" in told(study(), PARSE)


@pytest.fixture(scope="module")
def ids() -> dict[str, str]:
    """Stage ids with the plugin as it is."""
    found: dict[str, str] = json.loads(told(study(), IDS))
    return found


@pytest.mark.parametrize(
    ("file", "old", "new", "changed"),
    [
        ("tower.py", "(8, 4, 2, 1)", "(8, 4, 2, 2)", {"pretrain", "features", "evaluate"}),
        ("learner.py", "- 2 * target", "- 3 * target", {"pretrain"}),
        ("evaluate.py", "[:, -1]", "[:, -2]", {"evaluate", "head"}),
        ("score.py", "sum(0,", "sum(axis=0,", {"score"}),
        ("correlation.py", ") ** 2", ") ** 4", {"score"}),
        ("task.py", "(mean grey)", "(greys)", {"evaluate", "head", "score", "figures"}),
        ("histogram.py", "bin_count=5", "bin_count=6", {"figures"}),
        ("encoder.py", '"""Means over cells."""', '"""Means."""', set()),
    ],
)
def test_the_code_of_a_kind_is_in_the_ids_of_what_uses_it(
    tmp_path: Path, ids: dict[str, str], file: str, old: str, new: str, changed: set[str]
) -> None:
    plugin = tmp_path / "plugin"
    shutil.copytree(PLUGIN, plugin, ignore=shutil.ignore_patterns("__pycache__"))
    path = plugin / "radscale_dummy" / file
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    after = json.loads(told(study(), IDS, plugin))
    assert {stage for stage in ids if ids[stage] != after[stage]} == changed


@pytest.mark.slow
def test_a_study_of_the_plugins_kinds_runs_to_the_report(
    finished_tiny: Checkout, tmp_path: Path
) -> None:
    """On the archives of the tiny study, which are ingested."""
    checkout = finished_tiny.copy(tmp_path / "checkout")
    checkout.study_file.write_text(yaml.safe_dump(study(), sort_keys=False))
    ended = subprocess.run(
        checkout.command(),
        cwd=checkout.folder,
        env=checkout.environment()
        | environment(checkout.folder, checkout.folder / "workflow" / "logger", PLUGIN),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-3000:] + ended.stderr[-6000:]
    scores = pl.read_parquet(checkout.results / "scores.parquet")
    assert set(scores["metric"]) == {"r2"} and set(scores["encoder"]) == {"mean"}
    assert set(scores["arm"]) == {"mean-open", "means", "between", "labels"}
    report = (checkout.results / "report.html").read_text()
    assert "Greys (mean grey)" in report and "R²" in report
    assert "Number of scores by their value." in report
    assert (checkout.results / "figures" / "histogram.svg").exists()
