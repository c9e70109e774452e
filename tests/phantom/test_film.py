import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from radscale_lib.phantom import draw_patient, draw_study, film, render
from radscale_lib.phantom.canvas import Canvas, Pose, Strokes
from radscale_lib.phantom.devices import LOOKS
from radscale_lib.phantom.draws import stream
from radscale_lib.phantom.exposure import lay_markers
from radscale_lib.phantom.population import Finding, Study, Tube
from radscale_lib.phantom.sites import FINDINGS, TUBES

EXAMPLES = {
    "ett": Tube(-1, "mouth", "trachea", 0.5),
    "ngt": Tube(1, "mouth", "stomach", 0.5),
    "cvc": Tube(-1, "subclavian", "svc", 0.5),
    "chest_tube": Tube(1, "pleura", "apex", 0.5),
}


def plain(number: int = 0, site: str = "institution") -> Study:
    """A study without findings or tubes."""
    study = draw_study(draw_patient(4, site, number), 0)
    return dataclasses.replace(study, findings={}, tubes={}, views=("PA",))


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 2**31),
    st.integers(0, 10**6),
    st.sampled_from(("institution", "public")),
    st.integers(64, 150),
)
def test_films_are_sound(seed: int, number: int, site: str, pixels: int) -> None:
    study = draw_study(draw_patient(seed, site, number), 0)
    for image in range(len(study.views)):
        shown = render(study, image, pixels)
        assert shown.grey.dtype == np.float32
        assert min(shown.grey.shape) == pixels
        assert max(shown.grey.shape) <= 1.25 * pixels
        assert np.isfinite(shown.grey).all()
        assert 0 <= shown.grey.min() < 0.1
        assert 0.9 < shown.grey.max() <= 1.0001
        again = render(study, image, pixels)
        np.testing.assert_array_equal(shown.grey, again.grey)
        assert set(shown.polylines) == set(shown.masks) <= set(study.tubes)
        if shown.view == "LL":
            assert not shown.polylines


@pytest.mark.parametrize("tube", TUBES)
@pytest.mark.parametrize("pixels", (64, 128, 400))
def test_polyline_runs_along_the_middle_of_the_mask(tube: str, pixels: int) -> None:
    for number in range(4):
        study = dataclasses.replace(plain(number), tubes={tube: EXAMPLES[tube]})
        shown = render(study, 0, pixels)
        line, mask = shown.polylines[tube], shown.masks[tube]
        at = np.linspace(0, len(line) - 1, 400)
        dense = np.stack([np.interp(at, np.arange(len(line)), line[:, k]) for k in (0, 1)], axis=1)
        assert (dense >= 0).all()
        assert (dense <= (mask.shape[1] - 1, mask.shape[0] - 1)).all()
        ys, xs = np.nonzero(mask)
        centres = np.stack([xs, ys], axis=1)
        gaps = np.hypot(*(centres[:, None] - dense[None]).transpose(2, 0, 1))
        half = 0.5 * LOOKS[tube].width * pixels
        assert gaps.min(axis=1).max() <= half + 1.2 + 0.002 * pixels
        assert np.median(gaps.min(axis=0)) <= 0.75
        # Unbiased to a fraction of a pixel: positions count pixel centres.
        nearest = dense[gaps.argmin(axis=1)]
        assert np.abs((centres - nearest).mean(axis=0)).max() < 0.3


@pytest.mark.parametrize("name", FINDINGS)
def test_a_finding_changes_the_film_and_its_twin_shares_everything_else(name: str) -> None:
    without = plain(3)
    present = dataclasses.replace(without, findings={name: Finding(0.8, (1,), 0.5)})
    a, b = render(without, 0, 128).grey, render(present, 0, 128).grey
    assert a.shape == b.shape
    changed = np.abs(a - b) > 0.05
    assert changed.sum() >= 60
    if name not in ("edema", "cardiomegaly"):
        middle = a.shape[1] / 2
        assert np.nonzero(changed)[1].mean() > middle  # side +1 is the image's right
        assert changed[:, : round(0.7 * middle)].mean() < 0.02


@pytest.mark.parametrize("name", TUBES)
def test_a_tube_brightens_its_mask(name: str) -> None:
    for site, least in (("institution", 0.05), ("public", 0.03)):
        without = plain(3, site)
        present = dataclasses.replace(without, tubes={name: EXAMPLES[name]})
        a, b = render(without, 0, 128), render(present, 0, 128)
        mask = b.masks[name]
        assert mask.sum() > 60
        assert (b.grey - a.grey)[mask].mean() > least
        assert abs((b.grey - a.grey)[~mask].mean()) < 0.02


def test_markers_do_not_depend_on_labels_or_view(monkeypatch: pytest.MonkeyPatch) -> None:
    states: list[Any] = []

    def record(grey: Any, canvas: Any, rng: np.random.Generator) -> Any:
        states.append(str(rng.bit_generator.state))
        return grey

    monkeypatch.setattr(film, "lay_markers", record)
    base = plain(1)
    sick = dataclasses.replace(
        base,
        sickness=1.0,
        views=("AP",),
        findings=dict.fromkeys(FINDINGS, Finding(1.0, (-1, 1), 0.5)),
        tubes=EXAMPLES,
    )
    for study in (base, sick):
        render(study, 0, 64)
    assert states[0] == states[1]


def test_markers_keep_their_share_of_the_film() -> None:
    shares = []
    for pixels in (64, 128, 512):
        canvas = Canvas(pixels, pixels, pixels)
        covers = [
            lay_markers(np.zeros((pixels, pixels), np.float32), canvas, stream("marker", number))
            for number in range(40)
        ]
        shares.append(np.mean([cover.mean() for cover in covers]))
        assert 0 < np.mean([cover.max() > 0.4 for cover in covers]) < 1
    assert max(shares) / min(shares) < 1.25


def test_poses_move_points_as_they_move_images() -> None:
    canvas = Canvas(150, 128, 128)
    pose = Pose(0.05, 0.95, (0.03, -0.02))
    for centre in ((0.3, 0.4), (0.7, 0.9)):
        strokes = Strokes(canvas)
        strokes.disc(centre, 0.03)
        seen = canvas.warp(strokes.plane(), pose)
        ys, xs = np.mgrid[: canvas.height, : canvas.width]
        found = np.array([(xs * seen).sum(), (ys * seen).sum()]) / seen.sum()
        wanted = canvas.to_pixels(canvas.move(np.array([centre]), pose))[0]
        np.testing.assert_allclose(found, wanted, atol=0.15)


def test_no_label_is_read_off_the_mean_grey() -> None:
    greys, labels = [], []
    for number in range(320):
        study = draw_study(draw_patient(8, "institution", number), 0)
        greys.append(render(study, 0, 64).grey.mean())
        labels.append(list(study.present.values()))
    areas = [roc_auc_score(column, greys) for column in np.array(labels).T]
    assert max(max(area, 1 - area) for area in areas) < 0.74


def test_a_course_that_leaves_the_film_is_cut_to_its_longest_part() -> None:
    canvas = Canvas(100, 100, 100)
    corners = np.array([(-20.0, 50), (20, 50), (40, -30), (60, 50), (60, 95), (60, 130)])
    at = np.linspace(0, 5, 61)
    course = np.stack([np.interp(at, np.arange(6), corners[:, k]) for k in (0, 1)], axis=1)
    line = film._cut(course, canvas)
    assert len(line) == film.POLYLINE_POINTS
    assert (line[:, 0] > 45).all()
    np.testing.assert_allclose(line[-1], (60, 99), atol=1.0)
    assert film._cut(course - 500, canvas).shape[0] < 2
