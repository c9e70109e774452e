"""Tables as people have them: read as they were meant, or refused with row and remedy."""

import csv
import gzip
import io
import json
import os
import tempfile
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radscale_lib.archive.encodings import encoding_of
from radscale_lib.archive.tablefile import Form, TableError, TableFile

ASKED = ["accession_number", "findings"]
TEXT = "Größe à l’époque: très élevé, ação, señal, 5 µm, 37 °C"


def read(path, form=None, columns=("accession_number", "findings")):
    return [row.cells for row in TableFile(path, ASKED, form).rows(columns)]


def written(tmp_path, content, name="t.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


def refusal(path, form=None):
    with pytest.raises(TableError) as caught:
        read(path, form)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "secret" not in message.lower()
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1", "cp1252"]
)
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_encodings_and_separators_are_found(tmp_path, encoding, separator):
    text = TEXT.replace("’", "'") if encoding == "latin-1" else TEXT
    content = f'accession_number{separator}findings\r\nA1{separator}"{text}"\r\n'
    path = written(tmp_path, content, encoding=encoding)
    assert read(path) == [("A1", text)]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Brak zmian ogniskowych, cień śródpiersia poszerzony, płyn w jamie opłucnej", "cp1250"),
        ("Очаговых изменений не выявлено", "cp1251"),
        ("未见异常,双肺纹理清晰", "gb18030"),
        ("異常所見なし。心拡大なし。", "shift_jis"),
        ("Akciğer değişiklik yok, şüpheli", "cp1254"),
        ("Herzgröße normal, kein Erguß, übrige Gefäße", "cp850"),
        ("épanchement pleural, élévation", "mac_roman"),
    ],
)
def test_an_encoding_that_is_not_sure_must_be_named(tmp_path, text, encoding):
    path = written(tmp_path, f'accession_number,findings\nA1,"{text}"\n', encoding=encoding)
    assert "name its encoding (--encoding)" in refusal(path)
    assert read(path, Form(encoding=encoding)) == [("A1", text)]


def test_damaged_utf_8_is_not_taken_for_another_encoding(tmp_path):
    content = 'accession_number,findings\nA1,"größer"\nA2,"日本"\n'.encode()
    path = written(tmp_path, content.replace("ö".encode(), b"\xf6"))
    assert encoding_of(lambda: path.open("rb")) is None
    assert encoding_of(lambda: path.open("rb"), 10) is None  # whole chunks are read


def test_the_first_bytes_may_end_within_a_character(tmp_path):
    path = written(tmp_path, "ab" + "é" * 2**20)
    for most in (1, 2**20, 2**21, None):
        assert encoding_of(partial(path.open, "rb"), most) == "utf-8"


def test_texts_with_everything_in_them(tmp_path):
    texts = ['a "b" c', "a,b", "one\ntwo\r\nthree", "x" * 300_000, " padded ", "5 cm; 3\t"]
    quoted = "".join('A,"{}"\n'.format(text.replace('"', '""')) for text in texts)
    path = written(tmp_path, f"accession_number,findings\n{quoted}")
    assert [text for _, text in read(path)] == texts


@pytest.mark.parametrize(
    "content",
    [
        "accession_number,findings,\nA1,x,\n",
        "accession_number,findings\nA1,x,,\n",
        ",accession_number,findings\n0,A1,x\n",
        "sep=;\r\naccession_number;findings\r\nA1;x\r\n",
        "accession_number,findings\n\nA1,x\n,\n\n",
        "accession_number,findings\rA1,x\r",
        "\ufeffaccession_number , findings\nA1,x\n",
        "accession_number,findings\nA1\0,x\0\n",
        "findings,accession_number\nx,A1",
    ],
)
def test_harmless_oddities(tmp_path, content):
    assert read(written(tmp_path, content)) == [("A1", "x")]


RAGGED = "put texts that hold the separator in quotation marks, and give every row all cells"
QUOTE = "has a quotation mark too many or too few"
HEADER = "accession_number,findings\n"
REFUSED = {
    "unquoted comma": (
        HEADER + "A1,x\nA2,secret, heart\n", f"line 3 has 3 cells and the header 2: {RAGGED}",
    ),
    "short row": (HEADER + "A1,x\nsecret\n", "line 3 has 1 cells"),
    "unquoted comma before a trailing one": (
        "accession_number,findings,\nA1,secret,heart\n", "line 2 has 3 cells and the header 2",
    ),
    "after a text of several lines": (HEADER + 'A1,"a\nb"\nsecret\n', "line 4 has 1 cells"),
    "quote that does not end": (HEADER + 'A1,"secret\nA2,x\n', f"line 2 {QUOTE}"),
    "quote in the middle": (HEADER + 'A1,"sec"ret\n', f"line 2 {QUOTE}"),
    "backslash before a quote": (HEADER + 'A1,"a \\"secret\\" b"\n', f"line 2 {QUOTE}"),
    "NUL bytes": (HEADER + "A1,sec\0ret\n", "line 2 holds NUL bytes"),
    "rows of another separator": (HEADER + "A1;secret\n", "line 2 has 1 cells"),
    "no header": ("secret,Secret text\nA2,x\n", "must be the header"),
    "no header and a repeated cell": ("secret,secret,secret\n", "must be the header"),
    "empty": ("", "no header in its first row"),
    "repeated column": ("accession_number,findings,findings\nA,b,c\n", "'findings' appears twice"),
    "repeated but for case": (
        "accession_number,findings,Findings \nA,b,secret\n", "appears twice (case, blanks",
    ),
    "other case": (
        "Accession Number,findings\nsecret,x\n",
        "no column 'accession_number', but 'Accession Number': rename it",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_refused(tmp_path, kind):
    content, message = REFUSED[kind]
    path = written(tmp_path, content)
    with pytest.raises(TableError) as caught:
        table = TableFile(path, ASKED)
        table.choose(["accession_number"])
        list(table.rows(ASKED))
    assert message in str(caught.value)
    assert "secret" not in str(caught.value).lower()


def test_names_are_pointed_out_with_the_key_that_maps_them(tmp_path):
    path = written(tmp_path, "Accession Number,Befund\nA1,x\n")
    keys = {"columns": "joins.reports.columns", "encoding": "joins.reports.encoding"}
    with pytest.raises(TableError) as caught:
        TableFile(path, ASKED, Form(keys=keys)).choose(["accession_number"])
    mapped = "joins.reports.columns: {accession_number: 'Accession Number'}"
    assert f"rename it, or set {mapped} (found Accession Number, Befund)" in str(caught.value)
    columns = {"accession_number": "Accession Number", "findings": "Befund"}
    assert read(path, Form(columns, keys=keys)) == [("A1", "x")]
    with pytest.raises(TableError, match="no column 'Bericht', which"):
        TableFile(path, ASKED, Form({"findings": "Bericht"}, keys=keys))


def test_gzip(tmp_path):
    content = gzip.compress(f'{HEADER}A1,"{TEXT}"\n'.encode() * 50)
    assert read(written(tmp_path, gzip.compress(f"{HEADER}A1,x\n".encode()), "t.csv.gz")) == [
        ("A1", "x")
    ]
    for damaged in (content[:-20], content[:40], content[:30] + b"\xff" * 9 + content[39:]):
        assert "not a complete gzip file" in refusal(written(tmp_path, damaged, "cut.csv.gz"))
    assert "not a complete gzip file" in refusal(written(tmp_path, b"secret", "none.csv.gz"))


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_rows_without_any_cell_are_skipped(tmp_path, kind):
    table = pl.DataFrame({"accession_number": ["A1", None, "A2"], "findings": ["a", None, None]})
    path = tmp_path / f"t.{kind}"
    write = {"csv": table.write_csv, "parquet": table.write_parquet, "jsonl": table.write_ndjson}
    write[kind](path)
    assert read(path) == [("A1", "a"), ("A2", None)]


def test_values_of_parquet_and_jsonl_as_texts(tmp_path):
    values = [1000001.0, 12, None, float("nan"), "007", True]
    path = tmp_path / "t.jsonl"
    lines = [json.dumps({"accession_number": value, "findings": "x"}) for value in values]
    path.write_text("\n".join(lines) + "\n\n")
    expected = ["1000001", "12", None, None, "007", "1"]
    assert [key for key, _ in read(path)] == expected
    for series, texts in (
        (pl.Series([1000001.0, None, 1.5]), ["1000001", None, "1.5"]),
        (pl.Series([3, 4], dtype=pl.UInt8), ["3", "4"]),
        (pl.Series(["007", "8"], dtype=pl.Categorical), ["007", "8"]),
        (pl.Series([Decimal("1.50")]), ["1.50"]),
    ):
        pl.DataFrame({"accession_number": series, "findings": "x"}).write_parquet(
            tmp_path / "t.parquet"
        )
        assert [key for key, _ in read(tmp_path / "t.parquet")] == texts


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (date(1911, 2, 3), "row 1 holds a date: write the column as text"),
        (1e300, "row 1 holds a number in floating point that is too large"),
        ([1, 2], "row 1 holds a list or a structure"),
        (b"secret", "row 1 holds bytes"),
    ],
)
def test_values_that_have_no_text(tmp_path, value, message):
    path = tmp_path / "t.parquet"
    pl.DataFrame({"accession_number": [value], "findings": ["x"]}).write_parquet(path)
    assert refusal(path).startswith(f"accession_number: {message}")


def test_scientific_notation_of_json_is_kept_to_be_refused(tmp_path):
    path = written(tmp_path, '{"accession_number": 1.23457E+12, "findings": 2e0}\n', "t.jsonl")
    assert read(path) == [("1.23457E+12", "2e0")]


CELLS = st.text(st.characters(codec="cp1252", exclude_characters="\0"), max_size=9)


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=6),
    separator=st.sampled_from(",;\t"),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"]),
    written_as=st.sampled_from(
        [(csv.QUOTE_MINIMAL, "\r\n"), (csv.QUOTE_ALL, "\n"), (csv.QUOTE_ALL, "\r\n")]
    ),
)
def test_what_a_csv_writer_wrote_is_read(rows, separator, encoding, written_as):
    text = io.StringIO(newline="")
    quoting, end = written_as
    writer = csv.writer(text, delimiter=separator, quoting=quoting, lineterminator=end)
    writer.writerows([("accession_number", "other", "findings"), *rows])
    with tempfile.TemporaryDirectory() as folder:
        path = written(Path(folder), text.getvalue(), encoding=encoding)
        found = read(path, columns=("accession_number", "other", "findings"))
    assert [tuple(cell or "" for cell in row) for row in found] == [row for row in rows if any(row)]


@pytest.mark.parametrize(
    "line", ["[1]", "{", '{"findings": "a", "findings": "secret"}', "secret", "[" * 9999]
)
def test_lines_that_are_no_objects(tmp_path, line):
    path = written(tmp_path, f'{{"accession_number": "A1"}}\n{line}\n', "t.jsonl")
    assert "line 2 is not a JSON object with each key once" in refusal(path)


def test_half_a_character_in_json(tmp_path):
    whole = '{"accession_number": "A1", "findings": "\\ud83d\\ude00"}\n'
    assert read(written(tmp_path, whole, "t.jsonl")) == [("A1", "\U0001f600")]
    path = written(tmp_path, whole.replace("\\ude00", ""), "t.jsonl")
    assert "line 1 has half of a character" in refusal(path)


def test_a_pipe_is_not_opened(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    assert refusal(tmp_path / "t.csv") == "no file: correct the path"


def test_thousands_of_columns(tmp_path):
    names = [f"c{i}" for i in range(5000)]
    content = ";".join(["accession_number", *names, "findings"]) + "\n" + "A1;" + ";" * 5000 + "x\n"
    assert read(written(tmp_path, content)) == [("A1", "x")]
