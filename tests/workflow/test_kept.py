"""Encoders kept on the way: jobs, tables, and what a change of `keep` runs again."""

import polars as pl
import pytest

from tests.workflow.checkout import TINY, Checkout, copy_checkout

RULE = "pretrain_arm_keeping_50"
KEPT = "rad-dino@0.5"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    return copy_checkout(tmp_path_factory.mktemp("kept"), TINY)


def test_a_kept_encoder_comes_from_its_training_and_is_evaluated_like_any(
    checkout: Checkout,
) -> None:
    """What is set for trainings holds for those that keep encoders too."""
    with checkout.study(arms__rad_of_dino__keep=[0.5]):
        jobs = checkout.plan("--set-resources", "pretrain_arm:gpu=2")
    [training] = [job for job in jobs if job["rule"] == RULE]
    assert training["wildcards"]["arm"] == "rad-dino"
    assert [job["rule"] for job in jobs].count("pretrain_arm") == 1
    gpus = {job["rule"]: job["gpus"] for job in jobs}
    assert gpus[RULE] == gpus["pretrain_arm"] == 2
    of = [job["rule"] for job in jobs if job["wildcards"].get("arm") == KEPT]
    assert of == [job["rule"] for job in jobs if job["wildcards"].get("arm") == "mi2-open"][1:]


@pytest.mark.long
def test_a_study_with_kept_encoders(checkout: Checkout) -> None:
    """Its scores are those of one without; other shares train again, fewer do not."""
    keep = {"arms__rad_of_dino__keep": [0.5], "scaling__checkpoint_by": "findings"}
    with checkout.study(**keep):
        checkout.snakemake()
        assert checkout.plan() == []
    scores = pl.read_parquet(checkout.results / "scores.parquet")
    along = pl.read_parquet(checkout.results / "checkpoints.parquet")
    assert not scores["arm"].str.contains("@").any()
    assert along["share"].unique().sort().to_list() == [0.5, 1.0]
    assert (
        along.filter(pl.col("share") == 1)
        .select("task", "metric", "target", "value")
        .equals(
            scores.filter(pl.col("arm") == "rad-dino").select("task", "metric", "target", "value")
        )
    )
    halves = along.filter(pl.col("share") == 0.5)["value"]
    assert halves.drop_nulls().len() > 0
    assert along["chosen"].null_count() == 0
    with checkout.study():
        rules = {job["rule"] for job in checkout.plan()}
        assert "gather_scores" in rules
        assert not rules & {"pretrain_arm", "evaluate_run", "score_run"}
    with checkout.study(arms__rad_of_dino__keep=[0.25, 0.5]):
        [training] = [job for job in checkout.plan() if job["rule"].startswith("pretrain_arm")]
        assert training["rule"] == "pretrain_arm_keeping_25_50"
