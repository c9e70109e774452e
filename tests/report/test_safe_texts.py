"""Texts that others supply: on terminals, in figures and in spreadsheets."""

import logging
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from snakemake.api import OutputSettings  # first: its modules import each other
from snakemake_interface_logger_plugins.settings import LogHandlerSettingsBase
from snakemake_logger_plugin_radscale import LogHandler

from radscale_lib.exports import write_csv
from radscale_lib.report.style import house_style, new_figure, save
from radscale_lib.texts import one_line, plain


@given(st.text(st.characters(exclude_categories=[])))
def test_nothing_that_a_terminal_acts_on_is_left(text: str) -> None:
    shown = plain(text)
    assert [c for c in shown if not c.isprintable() and c.isascii() and c not in "\t\n"] == []
    assert not set(shown) & set("\x9b\u200e\u200f\u202a\u202e\u2066\u2069\u2028")
    shown.encode()
    assert "\n" not in one_line(text) and one_line(text) == one_line(shown)


@pytest.mark.parametrize("text", ["צילום חזה", "Größe 3 µm", "胸部X线", "line\nline", "a  b"])
def test_names_in_any_language_stay(text: str) -> None:
    assert plain(text) == text


def test_cells_that_a_spreadsheet_would_compute_are_defused(tmp_path: Path) -> None:
    texts = [
        "=1+1",
        "+1",
        "-2.5e-3",
        "-SUM(A1)",
        "@x",
        "\tx",
        "\r=x",
        "\x1b[31m",
        " =1",
        "\uff1d1",
        "a=b",
        None,
    ]
    table = pl.DataFrame({"text": texts, "number": [-1.5] * len(texts)})
    write_csv(table, tmp_path / "table.csv")
    found = pl.read_csv(tmp_path / "table.csv", schema_overrides={"text": pl.String})
    assert found["text"].to_list() == [
        *(
            "'=1+1",
            "+1",
            "-2.5e-3",
            "'-SUM(A1)",
            "'@x",
            "'\tx",
            "' =x",
            " [31m",
            "' =1",
            "'\uff1d1",
        ),
        *("a=b", None),
    ]
    assert found["number"].to_list() == table["number"].to_list()


def test_labels_of_figures_may_hold_anything(tmp_path: Path) -> None:
    label = "DX $x_{ $ Pro <b> & \x1b[31m \\frac"
    with house_style():
        figure = new_figure(3, 2)
        axes = figure.add_subplot()
        axes.set_yticks([1], [one_line(label)])
        axes.set_title(one_line(label))
        save(figure, tmp_path, "figure", ("svg", "pdf"), 100)
    ElementTree.parse(next(tmp_path.rglob("*.svg")))


def handler() -> LogHandler:
    return LogHandler(OutputSettings(), LogHandlerSettingsBase())


def test_progress_prints_no_escapes(capsys: pytest.CaptureFixture[str]) -> None:
    """But the colour that Snakemake gives the whole of a message."""
    log = handler()
    log.setFormatter(logging.Formatter("%(message)s"))
    for text in ("\x1b[31mfailed: \x1b]0;title\x07 \u202e\x1b[2J\n\x1b[0m", "plain\x9b2J"):
        log.emit(logging.LogRecord("x", logging.ERROR, "", 0, text, None, None))
    said = capsys.readouterr().err
    assert said.startswith("\x1b[31mfailed: ") and "\n\x1b[0m" in said
    assert said.count("\x1b") == 2 and "\x07" not in said and "\x9b" not in said
