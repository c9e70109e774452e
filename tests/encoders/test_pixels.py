"""Principal components of pixels as an encoder."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from radscale_lib.encoders.pixels import PixelTower, cells_of, film_of, learn
from radscale_lib.encoders.prepare import to_input
from radscale_lib.study.encoders.rad_dino import RadDino
from radscale_lib.study.floors import Pixels
from tests.encoders.libraries import films

SIDE = 24
GRIDS = (6, 3, 5, 1)
"""Cells of 4, 8, 5 and 24 pixels: 5 does not divide the square."""


@pytest.fixture
def section(rad_dino: RadDino) -> Pixels:
    image = rad_dino.image.model_copy(update={"image_size": SIDE})
    return Pixels(like=rad_dino.model_copy(update={"image": image}), grids=GRIDS)


@pytest.fixture
def inputs(section: Pixels) -> torch.Tensor:
    rng = np.random.default_rng(2)
    noisy = [film // 2 + rng.integers(0, 90, film.shape, np.uint8) for film in films() * 15]
    return to_input(noisy, section)


def learnt(section: Pixels, inputs: torch.Tensor) -> PixelTower:
    return learn(section, lambda: inputs.split(7))


@torch.no_grad()
def test_projections_are_those_of_scikit_learn(section: Pixels, inputs: torch.Tensor) -> None:
    features = learnt(section, inputs).levels(inputs)
    vectors = film_of(inputs).double().numpy()
    expected = PCA(64, svd_solver="full").fit(vectors).transform(vectors)
    found = features.global_.numpy()
    assert found.shape == (len(inputs), 64)
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=2e-3)
    for level, grid in zip(features.levels, GRIDS, strict=True):
        assert level.shape == (len(inputs), 16, grid, grid)
        cells = cells_of(inputs, grid).flatten(0, 1).double().numpy()
        fitted = PCA(16, svd_solver="full").fit(cells)
        flat = level.flatten(2).transpose(1, 2).flatten(0, 1).numpy()
        np.testing.assert_allclose(
            flat.var(0) / cells.var(0).sum(), fitted.explained_variance_ratio_, rtol=2e-2, atol=1e-4
        )


@torch.no_grad()
def test_a_cell_is_what_lies_there(section: Pixels, inputs: torch.Tensor) -> None:
    """All 16 pixels of the finest level's cells can be had back from their components."""
    tower = learnt(section, inputs)
    level = tower.levels(inputs).levels[0]
    cells, components = cells_of(inputs, GRIDS[0]), tower.cells[0]
    back = level.flatten(2).transpose(1, 2) @ components.basis.T + components.mean
    torch.testing.assert_close(back, cells, atol=1e-4, rtol=0)
    one = inputs[3, 0, 8:12, 20:24].flatten()
    torch.testing.assert_close(back[3, 2 * GRIDS[0] + 5], one, atol=1e-4, rtol=0)


def test_the_same_films_give_the_same_tower(section: Pixels, inputs: torch.Tensor) -> None:
    first, second = (learnt(section, inputs[:9]).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@torch.no_grad()
def test_fewer_films_than_components_leave_zeros(section: Pixels, inputs: torch.Tensor) -> None:
    features = learnt(section, inputs[:5]).levels(inputs)
    assert features.global_[:, 4:].abs().max() == 0 and features.global_[:, :4].abs().min() > 0
