"""Intervals hold the truth about as often as they say, also where no fitted form is true."""

import pytest

from benchmarks.scaling_coverage import simulate


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "spacing"), [("flat", "demo"), ("power", "paper"), ("saturating", "demo")]
)
def test_intervals_hold_the_truth(kind, spacing):
    found = simulate(kind, spacing, studies=2, seed_sd=0.03)
    for name in ("value", "horizon", "difference", "change", "gain", "crossover"):
        if name in found:
            assert found[name] >= 0.82, name
    if kind == "flat":
        assert found["rise found"] <= 0.1
    if kind == "power":
        assert found["rise found"] >= 0.8
