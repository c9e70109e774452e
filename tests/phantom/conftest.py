from pathlib import Path

import pytest

from radscale_lib.phantom import write_archive
from radscale_lib.study.archive import Phantom


@pytest.fixture(scope="session")
def phantom() -> Phantom:
    return Phantom(patients=24, seed=5, pixels=64, broken=8)


@pytest.fixture(scope="session")
def archive(phantom: Phantom, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("phantom")
    write_archive(phantom, folder)
    return folder
