"""The frame of a film: masks of any encoder come back to where they were drawn."""

import json

import numpy as np
import polars as pl
import pytest

from radscale_lib.encoders.prepare import map_points, prepare_one
from radscale_lib.study.encoders.input import Input
from radscale_lib.study.encoders.mi2 import Davit, Mi2
from radscale_lib.study.encoders.rad_dino import RadDino, Vit
from radscale_lib.study.tasks.segmentation import Segmentation
from radscale_lib.tasks.frame import Frame, Square, padded, padded_side
from radscale_lib.tasks.masks import TubeMasks, decode_mask, encode_mask


class Cropped(RadDino):
    """As many of timm: resized, then nine tenths are cut out."""

    def place(self, height, width):
        known = Input(size=64, resized=71, mean=(0, 0, 0), std=(1, 1, 1))
        return known.place(height, width)


SIDE = 64
ENCODERS = {
    "mi2": Mi2(kind="mi2", image=Davit(image_size=SIDE)),
    "rad-dino": RadDino(kind="rad-dino", image=Vit(image_size=SIDE, patch=8)),
    "cropped": Cropped(kind="rad-dino", image=Vit(image_size=SIDE, patch=8)),
}
SHAPES = [(64, 64), (80, 64), (64, 90), (200, 130), (97, 211)]


def segmentation(**changes):
    decoder = {"steps": 1, "batch": 1, "lr": 1e-3}
    values = {"kind": "segmentation", "decoder": decoder, "output_size": SIDE, "tube_width": 0.06}
    return Segmentation(**values | changes)


def films(shape, *tubes):
    height, width = shape
    drawn = [{"label": "ett", "points": points} for points in tubes]
    return pl.DataFrame({"tubes": [json.dumps(drawn)], "height": [height], "width": [width]})


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("whole", [False, True])
def test_the_square_lies_where_points_are_mapped_to(kind, shape, whole):
    encoder, frame = ENCODERS[kind], Frame.of(*shape, 50)
    square = Square.on(frame, encoder, whole, 40)
    points = np.random.default_rng(0).uniform(-0.5, 0.5, (20, 2)) * shape[::-1]
    points += (np.array(shape[::-1]) - 1) / 2
    side = padded_side(*shape, encoder) if whole else None
    if side is None:
        shares = map_points(points, *shape, encoder)
    else:
        moved = points + np.array([(side - shape[1]) // 2, (side - shape[0]) // 2])
        shares = map_points(moved, side, side, encoder)
        assert shares.min() >= 0 and shares.max() <= 1
    found = frame.place(points) * square.scale + square.offset
    assert found == pytest.approx(shares * 40)


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("unseen", ["missed", "padded"])
def test_what_the_encoder_sees_comes_back_to_its_place(kind, shape, unseen):
    """And where it sees nothing, nothing is predicted."""
    encoder, task = ENCODERS[kind], segmentation(unseen=unseen)
    height, width = shape
    line = [[width * 0.03, height * 0.5], [width * 0.97, height * 0.55]]
    across = [[width * 0.55, height * 0.02], [width * 0.45, height * 0.98]]
    masks = TubeMasks(films(shape, line, across), ("ett",), task, encoder)
    true = masks.truth(0)["ett"]
    square, frame = masks.squares[0], masks.frames[0]
    back = square.back(masks.seen([0])[0, 0]) > 0.5
    everything = square.back(np.ones((SIDE, SIDE), np.float32))
    assert set(np.unique(everything)) <= {0, 1}
    seen = everything > 0
    if unseen == "padded":
        assert seen.all()
    assert not back[~seen].any()
    both = back & true & seen
    assert 2 * both.sum() / (back.sum() + (true & seen).sum()) > 0.85
    grid = np.stack(np.meshgrid(np.arange(frame.columns), np.arange(frame.rows)), -1) + 0.5
    inside = ((grid * square.scale + square.offset) > 0) & (
        (grid * square.scale + square.offset) < SIDE
    )
    assert np.array_equal(seen, inside.all(-1))


@pytest.mark.parametrize("kind", ENCODERS)
@pytest.mark.parametrize("unseen", ["missed", "padded"])
@pytest.mark.parametrize("shape", SHAPES)
def test_masks_lie_on_the_line_that_the_encoder_sees(kind, unseen, shape):
    """A bright line drawn in the stored image is where the mask of the square says it is."""
    height, width = shape
    encoder = ENCODERS[kind]
    image = np.zeros(shape, np.uint8)
    column = width // 2 + 3
    image[:, column - 1 : column + 2] = 255
    line = [[column, 0], [column, height - 1]]
    task = segmentation(unseen=unseen, tube_width=0.02)
    masks = TubeMasks(films(shape, line), ("ett",), task, encoder)
    mask = masks.seen([0])[0, 0].astype(float)
    seen = prepare_one(padded(image, encoder) if unseen == "padded" else image, encoder)
    rows = (mask.sum(1) > 0.3) & (seen.sum(1) > 60)
    assert rows.sum() > 20
    weights = np.arange(SIDE)
    centre = (seen * weights).sum(1)[rows] / seen.sum(1)[rows]
    drawn = (mask * weights).sum(1)[rows] / mask.sum(1)[rows]
    assert np.abs(centre - drawn).max() < 0.8


def test_a_film_that_is_seen_whole_is_not_padded():
    for kind, shape in (("mi2", (200, 130)), ("rad-dino", (70, 70))):
        image = np.zeros(shape, np.uint8)
        assert padded(image, ENCODERS[kind]) is image
    assert padded(np.ones((70, 70), np.uint8), ENCODERS["cropped"]).shape == (80, 80)


def test_the_truth_is_the_same_for_every_encoder_and_tips_are_last_points():
    tubes = films((200, 130), [[20, 5], [60, 190]], [[-1, 3], [131, 90]])
    found = [TubeMasks(tubes, ("ett",), segmentation(), each) for each in ENCODERS.values()]
    assert all(np.array_equal(each.truth(0)["ett"], found[0].truth(0)["ett"]) for each in found)
    assert found[0].truth(0)["ett"].shape == (98, 64)
    x, y, edge, _ = found[0].tips(0, "ett")
    assert (x, y) == pytest.approx((60.5 * 64 / 130, 190.5 * 98 / 200))
    assert edge == 64
    assert found[0].tips(0, "ngt") == []


def test_masks_come_back_from_their_form_in_tables():
    random = np.random.default_rng(1)
    for shape in ((64, 98), (5, 3), (1, 1)):
        mask = random.random(shape) < 0.3
        mask[0, 0] = True
        assert np.array_equal(decode_mask(encode_mask(mask), shape), mask)
    assert encode_mask(np.zeros((4, 4), bool)) is None
    assert not decode_mask(None, (4, 6)).any()
