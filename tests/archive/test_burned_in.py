"""Text burnt into pixels: found and covered, and films without it left alone."""

import random

import cv2
import numpy as np
import pytest

from benchmarks.burned_in import FONTS, masked, phantoms, plant
from radscale_lib.archive.burned_in import find_text, mask_text
from radscale_lib.archive.grey import GreyScale


@pytest.fixture
def film(make_image) -> np.ndarray:
    """A film of 12 bits without text."""
    return make_image(600, 500, 3600, seed=3).astype(np.uint16)


def burn(film: np.ndarray, text: str, at=(40, 60), ink=4095, scale=1.0) -> np.ndarray:
    letters = cv2.putText(
        np.zeros(film.shape, np.uint8), text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, 255, 2
    )
    return np.where(letters > 0, film.dtype.type(ink), film)


@pytest.mark.parametrize("ink", [0, 4095])
@pytest.mark.parametrize("turns", [0, 1, 3])
def test_a_line_is_found_and_covered(film, ink, turns):
    before = np.rot90(film, turns).copy()
    burnt = np.rot90(burn(film, "MILLER ANNA 16.06.1976", (40, 300), ink), turns).copy()
    boxes = find_text(burnt)
    covered = mask_text(burnt, boxes)
    written = before != burnt
    assert not (covered[written] == ink).any()
    inside = np.zeros(film.shape, bool)
    inside = np.rot90(inside, turns).copy()
    for box in boxes:
        inside[box.top : box.bottom, box.left : box.right] = True
    assert inside[written].all()
    np.testing.assert_array_equal(covered[~inside], before[~inside])
    assert inside.mean() < 0.2
    assert find_text(covered) == []


def test_what_is_no_text(film):
    assert find_text(film) == []
    assert find_text(burn(film, "L", (400, 80), scale=2)) == []  # a side marker
    wired = cv2.line(film.copy(), (0, 0), (499, 599), 4095, 3)
    wired[:, 480:] = 0  # a wire, a shutter
    assert find_text(wired) == []
    assert find_text(np.zeros((80, 70), np.uint8)) == []
    assert find_text(np.zeros((1, 1), np.uint16)) == []


def test_bits_and_signs_do_not_matter(film):
    burnt = burn(film, "DOB 16.06.1976")
    boxes = find_text(burnt)
    assert boxes
    scale = GreyScale(bits=12, signed=True, inverted=False)
    patterns = (burnt.astype(int) - 2048).astype(np.uint16) & 4095
    ordered = scale.in_order(patterns)
    np.testing.assert_array_equal(ordered, burnt)
    np.testing.assert_array_equal(scale.in_order(ordered), patterns)
    assert find_text(4095 - burnt) == boxes
    assert find_text((burnt >> 4).astype(np.uint8)) != []


def test_recall_on_planted_lines():
    """The figures of docs/hospital/privacy.md; they are of contrasts above half of the range."""
    films = list(phantoms(2, 1024))
    assert not any(find_text(film) for film in films)
    rng = random.Random(4)
    lines = [plant(rng.choice(films), FONTS["held out"], rng) for _ in range(60)]
    clear = [line for line in lines if line.traits["contrast"] == "above 50 %"]
    assert len(clear) > 25
    found = [masked(line.film, line.ink) >= 0.95 for line in clear]
    assert np.mean(found) > 0.9
