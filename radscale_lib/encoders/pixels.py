"""Principal components of pixels as an encoder: a floor without pretraining."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radscale_lib.encoders.features import Features, Tower
from radscale_lib.study.floors import CELL_COMPONENTS, FILM_COMPONENTS, FILM_SIDE, Pixels


class Components(nn.Module):
    """Projection on principal components: (x - mean) @ basis."""

    def __init__(self, length: int, count: int) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(length))
        self.basis = nn.Parameter(torch.zeros(length, count))

    def forward(self, x: Tensor) -> Tensor:
        """[..., length] -> [..., count]."""
        return (x - self.mean) @ self.basis


class PixelTower(Tower):
    """Components of the whole film as global embedding, and of each cell's pixels as levels.

    The film is the square input reduced to at most 64 pixels a side. A level has the cells of the
    encoder whose floor this is; if they do not divide the square evenly, it is resized first.
    """

    encoder: Pixels

    def __init__(self, encoder: Pixels) -> None:
        super().__init__()
        assert encoder.grids is not None
        self.encoder = encoder
        self.film = Components(min(encoder.image_size, FILM_SIDE) ** 2, FILM_COMPONENTS)
        sides = [cell_side(encoder.image_size, grid) for grid in encoder.grids]
        self.cells = nn.ModuleList(
            Components(side**2, min(side**2, CELL_COMPONENTS)) for side in sides
        )

    def forward(self, images: Tensor) -> Tensor:
        """Components [B, 64] of grey images, float32 [B, 1, S, S] in [0, 1]."""
        projected: Tensor = self.film(film_of(images))
        return projected

    def levels(self, images: Tensor) -> Features:
        """Features of grey images: float32 [B, 1, S, S] in [0, 1]."""
        assert self.encoder.grids is not None
        maps = [
            components(cells_of(images, grid)).transpose(1, 2).unflatten(2, (grid, grid))
            for components, grid in zip(self.cells, self.encoder.grids, strict=True)
        ]
        first, second, third, fourth = maps
        return Features(self(images), (first, second, third, fourth))


def cell_side(side: int, grid: int) -> int:
    """Side of a cell in pixels, at least one."""
    return max(round(side / grid), 1)


def film_of(images: Tensor) -> Tensor:
    """Films [B, 1, S, S] as vectors of at most 64 by 64 means."""
    return F.adaptive_avg_pool2d(images, min(images.shape[-1], FILM_SIDE)).flatten(1)


def cells_of(images: Tensor, grid: int) -> Tensor:
    """Cells [B, grid * grid, pixels] of films [B, 1, S, S]."""
    side = cell_side(images.shape[-1], grid)
    if images.shape[-1] != side * grid:
        images = F.interpolate(images, side * grid, mode="bilinear", antialias=True)
    return F.unfold(images, side, stride=side).transpose(1, 2)


def build_tower(section: Pixels) -> PixelTower:
    """The tower, before its components are learnt."""
    return PixelTower(section)


def learn(section: Pixels, batches: Callable[[], Iterable[Tensor]]) -> PixelTower:
    """A tower with components learnt from films.

    Args:
        section: the section, with grids.
        batches: returns the films, as the tower's input, anew at each call.
    """
    tower = PixelTower(section)
    assert section.grids is not None
    _set(tower.film, *_of_vectors(torch.cat([film_of(each) for each in batches()])))
    learnt: dict[int, tuple[Tensor, Tensor]] = {}
    for components, grid in zip(tower.cells, section.grids, strict=True):
        assert isinstance(components, Components)
        if grid not in learnt:
            learnt[grid] = _of_moments(cells_of(each, grid).flatten(0, 1) for each in batches())
        _set(components, *learnt[grid])
    return tower


def _set(components: Components, mean: Tensor, basis: Tensor) -> None:
    """Take the first components; those not spanned by the films stay zero."""
    with torch.no_grad():
        count = min(components.basis.shape[1], basis.shape[1])
        components.mean.copy_(mean)
        components.basis[:, :count] = basis[:, :count]


def _of_vectors(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean, and components by descending variance, of few long vectors [N, D]."""
    x = x.double()
    mean = x.mean(0)
    _, values, basis = torch.linalg.svd(x - mean, full_matrices=False)
    return mean, _signed(basis.T[:, values > 1e-9 * values[:1]])


def _of_moments(batches: Iterable[Tensor]) -> tuple[Tensor, Tensor]:
    """The same for many short vectors, [N, D] at a time."""
    count, total, products = 0, torch.zeros(()), torch.zeros(())
    for x in batches:
        x = x.double()
        count += len(x)
        total = total + x.sum(0)
        products = products + x.T @ x
    mean = total / count
    values, basis = torch.linalg.eigh(products / count - torch.outer(mean, mean))
    values, basis = values.flip(0), basis.flip(1)
    return mean, _signed(basis[:, values > 1e-12 * values[:1]])


def _signed(basis: Tensor) -> Tensor:
    """Components with a positive largest entry, since their sign is otherwise arbitrary."""
    largest = basis.abs().argmax(0, keepdim=True)
    return basis * basis.gather(0, largest).sign()
