"""Real radiographs, from packages of others: fetched once with pip, never part of this repository.

- pydicom-data 1.0.0 (MIT; samples of NEMA's WG04 and others): a CR chest of 15 bits in four
  encodings, a CR extremity, and many odd files.
- medcv 1.0.0 (Apache-2.0): a DX chest of 16 bits.
- rsna-anonymizer 19.0.10 (Apache-2.0): a CR chest, MONOCHROME1, with a burnt-in name and birth
  date.
"""

import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import NamedTuple

PACKAGES = {
    "pydicom-data==1.0.0": ([], "data_store/data/", "pydicom-data"),
    "medcv==1.0.0": ([], "medcv/data/chest.dcm", "medcv"),
    "rsna-anonymizer==19.0.10": (
        ["--no-binary", "rsna-anonymizer"],
        "tests/controller/assets/test_dcm_files/davidson_cxr/",
        "rsna-anonymizer",
    ),
}
"""Options of pip, what of the archive is kept, and the folder that it is kept in."""
_PATIENCE = 300


class Films(NamedTuple):
    """Where the films are."""

    pydicom: Path
    """Folder of pydicom-data's files."""
    medcv: Path
    davidson: Path
    """With a burnt-in name and birth date."""

    @property
    def chests(self) -> dict[str, Path]:
        """The three uncompressed chest films."""
        return {
            "RG1": self.pydicom / "RG1_UNCR.dcm", "medcv": self.medcv, "davidson": self.davidson
        }  # fmt: skip


def fetch() -> Films:
    """Find the films in the user's cache, or download them with pip.

    Raises:
        OSError, subprocess.SubprocessError: if they cannot be downloaded.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "radscale/films"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # processes of one test run share the download
        for requirement, (options, kept, name) in PACKAGES.items():
            if not (cache / name).is_dir():
                _download(requirement, options, kept, cache / name)
    (davidson,) = (cache / "rsna-anonymizer").glob("*.dcm")
    return Films(cache / "pydicom-data", cache / "medcv/chest.dcm", davidson)


def _download(requirement: str, options: list[str], kept: str, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as made:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--dest", made]
        subprocess.run(
            [*command, *options, requirement], check=True, capture_output=True, timeout=_PATIENCE
        )
        (archive,) = Path(made).iterdir()
        unpacked = Path(made) / "unpacked"
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel:
                wheel.extractall(unpacked, [n for n in wheel.namelist() if n.startswith(kept)])
        else:
            with tarfile.open(archive) as source:
                members = [
                    m for m in source.getmembers() if m.name.partition("/")[2].startswith(kept)
                ]
                source.extractall(unpacked, members, filter="data")
        ready = Path(made) / "ready"
        ready.mkdir()
        for path in sorted(unpacked.rglob("*")):
            if path.is_file():
                shutil.move(path, ready / path.name)
        ready.rename(folder)
