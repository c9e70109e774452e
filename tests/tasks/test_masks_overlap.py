"""Masks from polylines, Dice and clDice on masks drawn by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skimage.morphology import skeletonize

from radscale_lib.encoders.prepare import map_points, prepare_one
from radscale_lib.metrics.cldice import cl_dice
from radscale_lib.metrics.dice import dice
from radscale_lib.study.encoders.mi2 import Davit, Mi2
from radscale_lib.study.encoders.rad_dino import RadDino, Vit
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.masks import PlacedTube, draw_masks
from radscale_lib.tasks.overlap import COUNTS, overlap_counts

ENCODERS = {
    "mi2": Mi2(kind="mi2", image=Davit(image_size=64)),
    "rad-dino": RadDino(kind="rad-dino", image=Vit(image_size=64, patch=8)),
}


def _mask(rows):
    return np.array([[character == "#" for character in row] for row in rows])


def test_a_line_covers_the_cells_it_runs_through():
    points = np.array([[2.5, 1.5], [2.5, 6.5]]) / 8
    (mask,) = draw_masks({"ett": [PlacedTube([points])]}, ["ett"], size=8, width=0.01)
    expected = np.zeros((8, 8), bool)
    expected[1:7, 2] = True
    assert np.array_equal(mask, expected)


def test_width_is_a_share_of_the_side():
    points = np.array([[0.5, -1.0], [0.5, 2.0]])
    for size in (40, 80):
        (mask,) = draw_masks({"ett": [PlacedTube([points])]}, ["ett"], size, width=0.1)
        widths = mask.sum(1)
        assert abs(widths - 0.1 * size).max() <= 1
        assert abs(np.flatnonzero(mask[0]).mean() + 0.5 - size / 2) <= 0.5


def test_classes_get_masks_of_their_own_and_absent_ones_stay_empty():
    points = np.array([[0.1, 0.1], [0.9, 0.9]])
    line = PlacedTube([points])
    masks = draw_masks(
        {"a": [line], "c": [line, PlacedTube([points[::-1]])]}, ["c", "b", "a"], 32, 0.03
    )
    assert masks.shape == (3, 32, 32)
    assert masks[0].any()
    assert not masks[1].any()
    assert np.array_equal(masks[0], masks[2])


def test_lines_outside_the_square_are_cut_off():
    outside = np.array([[1.5, 0.2], [1.7, 0.9]])
    assert not draw_masks({"a": [PlacedTube([outside])]}, ["a"], 32, 0.05).any()


def test_an_area_is_filled_but_for_its_holes_and_has_no_width():
    square = np.array([[0.5, 0.5], [7.5, 0.5], [7.5, 7.5], [0.5, 7.5]]) / 8
    hole = np.array([[2.5, 2.5], [5.5, 2.5], [5.5, 5.5], [2.5, 5.5]]) / 8
    (mask,) = draw_masks({"ett": [PlacedTube([square, hole], is_area=True)]}, ["ett"], 8, width=0.5)
    expected = np.ones((8, 8), bool)
    expected[3:5, 3:5] = False  # the outline of a hole belongs to the area
    assert np.array_equal(mask, expected)


@pytest.mark.parametrize("kind", ["mi2", "rad-dino"])
@pytest.mark.parametrize("shape", [(64, 64), (80, 64), (64, 90), (200, 130)])
def test_masks_lie_on_the_line_that_the_encoder_sees(kind, shape):
    """A bright line drawn in the stored image is where the mask says it is."""
    height, width = shape
    encoder = ENCODERS[kind]
    image = np.zeros(shape, np.uint8)
    column = width // 2 + 3
    image[:, column - 1 : column + 2] = 255
    points = map_points([[column, 0], [column, height - 1]], height, width, encoder)
    (mask,) = draw_masks({"ett": [PlacedTube([points])]}, ["ett"], 64, 0.01)
    seen = prepare_one(image, encoder).astype(float)
    centre = (seen * np.arange(64)).sum(1) / seen.sum(1)
    drawn = (mask * np.arange(64)).sum(1) / mask.sum(1)
    assert np.abs(centre - drawn).max() < 0.6


def test_counts_by_hand():
    true = _mask(["........", ".######.", "........", "........"])
    shifted = np.roll(true, 1, axis=0)
    counts = dict(zip(COUNTS, overlap_counts(shifted, true, tolerance=0), strict=True))
    assert counts["intersection"] == 0
    assert counts["predicted"] == counts["true"] == 6
    assert counts["predicted_line_covered"] == counts["true_line_covered"] == 0
    near = overlap_counts(shifted, true, tolerance=1)
    assert dice(near.astype(float)) == 0
    assert cl_dice(near.astype(float)) == 1


def test_half_a_line():
    true = _mask(["........", ".######.", "........"])
    half = _mask(["........", ".###....", "........"])
    counts = overlap_counts(half, true, tolerance=0).astype(float)
    assert dice(counts) == pytest.approx(2 * 3 / 9)
    assert cl_dice(counts) == pytest.approx(2 * 1 * 0.5 / 1.5)


@given(st.integers(0, 2**32 - 1))
def test_centreline_counts_equal_their_definition(seed):
    random = np.random.default_rng(seed)
    predicted, true = random.random((2, 12, 12)) < 0.5
    counts = dict(zip(COUNTS, overlap_counts(predicted, true, 0), strict=True))
    assert counts["intersection"] == np.logical_and(predicted, true).sum()
    assert counts["predicted_line"] == skeletonize(predicted).sum()
    assert counts["true_line_covered"] == (skeletonize(true) & predicted).sum()
    wide = dict(zip(COUNTS, overlap_counts(predicted, true, 1), strict=True))
    assert wide["predicted_line_covered"] >= counts["predicted_line_covered"]


def test_undefined_without_truth_and_zero_without_prediction():
    empty = np.zeros((5, 5), bool)
    line = empty.copy()
    line[2] = True
    for formula in (dice, cl_dice):
        assert np.isnan(formula(overlap_counts(line, empty, 1).astype(float)))
        assert formula(overlap_counts(empty, line, 1).astype(float)) == 0
        assert formula(overlap_counts(line, line, 1).astype(float)) == 1


def test_false_alarms_on_images_without_a_tube_lower_the_pooled_score():
    line = np.zeros((5, 5), bool)
    line[2] = True
    hit = overlap_counts(line, line, 0)
    alarm = overlap_counts(line, np.zeros((5, 5), bool), 0)
    assert dice((hit + alarm).astype(float)) == pytest.approx(2 * 5 / 15)
    assert cl_dice((hit + alarm).astype(float)) == pytest.approx(2 * 0.5 / 1.5)


def test_resampled_dice_equals_pooling_the_drawn_images():
    random = np.random.default_rng(0)
    masks = random.random((2, 9, 6, 6)) < 0.4
    counts = np.stack([overlap_counts(p, t, 0) for p, t in zip(*masks, strict=True)])
    draws = PatientDraws.draw([f"p{index // 2}" for index in range(9)], 15, seed=3)
    resampled = dice(draws.sums(counts))
    for draw in range(15):
        rows = np.repeat(np.arange(9), draws.counts[draw][draws.patient])
        predicted, true = masks[0][rows], masks[1][rows]
        expected = 2 * (predicted & true).sum() / (predicted.sum() + true.sum())
        assert resampled[draw] == pytest.approx(expected)
