"""Settings of all tests: one thread each, property tests that are the same in every run.

And a finished smoke study, run once, for the tests of the workflow and of the cluster.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["POLARS_MAX_THREADS"] = "1"

import pytest
from hypothesis import settings

from tests.workflow.checkout import Checkout, copy_checkout

settings.register_profile("radscale", deadline=None, derandomize=True)
settings.load_profile("radscale")


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The smoke study, run with two cores in a copy of the checkout."""
    checkout = copy_checkout(tmp_path_factory.mktemp("finished"))
    checkout.snakemake()
    return checkout
