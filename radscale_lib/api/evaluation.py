"""Score any encoder by a study's tasks."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl

from radscale_lib.api.results import StudyResults
from radscale_lib.tasks import own_encoder


def evaluate_encoder(
    study: StudyResults,
    encoder: str | Path,
    out: str | Path,
    name: str = "own",
    tasks: Sequence[str] | None = None,
    archives: Sequence[str] | None = None,
    threads: int = 1,
) -> Mapping[str, pl.DataFrame]:
    """Evaluate an encoder by a study's tasks, as `radscale evaluate-encoder` does.

    Splits, bootstrap draws and protocols are the study's, so that the scores are paired with its
    own.

    Args:
        study: of `open_study`; its archives must have been ingested.
        encoder: any argument of `load_encoder` except a section of a study.
        out: folder to write, with the predictions and scores.
        name: of the encoder in the tables.
        tasks: of the study; None: all of them.
        archives: test archives of the study; None: all of them.
        threads: threads of the numerical libraries.

    Returns:
        Rows as in the study's table of scores, of `institution` and of each test archive.

    Raises:
        InputError: if an archive is not ingested, the study has no such task or archive, or the
            encoder cannot be used.

    Example:
        >>> import radscale_lib
        >>> study = radscale_lib.open_study("study.yaml")
        >>> scores = radscale_lib.evaluate_encoder(
        ...     study, study.encoder("rad-dino", size=16), "own", tasks=["findings"]
        ... )
        >>> scores["institution"]["arm"].unique().to_list()
        ['own']
    """
    return own_encoder.evaluate_encoder(
        study.settings, str(encoder), Path(out), name, tasks, threads, archives
    )
