import csv
from pathlib import Path

import numpy as np

from radscale_lib.phantom import draw_patient, draw_study
from radscale_lib.phantom.devices import tube_height_cm
from radscale_lib.phantom.film import EDGE, render
from radscale_lib.phantom.positions import POSITIONS, class_of, write_positions
from radscale_lib.study.archive import PHANTOM_LABELS, Phantom

STUDIES = [
    draw_study(patient, number)
    for patient in (draw_patient(3, "institution", number) for number in range(400))
    for number in range(patient.studies)
]


def test_every_tube_of_a_kind_has_one_class() -> None:
    for study in STUDIES:
        found = write_positions(study, ())
        assert tuple(found) == POSITIONS == PHANTOM_LABELS["positions"]
        for kind in ("ett", "ngt", "cvc"):
            classes = [value for name, value in found.items() if name.startswith(kind)]
            assert sum(classes) == (kind in study.tubes)
    shares = np.mean([[*write_positions(study, ()).values()] for study in STUDIES], axis=0)
    seen = [name for name in POSITIONS if name != "ngt_incomplete"]
    assert min(share for share, name in zip(shares, POSITIONS, strict=True) if name in seen) > 0


def test_classes_follow_from_where_the_tip_is() -> None:
    for study in STUDIES:
        if tube := study.tubes.get("ett"):
            height = tube_height_cm(tube)
            expected = "abnormal" if height < 0 else "borderline" if height > 6 else "normal"
            assert class_of("ett", tube) == expected


def test_a_tube_that_may_go_on_beyond_the_film_is_imaged_incompletely() -> None:
    incomplete = 0
    for study in (study for study in STUDIES if "ngt" in study.tubes):
        film = render(study, 0, 64)
        height, width = film.grey.shape
        x, y = film.polylines["ngt"][-1]
        gap = min(x, y, width - 1 - x, height - 1 - y)
        assert ("ngt" in film.unseen) == (gap < EDGE * 64)
        found = write_positions(study, film.unseen)
        assert found["ngt_incomplete"] == (gap < EDGE * 64)
        incomplete += found["ngt_incomplete"]
    assert 0 < incomplete < 50


def test_the_table_of_labels_has_the_classes(archive: Path, phantom: Phantom) -> None:
    with (archive / "labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows:
        for kind in ("ett", "ngt", "cvc"):
            classes = [int(row[name]) for name in POSITIONS if name.startswith(kind)]
            assert sum(classes) <= 1
            if row[kind] == "1":
                assert sum(classes) == 1
