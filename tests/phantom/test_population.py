import numpy as np
import pytest

from radscale_lib.phantom import draw_patient, draw_study
from radscale_lib.phantom.devices import tube_height_cm
from radscale_lib.phantom.draws import stream, uid
from radscale_lib.phantom.population import Study, Tube
from radscale_lib.phantom.sites import FINDINGS, SITES, TUBES


def studies(site: str, patients: int = 1500) -> list[Study]:
    return [
        draw_study(patient, number)
        for patient in (draw_patient(9, site, number) for number in range(patients))
        for number in range(patient.studies)
    ]


@pytest.mark.parametrize("site", SITES)
def test_prevalences(site: str) -> None:
    drawn = studies(site)
    for name in FINDINGS:
        expected = SITES[site].prevalence[name]
        if name == "effusion":  # edema brings a third more of it along
            edema = SITES[site].prevalence["edema"]
            expected = 1 - (1 - expected) * (1 - 0.35 * edema)
        share = np.mean([study.present[name] for study in drawn])
        assert share == pytest.approx(expected, abs=0.045)
    for name in TUBES:
        assert 0.08 < np.mean([study.present[name] for study in drawn]) < 0.45


def test_sites_differ_in_every_shifted_respect() -> None:
    institution, public = SITES["institution"], SITES["public"]
    assert institution.prevalence != public.prevalence
    assert {s.model for s in institution.scanners}.isdisjoint(s.model for s in public.scanners)
    for name in ("fat", "size", "portable", "gamma", "scatter", "quanta", "detail"):
        assert getattr(institution, name) != getattr(public, name)
    for name in ("tubes", "tube_contrast", "tube_core"):
        assert getattr(institution, name) != getattr(public, name)


def test_the_public_site_has_fewer_tubes_and_bedside_films() -> None:
    institution, public = (studies(site, 600) for site in ("institution", "public"))
    for name in TUBES:
        shares = [np.mean([name in s.tubes for s in group]) for group in (institution, public)]
        assert shares[1] < 0.85 * shares[0]
    bedside = [np.mean([s.views[0] == "AP" for s in group]) for group in (institution, public)]
    assert bedside[1] < bedside[0] - 0.2


def test_sickness_makes_findings_tubes_and_bedside_films_likelier() -> None:
    drawn = studies("institution", 800)
    sick = [s for s in drawn if s.sickness > 0.6]
    well = [s for s in drawn if s.sickness < 0.4]
    for share in (
        lambda group: np.mean([len(s.findings) for s in group]),
        lambda group: np.mean([len(s.tubes) for s in group]),
        lambda group: np.mean([s.views[0] == "AP" for s in group]),
    ):
        assert share(sick) > 1.3 * share(well)


def test_views() -> None:
    drawn = studies("institution", 400)
    assert {study.views for study in drawn} == {
        ("AP",), ("AP", "AP"), ("PA",), ("PA", "PA"), ("PA", "LL"),
    }  # fmt: skip
    assert {study.patient.studies for study in drawn} == {1, 2, 3}


def test_a_study_does_not_depend_on_what_was_drawn_before() -> None:
    alone = draw_study(draw_patient(9, "public", 77), 1)
    studies("public", 5)
    assert draw_study(draw_patient(9, "public", 77), 1) == alone


def test_streams_of_different_keys_differ() -> None:
    assert stream(1, 23).random() != stream(12, 3).random()
    assert stream("a", "b").random() == stream("a", "b").random()
    assert len({uid("x", number) for number in range(1000)}) == 1000


@pytest.mark.parametrize(
    ("tip", "lowest", "highest"), [("bronchus", -3, 0), ("trachea", 2, 6), ("high", 6, 10)]
)
def test_endotracheal_tubes_end_where_their_tip_says(
    tip: str, lowest: float, highest: float
) -> None:
    for depth in (0.0, 0.5, 1.0):
        height = tube_height_cm(Tube(-1, "mouth", tip, depth))
        assert lowest <= height <= highest
