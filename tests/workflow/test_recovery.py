"""Same study, same results, for any number of cores and however often it is killed."""

import hashlib
import random
import time
from functools import partial
from pathlib import Path

import polars as pl
import pytest

from tests.workflow.checkout import TINY, Checkout, Running, copy_checkout

pytestmark = pytest.mark.slow

KILLS = (
    ("start", "make_phantom", 1),
    ("start", "ingest_partition", 2),
    ("done", "ingest_partition", 1),
    ("start", "pretrain_base", 1),
    ("start", "pretrain_arm", 1),
    ("start", "evaluate_run", 2),
    ("done", "evaluate_run", 2),
    ("start", "score_run", 1),
    ("start", "gather_scores", 1),
    ("start", "draw_figures", 1),
)
"""What the journal says, of how many jobs of a rule, shortly before each kill."""
LONGEST_SECONDS = 1.0
"""From the journal's word to the kill: jobs are hit as they start, work and write."""


def digests(results: Path, *patterns: str) -> dict[str, str]:
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in patterns
        for path in sorted(results.glob(pattern))
    }


DATA = ("data/*/shards/*.parquet", "data/*/ledger.parquet", "data/*/catalog.parquet")
ALL = (*DATA, "subsets/*/*.parquet", "encoders/*/*/*/encoder.safetensors", "scores.parquet")


def reached(run: Running, place: int) -> bool:
    """Whether it is time for a kill: its event is there, or a job further down has started."""
    (event, rule, number), *further = KILLS[place:]
    begun = (run.events("start", after) for _, after, _ in further if after != rule)
    return run.events(event, rule) >= number or any(begun)


def test_a_study_killed_on_one_core_completes_with_the_same_bytes(
    finished_tiny: Checkout, tmp_path: Path
) -> None:
    """SIGKILL to the whole process tree in every stage, then the same command again.

    Compared with a study that ran through, on two cores.
    """
    checkout = copy_checkout(tmp_path, TINY)
    draw = random.Random(0)
    for place in range(len(KILLS)):
        with checkout.running(cores=1) as run:
            run.wait_until(partial(reached, run, place), str(KILLS[place]))
            time.sleep(draw.uniform(0, LONGEST_SECONDS))
            assert run.process.poll() is None, run.output()
            run.kill()
        assert not (checkout.results / "report.html").exists()
    checkout.snakemake(cores=1)
    assert digests(checkout.results, *ALL) == digests(finished_tiny.results, *ALL)
    scores = pl.read_parquet(checkout.results / "scores.parquet")
    assert scores.equals(pl.read_parquet(finished_tiny.results / "scores.parquet"))
