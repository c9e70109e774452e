"""Masks from polylines, and metrics of masks on masks drawn by hand and against libraries."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import label
from scipy.spatial.distance import cdist
from skimage.morphology import skeletonize

from radscale_lib.metrics import (
    cldice,
    continuity,
    dice,
    false_tubes,
    metrics,
    surface_dice,
    tip_error,
    tip_error_mm,
)
from radscale_lib.study.tasks.segmentation import Segmentation
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.masks import PlacedTube, draw_mask
from radscale_lib.tasks.overlap import Masks


def _task(**changes):
    decoder = {"steps": 1, "batch": 1, "lr": 1e-3}
    return Segmentation(**{"kind": "segmentation", "decoder": decoder} | changes)


def _pair(predicted, true, tips=(), millimetres=None, **changes):
    return Masks.of(predicted, true, _task(**changes), tips, millimetres)


def _value(module, *pairs):
    return float(module.METRIC.of(np.sum([module.METRIC.statistics(p) for p in pairs], axis=0)))


def _mask(rows):
    return np.array([[character == "#" for character in row] for row in rows])


def _line(size=40, row=20, first=5, last=34, width=3):
    points = np.array([[first + 0.5, row + 0.5], [last + 0.5, row + 0.5]])
    return draw_mask([PlacedTube([points])], (size, size), width)


def test_a_line_covers_the_cells_it_runs_through():
    points = np.array([[2.5, 1.5], [2.5, 6.5]])
    mask = draw_mask([PlacedTube([points])], (8, 8), width=0.1)
    expected = np.zeros((8, 8), bool)
    expected[1:7, 2] = True
    assert np.array_equal(mask, expected)


def test_lines_have_their_width():
    for size in (40, 80):
        points = np.array([[0.5, -1.0], [0.5, 2.0]]) * size
        mask = draw_mask([PlacedTube([points])], (size, size), width=0.1 * size)
        widths = mask.sum(1)
        assert abs(widths - 0.1 * size).max() <= 1
        assert abs(np.flatnonzero(mask[0]).mean() + 0.5 - size / 2) <= 0.5


def test_lines_outside_of_the_film_are_cut_off():
    outside = np.array([[1.5, 0.2], [1.7, 0.9]]) * 32
    assert not draw_mask([PlacedTube([outside])], (32, 32), 2).any()


def test_an_area_is_filled_but_for_its_holes_and_has_no_width():
    square = np.array([[0.5, 0.5], [7.5, 0.5], [7.5, 7.5], [0.5, 7.5]])
    hole = np.array([[2.5, 2.5], [5.5, 2.5], [5.5, 5.5], [2.5, 5.5]])
    mask = draw_mask([PlacedTube([square, hole], is_area=True)], (8, 8), width=4)
    expected = np.ones((8, 8), bool)
    expected[3:5, 3:5] = False  # the outline of a hole belongs to the area
    assert np.array_equal(mask, expected)


def test_a_shift_by_one_pixel_costs_dice_and_no_cldice_within_tolerance():
    true = _mask(["........", ".######.", "........", "........"])
    shifted = np.roll(true, 1, axis=0)
    assert _value(dice, _pair(shifted, true)) == 0
    assert _value(cldice, _pair(shifted, true, tolerance=0)) == 0
    assert _value(cldice, _pair(shifted, true)) == 1


def test_half_a_line():
    true = _mask(["........", ".######.", "........"])
    pair = _pair(_mask(["........", ".###....", "........"]), true, tolerance=0)
    assert _value(dice, pair) == pytest.approx(2 * 3 / 9)
    assert _value(cldice, pair) == pytest.approx(2 * 1 * 0.5 / 1.5)
    assert _value(continuity, pair) == pytest.approx(0.5)


def test_continuity_counts_the_longest_stretch_of_each_tube():
    true = np.zeros((9, 20), bool)
    true[1, 2:12] = true[6, 2:18] = True
    found = true.copy()
    found[1, 5] = found[6, 8:10] = False  # stretches of 3 and 6, 6 and 8
    assert _value(continuity, _pair(found, true, tolerance=0)) == pytest.approx((6 + 8) / 26)
    assert _value(continuity, _pair(true, true, tolerance=0)) == 1
    assert _value(continuity, _pair(~true, true, tolerance=0)) == 0
    # A gap of two pixels is bridged by a tolerance of one.
    assert _value(continuity, _pair(found, true, tolerance=1)) == 1


@given(st.integers(0, 2**32 - 1))
def test_metrics_equal_their_definitions(seed):
    """By scipy and scikit-image, on whole films that are as rough as can be."""
    random = np.random.default_rng(seed)
    predicted, true = random.random((2, 14, 17)) < random.uniform(0.05, 0.6, (2, 1, 1))
    tolerance = float(random.choice([0.4, 1.0, 2.5]))
    tips = random.uniform(0, 14, (2, 2))
    pair = _pair(
        predicted, true, tips.ravel().tolist(), 0.8, tolerance=0, surface_mm=tolerance * 0.8
    )
    counts = dice.METRIC.statistics(pair)
    assert counts == ((predicted & true).sum(), predicted.sum(), true.sum())
    lines = skeletonize(predicted), skeletonize(true)
    expected = (
        *((lines[0] & true).sum(), lines[0].sum()),
        *((lines[1] & predicted).sum(), lines[1].sum()),
    )
    assert cldice.METRIC.statistics(pair) == expected
    outlines = []
    for mask in (predicted, true):
        around = np.pad(mask, 1)
        inner = around[:-2, 1:-1] & around[2:, 1:-1] & around[1:-1, :-2] & around[1:-1, 2:]
        outlines.append(np.argwhere(mask & ~inner))
    near = 0
    if len(outlines[0]) and len(outlines[1]):
        apart = cdist(*outlines)
        near = sum((apart.min(axis=axis) <= tolerance + 1e-9).sum() for axis in (0, 1))
    assert surface_dice.METRIC.statistics(pair) == (near, sum(map(len, outlines)), len(outlines[1]))
    if true.any():
        pieces, count = label(lines[1], np.ones((3, 3)))
        longest = 0
        for piece in range(1, count + 1):
            covered, _ = label((pieces == piece) & predicted, np.ones((3, 3)))
            longest += np.bincount(covered.ravel(), minlength=2)[1:].max()
        assert continuity.METRIC.statistics(pair) == pytest.approx((longest / lines[1].sum(), 1))
    around = np.pad(lines[0], 1).astype(int)
    neighbours = sum(
        np.roll(around, shift, (0, 1)) for shift in np.ndindex(3, 3) if shift != (1, 1)
    )
    neighbours = np.roll(neighbours, (-1, -1), (0, 1))[1:-1, 1:-1]
    ends = np.argwhere(lines[0] & (neighbours <= 1))[:, ::-1] + 0.5
    apart = cdist(tips, ends).min(axis=1) if len(ends) else np.full(2, np.inf)
    total = (apart * 0.8).clip(max=100).sum()
    assert tip_error_mm.METRIC.statistics(pair) == pytest.approx((total, 2))
    total = (apart / 14).clip(max=0.25).sum()
    assert tip_error.METRIC.statistics(pair) == pytest.approx((total, 2))


def test_surface_dice_holds_millimetres_where_they_are_known_and_shares_elsewhere():
    true, shifted = _line(), _line(row=23)
    settings = {"surface_mm": 2.0, "surface_share": 0.02}
    assert _value(surface_dice, _pair(shifted, true, millimetres=0.5, **settings)) == 1
    assert _value(surface_dice, _pair(shifted, true, millimetres=2.5, **settings)) < 0.5
    assert _value(surface_dice, _pair(shifted, true, **settings)) < 0.5
    assert _value(surface_dice, _pair(shifted, true, surface_share=0.1)) == 1


def test_tip_errors_have_their_units_and_a_tube_that_is_not_found_is_far():
    true, short = _line(), _line(last=24)
    tips = [34.5, 20.5]
    assert _value(tip_error_mm, _pair(short, true, tips, 2.0)) == pytest.approx(20, abs=2.1)
    assert _value(tip_error, _pair(short, true, tips, 2.0)) == pytest.approx(10 / 40, abs=0.03)
    assert _value(tip_error_mm, _pair(true, true, tips, 2.0)) <= 2.1
    assert np.isnan(_value(tip_error_mm, _pair(short, true, tips)))
    nothing = np.zeros_like(true)
    assert _value(tip_error_mm, _pair(nothing, true, tips, 2.0)) == 100
    assert _value(tip_error, _pair(nothing, true, tips)) == 0.25
    # An area has no known tip.
    assert np.isnan(_value(tip_error, _pair(short, true)))


def test_false_tubes_are_those_of_films_without_one_from_an_area_on():
    true, nothing = _line(), np.zeros((40, 40), bool)
    speck = nothing.copy()
    speck[3, 3:5] = True
    settings = {"false_area": 3 / 1600}
    with_tube = _pair(true, true, **settings)
    assert np.isnan(_value(false_tubes, with_tube))
    pairs = [_pair(found, nothing, **settings) for found in (true, speck, nothing, nothing)]
    assert _value(false_tubes, with_tube, *pairs) == 0.25
    assert _value(false_tubes, _pair(nothing, nothing, false_area=0)) == 0


def test_undefined_without_truth_and_worst_without_prediction():
    empty = np.zeros((5, 5), bool)
    line = empty.copy()
    line[2] = True
    for module in (dice, cldice, surface_dice, continuity):
        assert np.isnan(_value(module, _pair(line, empty)))
        assert _value(module, _pair(empty, line)) == 0
        assert _value(module, _pair(line, line)) == 1


def test_false_alarms_on_films_without_a_tube_lower_the_pooled_scores():
    line = np.zeros((5, 5), bool)
    line[2] = True
    pairs = _pair(line, line), _pair(line, np.zeros((5, 5), bool))
    assert _value(dice, *pairs) == pytest.approx(2 * 5 / 15)
    assert _value(cldice, *pairs) == pytest.approx(2 * 0.5 / 1.5)
    assert _value(surface_dice, *pairs) == pytest.approx(10 / 15)
    assert _value(continuity, *pairs) == 1


def test_films_that_a_score_rests_on_follow_from_the_truth_alone():
    line, nothing = _line(), np.zeros((40, 40), bool)
    for metric in metrics("segmentation").values():
        counted = [
            metric.statistics(_pair(found, true, [34.5, 20.5] if true.any() else [], 2.0))
            for found in (line, nothing)
            for true in (line, nothing)
        ]
        rests = [each[metric.counted] > 0 for each in counted]
        assert rests == [metric.name != "false_tubes", metric.name == "false_tubes"] * 2


def test_resampled_dice_equals_pooling_the_drawn_images():
    random = np.random.default_rng(0)
    masks = random.random((2, 9, 6, 6)) < 0.4
    counts = np.stack([dice.counts(_pair(p, t)) for p, t in zip(*masks, strict=True)])
    draws = PatientDraws.draw([f"p{index // 2}" for index in range(9)], 15, seed=3)
    resampled = dice.dice(draws.sums(counts))
    for draw in range(15):
        rows = np.repeat(np.arange(9), draws.counts[draw][draws.patient])
        predicted, true = masks[0][rows], masks[1][rows]
        expected = 2 * (predicted & true).sum() / (predicted.sum() + true.sum())
        assert resampled[draw] == pytest.approx(expected)
