"""Progress lines: how far, how fast, how long still."""

import re

import pytest

from radscale_lib.progress import Progress


def test_a_line_when_it_is_time_and_one_at_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("ingest", 1200, "images", every=0)
    progress.step()
    progress.reach(1200, loss=0.25)
    first, last = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"ingest: 1 of 1,200 images, [\d.]+/s, \d+:\d\d:\d\d left", first)
    assert re.fullmatch(r"ingest: 1,200 of 1,200 images, [\d.]+/s, loss 0\.2500", last)


def test_nothing_is_said_too_often(capsys: pytest.CaptureFixture[str]) -> None:
    progress = Progress("films", 3, every=1000)
    for _ in range(3):
        progress.step()
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("films: 3 of 3, ")
