import pytest

from radscale_lib.report.words import interval, listed, missing_runs, number
from radscale_lib.study import Run


@pytest.mark.parametrize(
    ("value", "sign", "text"),
    [(0.1234, False, "0.123"), (-0.1, False, "−0.100"), (0.1, True, "+0.100"),
     (-0.0001, True, "0.000"), (0.0001, True, "0.000"), (None, True, "–")],
)  # fmt: skip
def test_numbers(value, sign, text):
    assert number(value, sign=sign) == text


def test_intervals():
    assert interval(0.5, 0.4, 0.6) == "0.500 (0.400 to 0.600)"
    assert interval(0.5, None, None) == "0.500"
    assert interval(None, None, None) == "–"


def test_lists():
    assert listed([]) == ""
    assert listed(["a"]) == "a"
    assert listed("ab") == "a and b"
    assert listed("abc") == "a, b and c"
    assert listed("abcdef", 4) == "a, b, c, d and 2 more"


def test_missing_runs_are_named():
    runs = [Run("a", 10, seed) for seed in range(6)]
    assert missing_runs(runs, runs) == "6 of 6 runs"
    assert missing_runs(runs[1:], runs) == "5 of 6 runs; missing: a n=10 seed 0"
    assert missing_runs([], runs).endswith("and 2 more")
    assert missing_runs([*runs, Run("b", 1, 0)], runs) == "6 of 6 runs"
