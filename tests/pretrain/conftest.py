"""Fixtures of the pretraining tests."""

import pytest
import torch
import yaml

from tests.pretrain.archive import STUDY, Archive, write_archive

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    """The archive, once."""
    return write_archive(tmp_path_factory.mktemp("archive"), yaml.safe_load(STUDY))
