"""What `radscale_lib` offers: light to import, documented, and every example true."""

import ast
import doctest
import importlib
import re
import shutil
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from torch.utils.data import DataLoader

import radscale_lib
from tests.archive.conftest import smooth, write_dicom
from tests.workflow.checkout import Checkout

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(finished_tiny: Checkout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that examples run in: a film, and a study with its results."""
    torch.set_num_threads(1)
    write_dicom(tmp_path / "film.dcm", smooth(640, 540, 4000).astype(np.uint16), BitsStored=12)
    shutil.copy(finished_tiny.study_file, tmp_path / "study.yaml")
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "tiny").symlink_to(finished_tiny.results)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_surface_is_what_it_says() -> None:
    tree = ast.parse((ROOT / "radscale_lib/__init__.py").read_text())
    typed = {
        alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and ".api." in node.module
        for alias in node.names
    }
    assert set(typed) == set(radscale_lib.__all__) <= set(dir(radscale_lib))
    page = (ROOT / "docs/reference/python.md").read_text()
    for name in radscale_lib.__all__:
        value = getattr(radscale_lib, name)
        assert value.__module__ == typed[name]
        assert value.__doc__
        assert f"`{name}`" in page
    with pytest.raises(AttributeError, match="nothing"):
        _ = radscale_lib.nothing


@pytest.mark.parametrize(
    "name",
    ["curve", "dataset", "encoder", "evaluation", "figure", "film", "predictions", "results"],
)
def test_examples_of_the_docstrings(name: str, folder: Path) -> None:
    module = importlib.import_module(f"radscale_lib.api.{name}")
    ended = doctest.testmod(module, optionflags=doctest.NORMALIZE_WHITESPACE)
    assert ended.attempted > 3 and not ended.failed


def test_the_example_of_the_documentation(folder: Path) -> None:
    page = (ROOT / "docs/reference/python.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 8
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, "docs/reference/python.md", "exec"), names)
    assert (folder / "curve.png").stat().st_size > 5000


def test_items_are_the_catalogs_rows_with_their_images(folder: Path) -> None:
    study = radscale_lib.open_study("study.yaml")
    films = radscale_lib.ShardDataset(study, columns=["image_id", "finding:effusion", "view"])
    catalog = study.table("institution/catalog")
    assert len(films) == len(catalog)
    for index in (0, 5, -1):
        item, row = films[index], catalog.row(index, named=True)
        assert item["image_id"] == row["image_id"] and item["view"] == row["view"]
        assert item["image"].shape == (1, row["height"], row["width"])
        value = item["finding:effusion"]
        assert value == row["finding:effusion"] or (
            np.isnan(value) and row["finding:effusion"] is None
        )
    with pytest.raises(IndexError):
        films[len(films)]
    labelled = catalog.filter(pl.col("labelled"))
    sized = radscale_lib.ShardDataset(
        study, rows=labelled, transform=lambda film: torch.zeros(2) + film.max()
    )
    by_workers = [batch["image"] for batch in DataLoader(sized, batch_size=8, num_workers=2)]
    alone = torch.stack([sized[index]["image"] for index in range(len(sized))])
    assert torch.equal(torch.cat(by_workers), alone)
    with pytest.raises(KeyError, match="finding:x: no column of the catalog: use some of image_id"):
        radscale_lib.ShardDataset(study, columns=["finding:x"])


def test_what_is_not_there_is_named(folder: Path) -> None:
    study = radscale_lib.open_study("study.yaml")
    with pytest.raises(KeyError, match="nothing: no table in results/tiny: there are checkpoints"):
        study.table("nothing")
    with pytest.raises(KeyError, match="no run of study tiny: there are mi2-open/n=0/seed=0"):
        study.encoder("mi2-reports", size=17)
    with pytest.raises(KeyError, match="pie: not a kind of figure: use one of "):
        radscale_lib.draw_figure(study, "pie")
    (settings,) = Path("results/tiny/settings").glob("*.json")
    moved = radscale_lib.open_study(settings)
    assert moved.folder == Path("results/tiny") and moved.settings.name == "tiny"


@pytest.mark.parametrize(
    ("sizes", "errors", "said"),
    [
        ([1, 2], [0.5, 0.4], "at least 3 sizes"),
        ([1, 2, 3], [0.5, 0.4], "differ in number"),
        ([0, 2, 3], [0.5, 0.4, 0.3], "positive"),
        ([1, 2, 3], [0.5, -0.4, 0.3], "must be errors"),
        ([], [], "size"),
    ],
)
def test_curves_that_cannot_be_fitted(sizes: list[float], errors: list[float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        radscale_lib.fit_curve(sizes, errors)


def test_a_fit_reaches_its_target_and_its_figure_spans_its_predictions() -> None:
    sizes = [100, 200, 400, 800, 1600]
    errors = [0.4 * (size / 100) ** -0.4 for size in sizes]
    fit = radscale_lib.fit_curve(sizes, errors, [0.004] * 5, predict=[3200], target=0.2)
    (row,) = fit.predictions.to_dicts()
    assert abs(row["median"] - 0.4 * 32**-0.4) < 0.01
    assert abs(np.log(row["crossover"] / 566)) < 0.1
    assert (fit.drawn["size"][0], round(fit.drawn["size"][-1])) == (100, 3200)
    (axes,) = radscale_lib.draw_curve(fit, "AUROC").axes
    assert axes.get_title(loc="left") == "AUROC" or axes.get_title() == "AUROC"
    assert axes.lines[1].get_xdata().tolist() == sizes
