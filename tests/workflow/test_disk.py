"""Freeing disk space: the study stays current, and what is read again is made again."""

import shutil
from collections import Counter

import pytest

from radscale_lib.files import file_digest
from tests.workflow.checkout import Checkout
from tests.workflow.test_moves import AFTER_A_RATE, another_rate, rules

pytestmark = pytest.mark.slow


def contents(checkout: Checkout, *patterns: str) -> dict[str, str]:
    return {
        path.relative_to(checkout.results).as_posix(): file_digest(path)
        for pattern in patterns
        for path in checkout.results.glob(pattern)
    }


def test_a_slimmed_study_is_current(tiny: Checkout) -> None:
    encoders = contents(tiny, "encoders/**/encoder.safetensors")
    answers = tiny.results / "work/labels/answers.jsonl"  # of an endpoint
    answers.parent.mkdir(exist_ok=True)
    answers.write_text("{}")
    said = tiny.snakemake("--", "slim")
    assert "features" in said and "The study is as current as before" in said
    assert contents(tiny, "features/**/*.*") == {}
    assert contents(tiny, "encoders/**/encoder.safetensors") == encoders
    links = [path.stat().st_nlink for path in tiny.results.glob("work/*/finished/encoder.*s")]
    assert links and min(links) >= 2  # of one content with the encoder
    assert answers.exists()
    assert tiny.plan() == []


@pytest.mark.long
def test_what_was_freed_is_made_again_where_it_is_read(
    tiny: Checkout, finished_tiny: Checkout
) -> None:
    places = ("data/*/shards/*", "data/*/ranges.arrow", "features/**/*.*", "data/*/*/part*.parquet")
    before = contents(tiny, *places)
    assert "to be freed" in tiny.snakemake("--dry-run", "--", "slim_shards")
    assert contents(tiny, *places) == before
    tiny.snakemake("--", "slim_shards")
    assert contents(tiny, "data/*/shards/*", "data/*/ranges.arrow", "features/**/*.*") == {}
    assert tiny.plan() == []
    tiny.snakemake("--", "verify")
    made_again = {"ingest_partition": 2, "index_shards_institution": 1}
    with another_rate(tiny):
        jobs = tiny.plan()
        assert rules(jobs) == Counter(AFTER_A_RATE) | Counter(made_again)
        reasons = {job["rule"]: job["reason"] for job in jobs}
        assert {reasons[name] for name in made_again} == {"freed, and needed again"}
    with tiny.study(evaluation__features={"batch": 7}):
        planned = tiny.plan()
        assert rules(planned)["evaluate_run"] == 4
        reason = next(job["reason"] for job in planned if job["rule"] == "evaluate_run")
        assert reason.startswith("changed: "), reason  # though its features are gone
        assert not {"pretrain_arm", "draw_subset"} & set(rules(planned))
        with tiny.running(cores=1) as run:  # cut off as it makes things again
            run.wait_for("done", "ingest_partition")
        assert not {"pretrain_arm", "draw_subset", "catalog_institution"} & set(rules(tiny.plan()))
        tiny.snakemake()
        assert tiny.plan() == []
    ours = ("data/institution/*/part*.parquet", "data/institution/ranges.arrow")
    assert contents(tiny, *ours) == contents(finished_tiny, *ours)


@pytest.mark.long
def test_what_a_planned_job_reads_is_kept(tiny: Checkout) -> None:
    shutil.rmtree(tiny.results / "tasks/findings/rad-dino")
    (tiny.results / "encoders/mi2-reports/n=16/seed=0/encoder.safetensors").unlink()
    said = tiny.snakemake("--", "slim_shards")
    assert "trainings are still to run" in said and "runs are still to be evaluated" in said
    assert "kept: jobs that are still to run read them" in said
    assert (tiny.results / "features/rad-dino/n=16/seed=0/features.safetensors").exists()
    assert list(tiny.results.glob("work/*/finished/encoder.safetensors"))
    assert list(tiny.results.glob("data/institution/shards/*"))
    tiny.snakemake()
    assert tiny.plan() == []
