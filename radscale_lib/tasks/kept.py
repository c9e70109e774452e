"""Parts of a run's evaluation that are kept, so that a change of one recomputes no other."""

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from radscale_lib.files import read_json, write_json
from radscale_lib.provenance.digests import digest

FOLDER = "evaluated"
"""Below the folder `work`; in it a folder for each run."""
MADE = "made.json"


class Kept:
    """Folders of parts, each with what it was made of: the last of each part."""

    def __init__(self, folder: Path) -> None:
        """`folder` is the run's."""
        self._folder = folder

    def folder(self, part: str) -> Path:
        """Where the files of a part are written."""
        return self._folder / part

    def has(self, part: str, of: Mapping[str, str]) -> bool:
        """Whether the files of a part are whole, and were made of this.

        Args:
            part: its name.
            of: stage id, and digests of all that it is made of.
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
        """Say what the files in a part's folder are made of; `of` as of `has`."""
        folder = self.folder(part)
        digests = {name: digest(folder / name) for name in files}
        write_json(folder / MADE, {"of": dict(of), "files": digests})

    def parts(self) -> list[str]:
        """Names of the parts that are kept."""
        return sorted(path.parent.name for path in self._folder.glob(f"*/{MADE}"))

    def restate(self, part: str, stage: str) -> None:
        """Let a part count as made by another stage id, by somebody's judgement."""
        made = read_json(self.folder(part) / MADE)
        made["of"]["stage"] = stage
        write_json(self.folder(part) / MADE, made)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the file system knows no such names.

    Neither may be written in place afterwards: `files.atomic_write` does not.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    partial.replace(target)
