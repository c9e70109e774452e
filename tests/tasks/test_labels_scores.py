"""Label policy, macro means and the scores table."""

import numpy as np
import polars as pl
import pytest

from radscale_lib.shards.labels import targets
from radscale_lib.study import Run
from radscale_lib.study.archive import Labels
from radscale_lib.tasks.labels import columns
from radscale_lib.tasks.scores import SCHEMA, Score, macro, score_table

TABLE = pl.DataFrame(
    {
        "labelled": [True, True, True, True, False],
        "finding:a": [1, 0, -1, None, 1],
        "tube:b": [0, 1, 1, -1, None],
    },
    schema_overrides={"finding:a": pl.Int8, "tube:b": pl.Int8},
)
NAN = float("nan")


@pytest.mark.parametrize(
    ("uncertain", "blank", "expected"),
    [
        ("ignore", "negative", [1, 0, NAN, 0, NAN]),
        ("ignore", "ignore", [1, 0, NAN, NAN, NAN]),
        ("positive", "negative", [1, 0, 1, 0, NAN]),
        ("negative", "ignore", [1, 0, 0, NAN, NAN]),
    ],
)
def test_policy(uncertain, blank, expected):
    policy = Labels(findings=("a",), tubes=("b",), uncertain=uncertain, blank=blank)
    found = targets(TABLE, columns(policy, "findings"), policy)
    assert found.dtype == np.float32
    assert np.array_equal(found[:, 0], expected, equal_nan=True)


def test_columns_keep_the_order_of_the_study():
    policy = Labels(findings=("z", "a"), tubes=("b",))
    assert columns(policy, "findings") == ["finding:z", "finding:a"]
    assert columns(policy, "tubes") == ["tube:b"]


def _score(target, value, resamples, positives=3):
    return Score(target, "auroc", value, np.array(resamples, float), 10, positives)


def test_macro_drops_resamples_that_miss_a_label():
    mean = macro([_score("a", 0.6, [0.5, NAN, 0.7]), _score("b", 0.8, [0.9, 0.8, 0.7])], 12)
    assert mean.value == pytest.approx(0.7)
    assert np.allclose(mean.resamples, [0.7, NAN, 0.7], equal_nan=True)
    assert (mean.cases, mean.positives) == (12, 6)


def test_macro_leaves_out_labels_undefined_on_the_test_images():
    mean = macro([_score("a", NAN, [NAN] * 3, 0), _score("b", 0.8, [0.9, 0.8, 0.7])], 12)
    assert mean.value == pytest.approx(0.8)
    assert np.allclose(mean.resamples, [0.9, 0.8, 0.7])
    nothing = macro([_score("a", NAN, [NAN] * 3, 0)], 12)
    assert np.isnan(nothing.value)
    assert np.isnan(nothing.resamples).all()


def test_table():
    scores = [
        _score("macro", 0.7, [0.5, NAN, 0.6]),
        _score("b", 0.8, [0.9, 0.8, 0.7]),
        _score("a", NAN, [NAN] * 3),
    ]
    table = score_table(scores, Run("arm", 5, 1), "mi2", "findings", 0.9)
    assert table.schema == SCHEMA
    assert table["target"].to_list() == ["a", "b", "macro"]
    assert table["value"].to_list() == [None, 0.8, 0.7]
    assert table["lower"].to_list() == [None, pytest.approx(0.71), pytest.approx(0.505)]
    assert table["resamples_used"].to_list() == [0, 3, 2]
    assert table["resamples"][1].to_list() == pytest.approx([0.9, 0.8, 0.7])
    assert np.allclose(table["resamples"][2], [0.5, NAN, 0.6], equal_nan=True)
    assert score_table([], Run("arm", 5, 1), "mi2", "findings", 0.9).schema == SCHEMA
