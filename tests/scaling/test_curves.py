"""`scripts/fit.py` on anyone's table: answers, and clear refusals of what cannot be answered."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from radscale_lib.scaling.curves import (
    Curve,
    answer,
    answer_all,
    clean,
    draws_table,
    predictions_table,
    read_curves,
)
from radscale_lib.scaling.errors import ScalingError
from scripts import fit as script

SIZES = (30_000, 50_000, 100_000, 1_000_000, 3_500_000)
HEAD = "curve,size,value,se,target"
NUMBERS = ("median", "lo90", "hi90", "lo95", "hi95", "crossover", "crossover_lo90")


def law(n, a=2.0, b=0.2, c=0.02):
    return a * n**-b + c


def runs(name, values=None, sizes=SIZES, se=""):
    values = [law(n) for n in sizes] if values is None else values
    return [f"{name},{n},{v},{se}," for n, v in zip(sizes, values, strict=True)]


@pytest.fixture
def fitted(tmp_path):
    """Run the script on rows; give its predictions, draws, and exit message."""

    def run(*rows, head=HEAD, target=None, jobs="1"):
        source, out, draws = (tmp_path / name for name in ("in.csv", "out.csv", "draws.parquet"))
        source.write_text("\n".join([head, *rows]) + "\n")
        options = ["--curves", source, "--predict", out, "--draws", draws, "--jobs", jobs]
        options += ["--target", target] if target is not None else []
        script.main([str(option) for option in options])
        return pl.read_csv(out), pl.read_parquet(draws)

    return run


def test_predictions_repeat_the_rows_asked_for_and_hold_the_truth(fitted):
    asked = [7_000_000, 300_000, 14_000_000]
    table, draws = fitted(*runs("a"), *(f"a,{n},,," for n in asked), *runs("b"), "b,50000,,,")
    assert table["curve"].to_list() == ["a", "a", "a", "b"]
    assert table["size"].to_list() == [*asked, 50_000]
    for row in table.iter_rows(named=True):
        assert row["lo95"] <= row["lo90"] < row["median"] < row["hi90"] <= row["hi95"]
        assert row["lo90"] < law(row["size"]) < row["hi90"]
        assert row["crossover"] is row["censored"] is None
    assert draws.columns == ["curve", "size", "draw", "value"]
    counts = draws.group_by("curve", "size", maintain_order=True).len()
    assert counts["len"].to_list() == [1000] * 4
    logs = draws.with_columns(pl.col("value").log())
    centre = logs.group_by("curve", "size", maintain_order=True).mean()["value"].exp()
    np.testing.assert_allclose(centre, table["median"], rtol=0.02)


@pytest.mark.parametrize(
    ("target", "place"),
    [
        (law(300_000), None),
        (law(10_000), "below"),
        (law(2e7), "above"),
        (0.001, "never"),
        (0, "never"),
    ],
)
@pytest.mark.parametrize("by", ["option", "column", "runs"])
def test_crossovers_are_numbers_only_inside_the_studied_range(fitted, target, place, by):
    rows = runs("a", se=1e-4)
    if by == "runs":
        rows = [f"{row}{target}" for row in rows]
    elif by == "column":
        rows.append(f"a,,,,{target}")
    table, draws = fitted(*rows, target=target if by == "option" else None)
    (row,) = table.iter_rows(named=True)
    assert row["censored"] == place
    assert row["median"] is None
    assert len(draws) == 0
    if place is None:
        assert row["crossover_lo90"] < 300_000 < row["crossover_hi90"]
        assert row["crossover"] == pytest.approx(300_000, rel=0.3)
    else:
        assert row["crossover"] is None


def test_bytes_do_not_depend_on_processes_or_on_the_other_curves():
    rng = np.random.default_rng(0)
    curves = [
        Curve(str(i), list(SIZES), list(law(np.array(SIZES)) * rng.lognormal(0, 0.01, 5)),
              [float("nan")] * 5, [(7e6, 0.1)])
        for i in range(33)
    ]  # fmt: skip
    one, two = answer_all(curves, jobs=1), answer_all(curves, jobs=2)
    alone = answer_all(curves[7:8], jobs=1)
    for table in (predictions_table, draws_table):
        assert table(one).equals(table(two))
    assert predictions_table(one)[7:8].equals(predictions_table(alone))


def test_seeds_of_a_size_are_runs_and_order_does_not_matter(fitted):
    rows = runs("a") + runs("a", [law(n) * 1.02 for n in SIZES])
    table, _ = fitted(*rows, "a,7000000,,,")
    turned, _ = fitted("a,7000000,,,", *rows[::-1])
    assert table.equals(turned)
    alone, _ = fitted(*runs("a"), "a,7000000,,,")
    assert alone["median"][0] < table["median"][0]


BAD_CURVES = {
    "two sizes": ([0.3, 0.2], "2 of at least 3 sizes"),
    "negative": ([0.3, 0.2, -0.1, 0.1, 0.1], "finite and not negative"),
    "infinite": ([0.3, "inf", 0.2, 0.1, 0.1], "finite and not negative"),
    "all missing but two": ([0.3, "nan", "nan", "nan", 0.1], "2 of at least 3 sizes"),
    "all zero": ([0, 0, 0, 0, 0], "all errors are zero"),
}


@pytest.mark.parametrize("name", BAD_CURVES)
def test_a_curve_that_cannot_be_fitted_says_so_and_spares_the_others(fitted, capsys, name):
    values, message = BAD_CURVES[name]
    rows = runs("bad", values, SIZES[: len(values)])
    table, draws = fitted(*rows, "bad,7000000,,,0.1", *runs("good"), "good,7000000,,,")
    bad, good = table.iter_rows(named=True)
    assert message in bad["note"]
    assert all(bad[column] is None for column in NUMBERS)
    assert good["median"] is not None
    assert set(draws["curve"]) == {"good"}
    assert "bad: not fitted" in capsys.readouterr().err


def test_nothing_fitted_is_a_failure(fitted):
    with pytest.raises(SystemExit, match="no curve could be fitted"):
        fitted(*runs("a", [0.3, 0.2], SIZES[:2]), "a,7000000,,,")


@pytest.mark.parametrize(
    ("head", "row", "message"),
    [
        ("curve,size,error", "a,3,0.1", r"in.csv: no column \['value'\]"),
        (HEAD, "a,3,abc,,", "row 2: value 'abc' is not a number"),
        (HEAD, "a,0,0.1,,", "row 2: size 0"),
        (HEAD, "a,,0.1,,", "row 2: a value without a size"),
        (HEAD, ",3,0.1,,", "row 2: the curve has no name"),
        (HEAD, "a,3,,,-1", "row 2: target -1"),
        (HEAD, "a,,,,", "row 2: neither value, size nor target"),
    ],
)
def test_a_table_that_cannot_be_read_names_row_and_remedy(fitted, head, row, message):
    with pytest.raises(SystemExit, match=message):
        fitted(row, head=head)


def test_diagnostics_are_printed_with_every_fit(fitted, capsys):
    fitted(*runs("a"), "a,7000000,,,", *runs("b", law(np.array(SIZES[:3])), SIZES[:3]), "b,5e6,,,")
    text = capsys.readouterr().out
    for words in (
        *("Form:", "Loss:", "Search:", "Coverage:", "\na\n", "held-out largest size"),
        *("without the smallest size", "too few sizes without the largest size"),
    ):
        assert words in text


def test_a_missing_file_and_half_a_command_are_refused(tmp_path):
    with pytest.raises(SystemExit, match=r"none\.csv"):
        script.main(["--curves", str(tmp_path / "none.csv"), "--predict", str(tmp_path / "o")])
    with pytest.raises(SystemExit):
        script.main(["--curves", "x.csv"])


def test_a_bad_target_is_refused(fitted):
    with pytest.raises(SystemExit, match=r"target -0\.1"):
        fitted(*runs("a"), target=-0.1)


def test_what_was_done_to_the_runs_is_said(fitted):
    rows = [*runs("a", [0.3, 0.25, 0.2, "nan", 0.0]), "a,30000,0.3,,", "a,40000,0.27,,"]
    table, _ = fitted(*rows, "a,7000000,,,")
    for note in ("1 missing runs", "1 repeated rows", "1 errors of zero"):
        assert note in table["note"][0]


def curve(values, sizes=SIZES, asked=7e6):
    return Curve("x", list(sizes), list(values), [float("nan")] * len(sizes), [(asked, None)])


def test_flat_and_rising_curves_are_told_as_such():
    (flat,) = answer(curve([0.3, 0.31, 0.295, 0.305, 0.3])).rows
    assert "flat: no trend identified" in flat["note"]
    assert flat["lo90"] < 0.3 < flat["hi90"]
    assert flat["median"] == pytest.approx(0.3, rel=0.03)
    (rising,) = answer(curve([0.1, 0.13, 0.16, 0.3, 0.4])).rows
    assert "the error rises with size" in rising["note"]
    assert rising["median"] > 0.3


def test_three_sizes_give_wider_intervals_than_five():
    (three,) = answer(curve(law(np.array(SIZES[::2])), SIZES[::2])).rows
    (five,) = answer(curve(law(np.array(SIZES)))).rows
    width = [np.log(row["hi90"] / row["lo90"]) for row in (three, five)]
    assert width[0] > width[1]


def test_each_row_has_its_own_censored_word(fitted):
    targets = [law(300_000), law(10_000), law(2e7), 0.001]
    table, _ = fitted(*runs("a", se=1e-4), *(f"a,,,,{target}" for target in targets))
    assert table["target"].to_list() == targets
    assert table["censored"].to_list() == [None, "below", "above", "never"]
    assert table["crossover"].is_not_null().to_list() == [True, False, False, False]


def test_values_beyond_chance_are_told_and_values_out_of_range_are_refused(fitted, capsys):
    rows = [f"high,{n},{v},,,0.5" for n, v in zip(SIZES[:4], (0.6, 0.5, 0.4, 0.3), strict=True)]
    rows += [f"low,{n},{v},,,0.5" for n, v in zip(SIZES[:4], (0.4, 0.3, -0.2, 0.1), strict=True)]
    table, _ = fitted(*rows, "high,7000000,,,,", "low,7000000,,,,", head=HEAD + ",chance")
    high, low = table.iter_rows(named=True)
    assert "1 runs worse than chance" in high["note"]
    assert high["hi95"] <= 0.6
    assert low["median"] is None
    assert "not negative" in low["note"]
    assert "low: not fitted" in capsys.readouterr().err


def test_weights_dropped_points_and_what_cannot_be_identified_are_printed(fitted, capsys):
    noise = [0.3, 0.31, 0.295, "nan", 0.3]
    fitted(*runs("flat", noise), "flat,30000,0.3,,", "flat,7000000,,,", *runs("a"), "a,7e6,,,")
    flat, falling = capsys.readouterr().out.split("\na\n")
    assert "points dropped: missing value at 1,000,000; 1 repeated rows left out" in flat
    assert "cannot be identified: whether the metric rises or falls" in flat
    assert "points dropped: none" in falling
    assert "whether the metric rises" not in falling
    (line,) = [line for line in falling.splitlines() if "weights in the level" in line]
    weights = [float(part.split()[0]) for part in line.split(": ")[1].split(", ")[:1]]
    assert weights[0] < 0.2


@pytest.mark.parametrize("form", ["mmf4", "bnsl"])
def test_a_form_can_be_asked_for_by_name(tmp_path, capsys, form):
    source, out = tmp_path / "in.csv", tmp_path / "out.csv"
    source.write_text("\n".join([HEAD, *runs("a"), "a,7000000,,,"]) + "\n")
    options = ["--curves", str(source), "--predict", str(out), "--form", form]
    script.main(options)
    (row,) = pl.read_csv(out).iter_rows(named=True)
    assert row["median"] == pytest.approx(law(7e6), rel=0.02)
    assert row["lo90"] is row["hi95"] is None
    assert "no interval" in row["note"]
    assert ("cannot be identified: 5 sizes for 6" in row["note"]) == (form == "bnsl")
    assert "starts agree" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="leave out --form"):
        script.main([*options, "--target", "0.1"])


def test_chance_caps_predictions(fitted):
    sizes = (100, 200, 400)
    rows = [f"a,{n},{v},,,0.5" for n, v in zip(sizes, (0.49, 0.4, 0.3), strict=True)]
    table, _ = fitted(*rows, "a,20,,,,", head=HEAD + ",chance")
    assert table["hi95"][0] <= 0.5


def test_a_table_without_optional_columns_is_read(tmp_path):
    (tmp_path / "t.csv").write_text("curve,size,value\na,1,0.3\na,2,\n")
    (found,) = read_curves(tmp_path / "t.csv")
    assert found.questions == [(2.0, None)]
    assert np.isnan(found.standard_errors).all()


def test_negative_standard_errors_are_refused():
    bad = curve([0.3, 0.2, 0.1], SIZES[:3])
    bad.standard_errors = [0.1, -0.1, 0.1]
    with pytest.raises(ScalingError, match="standard errors"):
        clean(bad)


def test_many_runs_are_merged_by_size_and_predict_as_well():
    sizes = np.geomspace(1e4, 3e6, 900)
    many = curve(law(sizes) * np.random.default_rng(0).lognormal(0, 0.02, 900), sizes)
    merged = clean(many)
    assert 50 < len(merged.sizes) <= 100
    assert "900 runs merged" in merged.notes[0]
    np.testing.assert_allclose(merged.errors, law(np.array(merged.sizes)), rtol=0.03)
    (row,) = answer(many).rows
    assert row["lo95"] < law(7e6) < row["hi95"]
    assert row["hi90"] / row["lo90"] < 1.3


@pytest.mark.parametrize(
    "sizes",
    [(1, 1e6, 1e12), (1, 1, 7e3, 3e4, 1e6), (99.9999, 100, 100.0001, 200), (1, 2, 3)],
)
def test_odd_spacings_give_finite_answers(sizes):
    (row,) = answer(curve(law(np.array(sizes), a=0.5, b=0.1), sizes, 2 * max(sizes))).rows
    assert 0 < row["lo95"] < row["median"] < row["hi95"] < np.inf


@given(st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_any_curve_is_answered_in_order_or_refused(seed):
    rng = np.random.default_rng(seed)
    count = int(rng.integers(1, 8))
    sizes = np.sort(10 ** rng.uniform(rng.uniform(-1, 5), rng.uniform(5, 13), count))
    sizes = np.round(sizes / 10 ** rng.integers(0, 5)) + 1
    values = law(sizes / sizes[-1], 10 ** rng.uniform(-6, 2), rng.uniform(-0.5, 1), 0)
    values *= np.exp(rng.normal(0, 10 ** rng.uniform(-5, 0), count))
    values[rng.integers(count)] *= rng.choice([0, 1, 1, 1e4, np.nan])
    asked = sizes[-1] * 10 ** rng.uniform(-3, 6)
    (row,) = answer(curve(values, sizes, asked)).rows
    if "median" in row:
        numbers = [row[name] for name in ("lo95", "lo90", "median", "hi90", "hi95")]
        assert numbers == sorted(numbers)
        assert 0 <= numbers[0] <= numbers[-1] < np.inf
    else:
        assert row["note"].startswith("not fitted: ")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (["a,3,0.1,,,0.5", "a,5,0.1,,,0.4"], "row 3: chance 0.4, and 0.5 in row 2"),
        (["a,3,0.1,,,", "a ,5,0.1,,,"], "row 3: the curve's name differs from that of row 2"),
        (["a b,3,0.1,,,", "a\u00a0b,5,0.1,,,"], "row 3: the curve's name differs"),
    ],
)
def test_two_readings_of_a_table_are_refused_with_both_rows(fitted, rows, message):
    with pytest.raises(SystemExit, match=message):
        fitted(*rows, head=HEAD + ",chance")


@pytest.mark.parametrize(
    ("values", "errors", "message"),
    [
        ([0.3, 0.27, 0.23, 15, 0.12], None, "values of 15 and more among values of at most 0.3"),
        ([30, 27, 0.23, 0.15, 0.12], None, "as per cent among fractions"),
        ([0.3, 0.27, 0.23, 0.15, 0.12], [5] * 5, "standard errors are larger than the values"),
    ],
)
def test_mixed_units_are_refused(values, errors, message):
    mixed = curve(values)
    mixed.standard_errors = errors or mixed.standard_errors
    with pytest.raises(ScalingError, match=message):
        clean(mixed)


def test_what_may_be_right_is_noted_and_fitted():
    loss = clean(curve([19.1, 19.0, 18.3, 6.6, 0.33]))
    assert any("are all in one unit?" in note for note in loss.notes)
    steady = curve([9.3, 4.1, 2.3, 1.2, 0.9])
    steady.standard_errors = [0, 0.1, 0.1, 0.1, 1.2]
    assert clean(steady).notes == [
        "1 standard errors of zero taken as unknown",
        "1 standard errors larger than their values",
    ]
    (rising,) = answer(curve([0.71, 0.75, 0.8, 0.86, 0.9])).rows
    assert "if higher is better, give 1 - value" in rising["note"]


def test_a_target_that_no_error_can_miss_is_named_and_has_no_answer(fitted):
    rows = [f"a,{n},{law(n)},,,0.4" for n in SIZES] + [f"loss,{n},{9 * law(n)},,," for n in SIZES]
    asked = ["a,,,,0.45,", "a,,,,15,", "a,,,,0.39,", "loss,,,,15,"]
    table, _ = fitted(*rows, *asked, head=HEAD + ",chance")
    assert table["censored"].to_list() == [None, None, "below", "below"]
    named = ["outside of the metric's range, errors of 0 to 0.4" in one for one in table["note"]]
    assert named == [True, True, False, False]
    assert table["crossover"].null_count() == 4


@pytest.mark.parametrize(
    ("values", "chance"), [([0.498, 0.5, 0.497, 0.49, 0.492], 0.5), ([4e-4, 1e-4, 0, 2e-4, 0], 0.5)]
)
def test_curves_near_chance_and_near_the_floor_are_answered_within_both(values, chance):
    near = curve(values)
    near.chance = chance
    (row,) = answer(near).rows
    assert 0 < row["lo95"] < row["median"] <= row["hi95"] <= chance


def test_the_centre_stays_inside_its_interval_however_far_it_is_asked():
    near, far = (answer(curve(law(np.array(SIZES)), asked=n)).rows[0] for n in (7e6, 1e13))
    for row in (near, far):
        assert row["lo90"] <= row["median"] <= row["hi90"]
