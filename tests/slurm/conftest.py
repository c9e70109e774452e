"""The cluster, once per session, and studies on it."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.slurm.cluster import CannotRunHereError, Cluster
from tests.slurm.study import ClusterStudy
from tests.workflow.checkout import Checkout

REQUIRED = "RADSCALE_CLUSTER"
"""Set to `required`, a machine that cannot run the cluster fails the tests instead of skipping."""


def started(folder: Path, accounting: bool) -> Iterator[Cluster]:
    cluster = Cluster(folder, accounting)
    try:
        cluster.__enter__()
    except CannotRunHereError as error:
        if os.environ.get(REQUIRED) == "required":
            raise
        pytest.skip(f"no SLURM cluster on this machine: {error}")
    try:
        yield cluster
    finally:
        cluster.stop()
        assert cluster.leftovers() == []


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Four nodes without accounting."""
    yield from started(tmp_path_factory.mktemp("cluster"), accounting=False)


@pytest.fixture(scope="session")
def accounted_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Four nodes with slurmdbd, so that `sacct` works."""
    yield from started(tmp_path_factory.mktemp("accounted"), accounting=True)


@pytest.fixture
def study(finished: Checkout, cluster: Cluster, tmp_path: Path) -> Iterator[ClusterStudy]:
    """A copy of the finished smoke study, to undo and run again on the cluster."""
    folder = tmp_path / "checkout"
    shutil.copytree(finished.folder, folder, symlinks=True)
    study = ClusterStudy(folder, cluster, tmp_path)
    yield study
    study.stop()
