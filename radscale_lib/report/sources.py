"""Where the figures and tables of a report come from, as their jobs' manifests have it."""

from pathlib import Path

from radscale_lib.files import read_json

JOBS = {
    "scores": "scores of all runs",
    "fits": "fits, crossovers, comparisons and verdicts",
    "subsets/card": "subsets, and Table 1",
    "figures": "figures, and the tables behind them",
}
"""Jobs whose results a report shows, and in words."""
FIRST = 12
"""Digits of a commit that are shown."""


def sources(folder: Path) -> list[dict[str, str]]:
    """A row of texts for each job: its stage id, the settings it read, and the commit it ran at.

    What is not known, as the commit where there was no git, is a dash. Nothing of the present
    checkout enters, so that the same results give the same report.

    Args:
        folder: the study's folder.
    """
    rows = []
    maps = sorted((folder / "provenance" / "similarity").glob("*.json"))
    names = JOBS | {f"similarity/{path.stem}": f"similarity maps of {path.stem}" for path in maps}
    for job, words in names.items():
        path = folder / "provenance" / f"{job}.json"
        if not path.is_file():
            continue
        manifest = read_json(path)
        commit = (manifest.get("run") or {}).get("commit")
        inputs = manifest.get("inputs") or {}
        rows.append(
            {
                "what": words,
                "id": str(manifest.get("id") or "–"),
                "settings": str(manifest.get("settings") or "–"),
                "commit": str(commit)[:FIRST] if commit else "–",
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
