from pathlib import Path

import polars as pl
import pytest
import yaml

from radscale_lib.report.sentences import course_sentence, crossing_sentence, overview, studied
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
    scores = pl.DataFrame({"task": ["segmentation"], "target": ["macro"], "cases": [9]})
    alone = studied(parse_study(values), scores)[2:]
    assert alone == [
        "Decoders of segmentation and report generation were trained from one seed: intervals "
        "leave out how their seeds differ."
    ]
    values["evaluation"]["tasks"]["segmentation"]["decoder"]["seeds"] = 3
    one, three = studied(parse_study(values), scores)[2:]
    assert one.startswith("Decoders of report generation were trained from one seed")
    assert three == (
        "Decoders of segmentation were trained from 3 seeds, whose differences are in the "
        "intervals."
    )
    del values["evaluation"]["tasks"]["segmentation"], values["evaluation"]["tasks"]["reports"]
    del values["scaling"]["metrics"]["segmentation"], values["scaling"]["metrics"]["reports"]
    assert len(studied(parse_study(values), scores)) == 2


@pytest.mark.parametrize(
    ("state", "text", "said"),
    [
        ("within", "300 images (90% interval 200 to 400)", " at 300 images (90% interval 200 to"),
        ("below", "< 50 images", " at the largest size; it overtook them at < 50 images."),
        ("above", "≥ 1,200 images", "It does not overtake the open weights"),
        ("never", "not reached", "It does not reach the open weights"),
        ("undetermined", "undetermined", ", +0.010 (−0.020 to +0.030), is undecided"),
    ],
)
def test_each_state_of_a_crossover_has_its_sentence(state, text, said):
    row = {"state": state, "text": text, "baseline": "base", "baseline_value": 0.75}
    row |= {"difference": 0.01, "difference_lower": -0.02, "difference_upper": 0.03}
    told = crossing_sentence(row)
    assert said in told and "base, 0.750" in told and told.endswith(".")


def test_courses_rise_fall_or_show_no_trend():
    mean = {"arm": "a", "size": 1200.0, "value": 0.8, "lower": 0.7, "upper": 0.9}
    fit = {"change": -0.05, "change_lower": -0.08, "change_upper": -0.02}
    end = "at 1,200 images it scores 0.800 (0.700 to 0.900)."
    change = "−0.050 (−0.080 to −0.020)"
    assert course_sentence(mean, 50.0, fit | {"trend": "falls"}) == (
        f"a falls by {change} from 50 to 1,200 images on its fitted curve; {end}"
    )
    assert course_sentence(mean, 50.0, fit | {"trend": "no trend identified"}) == (
        f"a: no clear trend; from 50 to 1,200 images its fitted curve changes by {change}; {end}"
    )
    alone = course_sentence(mean, 50.0, None)
    assert alone == "a: 0.800 (0.700 to 0.900) at 1,200 images, too few sizes for a fit."


def test_curves_are_counted_by_their_verdicts():
    found = ["supported"] * 3 + ["undecided", "contradicted", "not testable"]
    judged = pl.DataFrame({"verdict": found}).with_columns(
        kind=pl.lit("rises"), target=pl.lit("macro"), expected_by_chance=pl.lit(0.14)
    )
    assert overview(judged) == (
        "Of 6 curves (arm and task), 3 rise with the number of images, 1 shows no identified "
        "trend, 1 falls and 1 could not be fitted. By chance alone, about 0.1 would be called "
        "rising or falling."
    )


def test_what_was_studied_counts_arms_sizes_cases_and_resamples():
    study = parse_study(yaml.safe_load(Path("config/smoke.yaml").read_text()))
    cases = {"ett": 9, "macro": 1234, "micro": 5000}
    scores = pl.DataFrame({"task": "findings", "target": [*cases], "cases": [*cases.values()]})
    first, second, *_ = studied(study, scores)
    sizes = listed(f"{size:,}" for size in study.subsets.sizes)
    assert first.startswith(f"{len(study.arms)} arms, ") and f"subsets of {sizes} images" in first
    assert second.startswith("Every encoder was frozen and evaluated on findings")
    assert f"up to 1,234 test cases and {study.evaluation.resamples:,} resamples" in second
