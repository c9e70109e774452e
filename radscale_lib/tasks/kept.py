"""Keep the parts of a run's evaluation, so that changing one does not recompute the others."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from radscale_lib.files import read_json, write_json
from radscale_lib.provenance.digests import digest

FOLDER = "evaluated"
"""Name below the folder `work`; it has a folder for each run."""
MADE = "made.json"


class Kept:
    """Folders of parts, each with a record of its inputs; only the last of each part is kept."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the run's."""
        self._folder = folder

    def folder(self, part: str) -> Path:
        """The folder of a part's files."""
        return self._folder / part

    def has(self, part: str, of: Mapping[str, str]) -> bool:
        """Whether the files of a part are complete, and were made from these inputs.

        Args:
            part: its name.
            of: stage id, and digests of all inputs.
        """
        folder = self.folder(part)
        try:
            made = read_json(folder / MADE)
            return made["of"] == of and all(
                digest(folder / name) == content for name, content in made["files"].items()
            )
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def keep(self, part: str, of: Mapping[str, str], files: Sequence[str]) -> None:
        """Record the inputs of the files in a part's folder; `of` as for `has`."""
        folder = self.folder(part)
        digests = {name: digest(folder / name) for name in files}
        write_json(folder / MADE, {"of": dict(of), "files": digests})

    def parts(self) -> list[str]:
        """Names of the kept parts."""
        return sorted(path.parent.name for path in self._folder.glob(f"*/{MADE}"))

    def restate(self, part: str, stage: str) -> None:
        """Record that a part counts as made by another stage id, as a person has judged."""
        made = read_json(self.folder(part) / MADE)
        made["of"]["stage"] = stage
        write_json(self.folder(part) / MADE, made)


def link(source: Path, target: Path) -> None:
    """Hard-link a file, or copy it if the file system has no hard links.

    Neither file may be written in place afterwards; `files.atomic_write` never does so.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    partial.replace(target)
