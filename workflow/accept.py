"""Accepting existing results after a change that the user judges harmless."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from radscale_lib.files import read_json, write_json
from radscale_lib.study.model import Study
from workflow.jobs import run_of, stage_of


class NothingToAcceptError(RuntimeError):
    """There are no results that could be accepted."""


def refuse_missing(jobs: Iterable[Mapping[str, Any]]) -> None:
    """Only results that exist can be accepted.

    Raises:
        NothingToAcceptError: if a planned job's results have never been made, or no job is planned.
    """
    jobs = list(jobs)
    missing = sorted({job["rule"] for job in jobs if job["reason"] == "not made yet"})
    if missing:
        raise NothingToAcceptError(
            f"results of {', '.join(missing)} do not exist: run snakemake, or name targets that do"
        )
    if not jobs:
        raise NothingToAcceptError("nothing is outdated: there is nothing to accept")


def record(study: Study, jobs: Iterable[Mapping[str, Any]], reason: str) -> list[Path]:
    """Write into the card of every run concerned what changed and why its results still hold.

    Returns:
        The cards written.
    """
    cards = []
    for job in jobs:
        names = job["wildcards"]
        if stage_of(job["rule"]) != "pretrain":
            continue
        run = run_of(names)
        path = study.folder / "encoders" / run.path / "encoder.json"
        card = read_json(path)
        card.setdefault("accepted", []).append({"changed": job["reason"], "reason": reason})
        write_json(path, card)
        cards.append(path)
    return cards
