"""Intervals hold the truth about as often as they say, also where no fitted form is true."""

import numpy as np
import pytest

from benchmarks import scaling_coverage
from benchmarks.scaling_coverage import simulate


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "spacing"),
    [
        ("flat", "demo"),
        pytest.param("power", "paper", marks=pytest.mark.long),
        pytest.param("saturating", "demo", marks=pytest.mark.long),
    ],
)
def test_intervals_hold_the_truth(kind, spacing):
    studies = [simulate(kind, spacing, number, seed_sd=0.03) for number in range(3)]
    found = {
        name: np.mean([of for one in studies for of in one.get(name, [])]) for name in studies[0]
    }
    for name in ("value", "horizon", "difference", "change", "gain", "crossover"):
        if name in found:
            # 0.9 minus two standard errors: twelve test sets, each shared by the arms.
            assert found[name] >= 0.76, name
    if kind == "flat":
        assert found["rise found"] <= 0.15
    if kind == "power":
        assert found["rise found"] >= 0.8


def test_simulated_studies_go_on_where_they_stopped_and_the_table_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(scaling_coverage, "KINDS", ("flat",))
    monkeypatch.setattr(scaling_coverage, "SPACINGS", {"demo": (50, 200, 1200)})
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- simulated -->\nold\n<!-- end of simulated -->\nafter\n")
    monkeypatch.setattr(scaling_coverage, "PAGE", page)
    results = ["--results", str(tmp_path / "results")]
    scaling_coverage.main([*results, "--studies", "1", "--first", "1"])
    calls = []

    def counted(kind, spacing, number, seed_sd):
        calls.append(number)
        return simulate(kind, spacing, number, seed_sd)

    monkeypatch.setattr(scaling_coverage, "simulate", counted)
    scaling_coverage.main([*results, "--studies", "2", "--write"])
    assert calls == [0]
    monkeypatch.undo()
    lines = page.read_text().splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
    assert lines[4].startswith("| flat | demo | 24 | ")
    assert "old" not in lines
