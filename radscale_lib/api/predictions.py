"""Score your own predictions."""

from pathlib import Path
from tempfile import TemporaryDirectory

import polars as pl

from radscale_lib.tasks import rescore


def score_predictions(
    predictions: pl.DataFrame | str | Path,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> pl.DataFrame:
    """Score a table of predictions, as `radscale score` does.

    Args:
        predictions: `patient_id`, and for each label `target:<label>` (1, 0 or null) and
            `logit:<label>`; or a Parquet file with these columns. With a column `split`, thresholds
            are chosen on rows of `validation` and rows of `test` are scored.
        resamples: bootstrap draws of patients, 20 or more.
        confidence: level of the intervals.
        seed: of the draws.

    Returns:
        `label, metric, value, lower, upper, cases, positives, note`; means over labels are
        labelled `macro`.

    Raises:
        PredictionsError: naming the column and the row, counted from 1, that cannot be scored.
        ValueError: for fewer than 20 draws.

    Example:
        >>> import polars as pl
        >>> import radscale_lib
        >>> predictions = pl.DataFrame({
        ...     "patient_id": [f"p{i}" for i in range(40)],
        ...     "target:effusion": [i % 2 for i in range(40)],
        ...     "logit:effusion": [i % 2 + i / 40 for i in range(40)],
        ... })
        >>> scores = radscale_lib.score_predictions(predictions)
        >>> scores.filter(label="effusion", metric="auroc")["value"].item() > 0.9
        True
    """
    with TemporaryDirectory() as folder:
        table, out = Path(folder, "predictions.parquet"), Path(folder, "scores.parquet")
        if isinstance(predictions, pl.DataFrame):
            predictions.write_parquet(table)
        else:
            table = Path(predictions)
        rescore.score_predictions(table, out, resamples, confidence, seed)
        return pl.read_parquet(out)
