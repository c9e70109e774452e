"""The provenance of a report's figures and tables, from their jobs' manifests."""

import hashlib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from radscale_lib.files import read_json
from radscale_lib.report.listing import Listed

JOBS = {
    "scores": "scores of all runs",
    "fits": "fits, crossovers, comparisons and verdicts",
    "subsets/card": "subsets, and Table 1",
    "figures": "figures, and the tables behind them",
}
"""Jobs whose results a report shows, with a description."""
FIRST = 12
"""Number of digits of a commit shown."""


def sources(folder: Path) -> list[dict[str, str]]:
    """A row of text for each job: stage id, settings, and the commit at which it ran.

    Unknown values, such as the commit without git, are dashes. The present checkout is not
    consulted, so that the same results give the same report.

    Args:
        folder: the study's folder.
    """
    rows = []
    maps = sorted((folder / "provenance" / "similarity").glob("*.json"))
    names = JOBS | {f"similarity/{path.stem}": f"similarity maps of {path.stem}" for path in maps}
    for job, words in names.items():
        manifest = _manifest(folder, job)
        if manifest is None:
            continue
        inputs = manifest.get("inputs") or {}
        rows.append(
            {
                "what": words,
                **_made_by(manifest),
                "inputs": str(len(inputs)),
                "digests": ", ".join(
                    f"{Path(name).name} {str(facts['digest'])[:FIRST]}"
                    for name, facts in sorted((manifest.get("outputs") or {}).items())
                    if Path(name).suffix == ".parquet"
                )
                or "–",
            }
        )
    return rows


def figure_sources(folder: Path, drawn: Sequence[Listed]) -> list[dict[str, str]]:
    """A row of text for each figure: its data, settings, and the job that drew it.

    Args:
        folder: the study's folder.
        drawn: the figures of the report.

    Returns:
        `name`, `files` (from which it is drawn), `data` (first digits of a digest of these files'
        digests), `made` (of the figure's first file), `id`, `settings` and `commit`; empty without
        a manifest.
    """
    manifest = _manifest(folder, "figures")
    if manifest is None:
        return []
    rows = []
    for figure in drawn:
        read = {
            name: facts["digest"]
            for name, facts in sorted((manifest.get("inputs") or {}).items())
            if any(fnmatchcase(name, pattern) for pattern in figure["reads"])
        }
        made = [
            facts["digest"]
            for name, facts in sorted((manifest.get("outputs") or {}).items())
            if name.rpartition(".")[0] == f"figures/{figure['name']}"
        ]
        rows.append(
            {
                "name": figure["name"],
                "files": _files(list(read)),
                "data": _digest(read) if read else "–",
                "made": str(made[0])[:FIRST] if made else "–",
                **_made_by(manifest),
            }
        )
    return rows


def packages(folder: Path) -> list[tuple[str, str]]:
    """Every package installed where a job ran, with its version or versions.

    Args:
        folder: the study's folder.
    """
    found: dict[str, set[str]] = {}
    for path in sorted((folder / "provenance" / "ids").glob("packages-*.json")):
        for package in read_json(path):
            name, _, version = package.partition(" ")
            found.setdefault(name, set()).add(version)
    return [(name, ", ".join(sorted(versions))) for name, versions in sorted(found.items())]


def _manifest(folder: Path, job: str) -> dict[str, Any] | None:
    path = folder / "provenance" / f"{job}.json"
    found: dict[str, Any] | None = read_json(path) if path.is_file() else None
    return found


def _made_by(manifest: Mapping[str, Any]) -> dict[str, str]:
    commit = (manifest.get("run") or {}).get("commit")
    return {
        "id": str(manifest.get("id") or "–"),
        "settings": str(manifest.get("settings") or "–"),
        "commit": str(commit)[:FIRST] if commit else "–",
    }


def _digest(files: Mapping[str, str]) -> str:
    text = "\n".join(f"{name} {digest}" for name, digest in files.items())
    return hashlib.sha256(text.encode()).hexdigest()[:FIRST]


def _files(names: Sequence[str]) -> str:
    """Names of files without suffix; for many in a folder, their number."""
    if len(names) > 4:
        return f"{len(names)} files in {names[0].partition('/')[0]}/"
    return ", ".join(name.removesuffix(".parquet") for name in names) or "–"
