"""Views, from the fields that state them."""

import pytest

from radscale_lib.archive.views import view_of


@pytest.mark.parametrize(
    ("position", "expected"),
    [
        ("PA", "PA"),
        ("pa ", "PA"),
        ("AP", "AP"),
        ("LL", "LL"),
        ("RL", "RL"),
        ("LATERAL", "LL"),
        ("LAT", "LL"),
        ("LEFT LATERAL", "LL"),
        ("R LAT", "RL"),
        ("RIGHT LATERAL", "RL"),
        ("RT_LAT", "RL"),
        ("ANTERO-POSTERIOR", "AP"),
        ("posteroanterior", "PA"),
        ("LLD", "unknown"),
        ("RLO", "unknown"),
        ("LLO", "unknown"),
        ("", "unknown"),
        ("PAPA", "unknown"),
        ("SPINAL", "unknown"),
        ("P.A.", "PA"),
        ("p-a", "PA"),
        ("A/P", "AP"),
        ("PA LLD", "unknown"),
        ("AP RLD", "unknown"),
        ("AP AXIAL", "unknown"),
        ("APAXIAL", "unknown"),
        ("AP LORDOTIC", "unknown"),
        ("LPO", "unknown"),
    ],
)
def test_view_position(position, expected):
    assert view_of(position, "", "", []) == expected


def test_decubitus_position_wins_over_words():
    assert view_of("LLD", "", "CHEST AP", []) == "unknown"


@pytest.mark.parametrize(
    ("meaning", "expected"),
    [
        ("postero-anterior", "PA"),
        ("antero-posterior", "AP"),
        ("right lateral", "RL"),
        ("axial", "unknown"),
    ],
)
def test_view_code(meaning, expected):
    assert view_of("", meaning, "", []) == expected
    assert view_of("", meaning, "CHEST LL", []) == expected


@pytest.mark.parametrize(
    ("description", "orientation", "expected"),
    [
        ("Chest PA", [], "PA"),
        ("W033 Chest AP portable", [], "AP"),
        ("THORAX LAT.", [], "LL"),
        ("chest_right_lateral", [], "RL"),
        ("CHEST PA & LAT", [], "unknown"),
        ("CHEST PA & LAT", ["L", "F"], "PA"),
        ("CHEST PA & LAT", ["A", "F"], "LL"),
        ("CHEST PA & RT LAT", ["P", "F"], "RL"),
        ("CHEST 2 VIEWS", ["A", "F"], "LL"),
        ("CHEST 2 VIEWS", ["L", "F"], "unknown"),
        ("CHEST AP", ["P", "F"], "LL"),
        ("CHEST LAT DECUBITUS", [], "unknown"),
        ("CHEST OBLIQUE PA", [], "unknown"),
        ("Thorax pa", [], "PA"),
        ("Thorax p.a. stehend", [], "PA"),
        ("Thorax a.p. im Liegen", [], "AP"),
        ("Thorax seitlich", [], "LL"),
        ("Thorax rechts seitlich", [], "RL"),
        ("Thorax seitl.", [], "LL"),
        ("Tórax PA", [], "PA"),
        ("TÓRAX ANTEROPOSTERIOR PORTÁTIL", [], "AP"),
        ("Tórax póstero-anterior", [], "PA"),
        ("Tórax perfil", [], "LL"),
        ("TORAX LATERAL DERECHO", [], "RL"),
        ("Thorax de profil", [], "LL"),
        ("Thorax de face, incidence postéro-antérieure", [], "PA"),
        ("胸部后前位", [], "PA"),
        ("Tórax decúbito lateral", [], "unknown"),
        ("Thorax en décubitus latéral gauche AP", [], "unknown"),
        ("Thorax Linksseitenlage ap", [], "unknown"),
        ("Tórax oblicua PA", [], "unknown"),
        ("Thorax schräg pa", [], "unknown"),
        ("", ["", ""], "unknown"),
        ("", [], "unknown"),
    ],
)
def test_description_and_orientation(description, orientation, expected):
    assert view_of("", "", description, orientation) == expected


@pytest.mark.parametrize("position", ["PA", "AP", "LL"])
@pytest.mark.parametrize(
    "description", ["CHEST LEFT LAT DECUB", "CHEST LORDOTIC", "Chest RPO", "Tórax en decúbito"]
)
def test_another_view_in_the_description_wins_over_the_position(position, description):
    assert view_of(position, "", description, []) == "unknown"
    assert view_of(position, "oblique", "", []) == "unknown"


def test_an_unknown_position_falls_back():
    assert view_of("CHEST", "", "CHEST AP", []) == "AP"
    assert view_of("PA", "", "CHEST AP", ["A", "F"]) == "PA"
