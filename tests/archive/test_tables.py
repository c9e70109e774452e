"""Reports, labels and tubes: joined by key, and errors that say what to do."""

import cv2
import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radscale_lib.archive.header import read_header
from radscale_lib.archive.instance import instance_of
from radscale_lib.archive.join import Join
from radscale_lib.archive.jointable import write_join_table
from radscale_lib.archive.tablefile import TableError
from radscale_lib.archive.tables import LabelTable, Reports, TubeTable
from radscale_lib.archive.texts import TextReader
from radscale_lib.archive.tubes import outlines
from radscale_lib.study.archive import Labels

LABELS = Labels(findings=("effusion",), tubes=("ett",))


@pytest.fixture
def instances(make_dicom, make_image, tmp_path):
    """Six images of three studies of two patients."""
    image = make_image(16, 16, 255).astype("u1")
    paths = [make_dicom(tmp_path / f"{number}.dcm", image, number) for number in range(6)]
    return [instance_of(read_header(path), "PA") for path in paths]


def joined(name, path, instances):
    """The join of a table to some images."""
    ready = path.with_name(f"{path.name}.ready.parquet")
    write_join_table(name, path, LABELS, ready)
    return Join(ready, [instance.identity for instance in instances])


def reports_of(path, instances):
    return Reports(joined("reports", path, instances), TextReader("en", scrubbed=True))


def labels_of(path, instances):
    return LabelTable(joined("labels", path, instances), LABELS)


def tubes_of(path, instances):
    return TubeTable(joined("tubes", path, instances), path, LABELS, instances)


def write(path, rows):
    """A table in the kind that the suffix says."""
    frame = pl.DataFrame(rows)
    if path.suffix == ".csv":
        frame.write_csv(path)
    elif path.suffix == ".parquet":
        frame.write_parquet(path)
    else:
        frame.write_ndjson(path)
    return path


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_reports_by_accession_number(instances, tmp_path, suffix):
    rows = [
        {"accession_number": "ACC0", "findings": " Clear.\n", "impression": None},
        {"accession_number": "ACC2", "findings": "Not clear.", "impression": "Bad."},
        {"accession_number": "OTHER", "findings": "x", "impression": "y"},
    ]
    reports = reports_of(write(tmp_path / f"reports{suffix}", rows), instances)
    texts = map(reports.of, instances)
    assert [text and text[:2] for text in texts] == [
        ("Clear.", None),
        ("Clear.", None),
        None,
        None,
        ("Not clear.", "Bad."),
        ("Not clear.", "Bad."),
    ]


def test_reports_by_study_uid_from_one_text(instances, tmp_path):
    rows = [{"study_instance_uid": "1.2.3.5.1", "report": "FINDINGS: A.\nIMPRESSION: B."}]
    reports = reports_of(write(tmp_path / "reports.csv", rows), instances)
    texts = map(reports.of, instances[1:3])
    assert [text and text[:2] for text in texts] == [None, ("A.", "B.")]


def test_numeric_keys_of_parquet_join(make_dicom, make_image, tmp_path):
    image = make_image(16, 16, 255).astype("u1")
    path = make_dicom(tmp_path / "a.dcm", image, AccessionNumber="123")
    instance = instance_of(read_header(path), "PA")
    table = write(tmp_path / "reports.parquet", [{"accession_number": 123, "findings": "A."}])
    assert reports_of(table, [instance]).of(instance)[:2] == ("A.", None)


def test_an_image_without_key_joins_nothing(make_dicom, make_image, tmp_path):
    image = make_image(16, 16, 255).astype("u1")
    instance = instance_of(
        read_header(make_dicom(tmp_path / "a.dcm", image, AccessionNumber="")), "PA"
    )
    table = write(tmp_path / "reports.csv", [{"accession_number": "", "findings": "A."}])
    assert reports_of(table, [instance]).of(instance) is None


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_labels(instances, tmp_path, suffix):
    rows = [
        {"sop_instance_uid": "1.2.3.4.0", "effusion": 1.0, "ett": -1.0, "other": "z"},
        {"sop_instance_uid": "1.2.3.4.1", "effusion": None, "ett": 0.0, "other": "z"},
    ]
    table = labels_of(write(tmp_path / f"labels{suffix}", rows), instances)
    assert [table.of(instance) for instance in instances[:3]] == [
        {"effusion": 1, "ett": -1},
        {"effusion": None, "ett": 0},
        None,
    ]


def test_labels_by_study_reach_every_image(instances, tmp_path):
    rows = [{"accession_number": "ACC1", "effusion": 1, "ett": 0}]
    table = labels_of(write(tmp_path / "labels.csv", rows), instances)
    assert [table.of(instance) is None for instance in instances] == [1, 1, 0, 0, 1, 1]


def test_repeated_rows_that_agree_are_one(instances, tmp_path):
    rows = [{"accession_number": "ACC1", "effusion": 1, "ett": 0, "other": i} for i in range(2)]
    table = labels_of(write(tmp_path / "labels.csv", rows), instances)
    assert table.of(instances[2]) == {"effusion": 1, "ett": 0}


def test_tubes(instances, tmp_path):
    rows = [
        {"sop_instance_uid": "1.2.3.4.0", "label": "ett", "data": "[[1, 2.5], [3, 4]]"},
        {"sop_instance_uid": "1.2.3.4.0", "label": "ett", "data": "[[5, 6]]"},
        {"sop_instance_uid": "1.2.3.4.0", "label": "secret", "data": "[[5, 6]]"},
        {"sop_instance_uid": "1.2.3.4.1", "label": "", "data": ""},
    ]
    table = tubes_of(write(tmp_path / "tubes.csv", rows), instances)
    assert [table.of(instance) for instance in instances[:3]] == [
        [("ett", [[(1.0, 2.5), (3.0, 4.0)]], False), ("ett", [[(5.0, 6.0)]], False)],
        [],
        None,
    ]
    assert table.other_labels == 1


def test_an_image_with_other_tubes_only_was_not_looked_at_for_these(instances, tmp_path):
    rows = [
        {**IMAGE, "label": "drain", "data": "[[1, 2], [3, 4]]"},
        {"sop_instance_uid": "1.2.3.4.1", "label": "drain", "data": "[[99, 99]]"},
        {"sop_instance_uid": "1.2.3.4.1", "label": "ett", "data": "[[-0.1, 15.2], [3, 4]]"},
    ]
    table = tubes_of(write(tmp_path / "tubes.csv", rows), instances)
    assert table.of(instances[0]) is None
    assert table.of(instances[1]) == [("ett", [[(-0.1, 15.2), (3.0, 4.0)]], False)]
    assert table.other_labels == 2


def png_of(path, mask):
    path.parent.mkdir(exist_ok=True)
    cv2.imwrite(str(path), mask)
    return str(path.relative_to(path.parents[1]))


def test_tubes_of_png_masks(instances, tmp_path):
    size = instances[0].rows, instances[0].columns
    ring = np.zeros(size, np.uint8)
    cv2.circle(ring, (size[1] // 2, size[0] // 2), min(size) // 3, 200, 2)
    ring[0, 0] = 1
    name = png_of(tmp_path / "masks/1.png", ring)
    deep = png_of(tmp_path / "masks/2.png", ring.astype(np.uint16) << 8)
    empty = png_of(tmp_path / "masks/3.png", ring * 0)
    key = {"sop_instance_uid": "1.2.3.4.0", "label": "ett"}
    rows = [
        {**key, "data": "", "mask": name},
        {**key, "data": "[[5, 6]]", "mask": ""},
        {**key, "data": "", "mask": deep},
        {**key, "data": "", "mask": empty},
        {**key, "label": "other", "data": "", "mask": "not/looked/at.png"},
    ]
    table = tubes_of(write(tmp_path / "tubes.csv", rows), instances)
    first, line, second = table.of(instances[0])
    assert line == ("ett", [[(5.0, 6.0)]], False)
    assert first == second
    filled = np.zeros(size, np.uint8)
    cv2.fillPoly(filled, [np.array(outline, np.int32) for outline in first.lines], 1)
    np.testing.assert_array_equal(filled, ring > 0)
    without_data = [{**key, "mask": name}]
    table = tubes_of(write(tmp_path / "masks.csv", without_data), instances)
    assert table.of(instances[0]) == [first]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), share=st.floats(0.02, 0.98))
def test_outlines_filled_are_the_mask(seed, share):
    mask = np.random.default_rng(seed).random((19, 23)) < share
    filled = np.zeros(mask.shape, np.uint8)
    cv2.fillPoly(filled, [np.array(outline, np.int32) for outline in outlines(mask)], 1)
    np.testing.assert_array_equal(filled, mask)


def test_masks_that_cannot_be_used(instances, tmp_path):
    rows, columns = instances[0].rows, instances[0].columns
    small = png_of(tmp_path / "ACC0/1.2.3.png", np.ones((3, 5), np.uint8))
    tube = np.zeros((rows, columns), np.uint8)
    tube[2:5, 3] = 255
    jpeg = png_of(tmp_path / "ACC0/1.2.3.jpg", tube)
    glass = png_of(tmp_path / "ACC0/1.2.4.png", np.dstack([0 * tube] * 3 + [tube]))
    white = png_of(tmp_path / "ACC0/1.2.5.png", 255 - tube)
    for name, message in (
        ("1.2.3/ACC0.png", "names no readable PNG: give its path from the table's folder"),
        (jpeg, "names no readable PNG: give its path from the table's folder"),
        (glass, "has a PNG with transparent pixels: save it in grey, with 0 where there is no "
                "tube"),
        (white, "has a PNG in which more than half of the pixels are not 0: save it with 0 where "
                "there is no tube"),
        (small, f"has a PNG of 3 x 5 pixels and an image of {rows} x {columns}: draw it in "
                "pixels of the original image"),
    ):  # fmt: skip
        path = write(tmp_path / "tubes.csv", [{**IMAGE, "label": "ett", "mask": name}])
        assert failure(tubes_of, path, instances) == f"mask: row 2 {message}"


def failure(kind, path, instances):
    with pytest.raises(TableError) as caught:
        kind(path, instances)
    message = str(caught.value)
    assert str(path) in message
    assert "ACC" not in message
    assert "1.2.3" not in message
    return message.removeprefix(f"{path}: ")


KEY = {"accession_number": "ACC0"}
IMAGE = {"sop_instance_uid": "1.2.3.4.0"}
TWICE = "accession_number: rows 2 and 3 have the same key and differ: keep one of them"
NO_VALUE = "row 2 is not 1, 0, -1 (uncertain) or blank: correct it"
NO_POINTS = "data: row 2 is not a list of [x, y] in JSON: correct it"
OUTSIDE = (
    "data: row 2 has points outside of its image of 16 x 16 pixels, so that its coordinates are of "
    "another size: give them in pixels of the image as it is in the archive"
)
UNLABELLED = (
    "label: row 2 is blank and has a drawing: name the tube, or leave all of the row but its key "
    "blank if there is none"
)
NO_HEADER = (
    "the first row is one cell, which is none of the expected names: it must be the header, "
    "separated by comma, semicolon or tab"
)
WRONG = [
    (
        reports_of,
        [{"id": "a"}],
        f"no key column: add 'study_instance_uid' or 'accession_number' ({NO_HEADER})",
    ),
    (
        reports_of,
        [{**KEY, "text": "a"}],
        "no column 'findings', 'impression' or 'report': name the text's column so "
        "(found accession_number, text)",
    ),
    (reports_of, [{**KEY, "report": "a"}, {**KEY, "report": "b"}], TWICE),
    (
        labels_of,
        [{"id": "a"}],
        "no key column: add 'sop_instance_uid' or 'study_instance_uid' or 'accession_number' "
        f"({NO_HEADER})",
    ),
    (
        labels_of,
        [{**KEY, "effusion": 1}],
        "no column 'ett': add it, or remove 'ett' from the study's labels "
        "(found accession_number, effusion)",
    ),
    (labels_of, [{**KEY, "effusion": 1, "ett": 2}], f"ett: {NO_VALUE}"),
    (labels_of, [{**KEY, "effusion": "yes", "ett": 1}], f"effusion: {NO_VALUE}"),
    (labels_of, [{**KEY, "effusion": 1, "ett": 1}, {**KEY, "effusion": 1, "ett": None}], TWICE),
    (
        tubes_of,
        [{**KEY, "label": "ett", "data": "[]"}],
        "no key column: add 'sop_instance_uid' (found accession_number, label, data)",
    ),
    (
        tubes_of,
        [{**IMAGE, "label": "ett"}],
        "no column 'data': add it (found sop_instance_uid, label)",
    ),
    *(
        (tubes_of, [{**IMAGE, "label": "ett", "data": data}], NO_POINTS)
        for data in (
            "[]",
            "[[1]]",
            "x",
            "[[1, 2, 3]]",
            "[[1, NaN]]",
            "[1, 2]",
            "",
            "[" * 9999,
            f"[[1{'0' * 400}, 2]]",
        )
    ),
    *(
        (tubes_of, [{**IMAGE, "label": "ett", "data": data}], OUTSIDE)
        for data in ("[[5000, 4000], [5100, 4200]]", "[[3, 3], [8, 17]]", "[[3, 3], [-2, 8]]")
    ),
    (
        tubes_of,
        [{**IMAGE, "label": "ett", "data": "[[0.2, 0.3], [0.7, 1.0]]"}],
        "data: row 2 lies within one pixel, so that its coordinates are shares of the image's "
        "size: give them in pixels of the image",
    ),
    *(
        (tubes_of, [{**IMAGE, "label": " ", **drawing}], UNLABELLED)
        for drawing in ({"data": "[[1, 2], [3, 4]]"}, {"mask": "a.png"})
    ),
    *(
        (
            tubes_of,
            [{**IMAGE, "label": label, "data": "[[1, 2], [3, 4]]"}],
            "label: row 2 differs from 'ett' of labels.tubes in case, blanks or punctuation alone: "
            "write both alike",
        )
        for label in ("ETT", "E.T.T.")
    ),
]


@pytest.mark.parametrize(("kind", "rows", "message"), WRONG)
def test_wrong_tables(instances, tmp_path, kind, rows, message):
    assert failure(kind, write(tmp_path / "table.csv", rows), instances) == message


def test_unreadable_tables(instances, tmp_path):
    assert "cannot be read" in failure(reports_of, tmp_path / "none.csv", instances)
    (tmp_path / "table.xlsx").write_bytes(b"x")
    assert failure(reports_of, tmp_path / "table.xlsx", instances) == (
        "unknown kind: give .csv, .parquet or .jsonl"
    )
    (tmp_path / "a.parquet").write_bytes(b"no Parquet ACC0 1.2.3")
    assert "not readable as Parquet" in failure(reports_of, tmp_path / "a.parquet", instances)
