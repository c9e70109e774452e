from pathlib import Path

import polars as pl
import pytest
import yaml

from radscale_lib.report.sentences import studied
from radscale_lib.report.words import (
    interval,
    label_metric_name,
    listed,
    missing_runs,
    number,
    p_value,
    percent,
)
from radscale_lib.study import Run, parse_study


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


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "< 1%"), (0.005, "< 1%"), (0.006, "1%"), (0.994, "99%"), (0.995, "> 99%"),
     (1.0, "> 99%")],
)  # fmt: skip
def test_probabilities_are_never_0_or_100(share, text):
    assert percent(share) == text


def test_p_values_are_never_0():
    assert [p_value(p) for p in (None, 0.0, 0.0009, 0.001, 0.2)] == [
        "–", "<0.001", "<0.001", "0.001", "0.200",
    ]  # fmt: skip


def test_the_metric_of_a_label_is_no_mean_over_labels():
    study = parse_study(yaml.safe_load(Path("config/smoke.yaml").read_text()))
    assert label_metric_name(study, "findings") == "AUROC"
    assert label_metric_name(study, "segmentation") == "Dice"


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


def test_whether_intervals_hold_the_seeds_of_decoders():
    values = yaml.safe_load(Path("config/smoke.yaml").read_text())
    scores = pl.DataFrame({"task": ["segmentation"], "cases": [9]})
    alone = studied(parse_study(values), scores)[2:]
    assert alone == [
        "Decoders of segmentation and report generation were trained from one seed, whose variance "
        "no interval holds."
    ]
    values["evaluation"]["tasks"]["segmentation"]["decoder"]["seeds"] = 3
    one, three = studied(parse_study(values), scores)[2:]
    assert one.startswith("Decoders of report generation were trained from one seed")
    assert three == (
        "Decoders of segmentation were trained from 3 seeds, whose variance is in the intervals."
    )
    del values["evaluation"]["tasks"]["segmentation"], values["evaluation"]["tasks"]["reports"]
    del values["scaling"]["metrics"]["segmentation"], values["scaling"]["metrics"]["reports"]
    assert len(studied(parse_study(values), scores)) == 2
