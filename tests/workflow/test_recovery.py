"""Same study, same results: whatever the number of cores, and however often it is killed."""

import hashlib
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import polars as pl
import pytest

from tests.workflow.checkout import Checkout, copy_checkout

pytestmark = pytest.mark.slow

KILLS = 10


def digests(results: Path, *patterns: str) -> dict[str, str]:
    return {
        str(path.relative_to(results)): hashlib.sha256(path.read_bytes()).hexdigest()
        for pattern in patterns
        for path in sorted(results.glob(pattern))
    }


DATA = ("data/*/shards/*.parquet", "data/*/ledger.parquet", "data/*/catalog.parquet")
ALL = (*DATA, "subsets/*/*.parquet", "encoders/*/*/*/encoder.safetensors", "scores.parquet")


def test_one_core_gives_the_same_bytes(finished: Checkout, tmp_path: Path) -> None:
    single = copy_checkout(tmp_path)
    single.snakemake(cores=1)
    assert digests(single.results, *ALL) == digests(finished.results, *ALL)


def test_a_killed_study_completes_with_the_same_scores(finished: Checkout, tmp_path: Path) -> None:
    """SIGKILL to the whole process tree at random instants, then the same command again."""
    checkout = copy_checkout(tmp_path)
    draw = random.Random(0)
    killed = 0
    for _ in range(KILLS):
        process = subprocess.Popen(
            checkout.command(),
            cwd=checkout.folder,
            env=checkout.environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            process.wait(draw.uniform(2.5, 14))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            killed += 1
        time.sleep(0.2)
    assert killed >= KILLS // 2
    checkout.snakemake()
    assert digests(checkout.results, *ALL) == digests(finished.results, *ALL)
    scores = pl.read_parquet(checkout.results / "scores.parquet")
    assert scores.equals(pl.read_parquet(finished.results / "scores.parquet"))
