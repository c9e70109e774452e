"""A finished smoke study, run once."""

import pytest

from tests.workflow.checkout import Checkout, copy_checkout


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The smoke study, run with two cores in a copy of the checkout."""
    checkout = copy_checkout(tmp_path_factory.mktemp("finished"))
    checkout.snakemake()
    return checkout
