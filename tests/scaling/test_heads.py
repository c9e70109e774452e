"""Which head of a task is fitted."""

import polars as pl
import pytest

from radscale_lib.scaling.heads import of_head
from radscale_lib.study import parse_study
from tests.study.test_wrong_studies import edited

HEADS = {"linear": {"kind": "linear", "label_shares": [0.1]}, "near": {"kind": "knn"}}
SCORES = pl.DataFrame(
    {
        "task": ["findings", "findings", "findings", "tubes"],
        "head": ["linear", "linear@10%", "near", "linear"],
        "value": [0.1, 0.2, 0.3, 0.4],
    }
)


@pytest.mark.parametrize(
    ("setting", "values"),
    [
        ({"findings": "linear"}, [0.1]),
        ({"findings": "near"}, [0.3]),
        ({"findings": "linear@10%"}, [0.2]),
    ],
)
def test_the_head_that_is_set_is_fitted_else_the_only_one(setting, values):
    study = parse_study(
        edited({"evaluation.tasks.findings.heads": HEADS, "scaling.heads": setting})
    )
    assert of_head(study, SCORES, "findings")["value"].to_list() == values
    assert of_head(study, SCORES, "tubes")["value"].to_list() == [0.4]
    assert len(of_head(study, SCORES.drop("head"), "findings")) == 3
