"""Score any table of predictions, without an encoder."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.files import atomic_write
from radscale_lib.study.evaluation import FEWEST_RESAMPLES
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.label_scores import label_scores
from radscale_lib.tasks.scores import MACRO, MICRO

SCHEMA = pl.Schema(
    {
        "label": pl.String(),
        "metric": pl.String(),
        "value": pl.Float64(),
        "lower": pl.Float64(),
        "upper": pl.Float64(),
        "cases": pl.Int64(),
        "positives": pl.Int64(),
        "note": pl.String(),
    }
)
TARGET, LOGIT = "target:", "logit:"
SPLITS = ("validation", "test")
KEYS = ("patient_id", "split", "head")
"""Types of text or number columns."""


class PredictionsError(ValueError):
    """A table of predictions that cannot be scored; the message names the place."""


@dataclass(frozen=True)
class Predictions:
    """Predictions of one split.

    Attributes:
        patients: of the N images.
        truth: [N, K], 1, 0 or NaN (unknown).
        logits: [N, K].
    """

    patients: list[str]
    truth: NDArray[np.float64]
    logits: NDArray[np.float64]


def score_predictions(
    predictions: Path, out: Path, resamples: int, confidence: float, seed: int
) -> None:
    """Write the scores of a table of predictions.

    Args:
        predictions: Parquet with `patient_id`, and `target:<label>` and `logit:<label>` for each
            label; with `split`, rows of `validation` choose thresholds and rows of `test` are
            scored; without, all rows are scored.
        out: Parquet of `SCHEMA`, labels in the order of their columns, then those of all labels.
        resamples: bootstrap draws of patients.
        confidence: level of the intervals.
        seed: of the draws.

    Raises:
        PredictionsError: naming column and row, the first row being 1; nothing is written.
        ValueError: for too few draws to estimate how a score varies.
    """
    if resamples < FEWEST_RESAMPLES:
        raise ValueError(f"resamples is {resamples}: use at least {FEWEST_RESAMPLES}")
    labels, validation, test = read_predictions(predictions)
    draws = PatientDraws.draw(test.patients, resamples, seed)
    known = (validation.truth, validation.logits) if validation.patients else None
    scores = label_scores(labels, test.truth, test.logits, draws, known)
    place = {name: position for position, name in enumerate((*labels, MICRO, MACRO))}
    rows = []
    for score in sorted(scores, key=lambda score: place[score.target]):
        lower, upper = score.interval(confidence)
        rows.append(
            {
                "label": score.target,
                "metric": score.metric,
                "value": score.value,
                "lower": lower,
                "upper": upper,
                "cases": score.cases,
                "positives": score.positives,
                "note": score.note,
            }
        )
    table = pl.DataFrame(rows, schema=SCHEMA)
    with atomic_write(out) as partial:
        table.with_columns(pl.col("value", "lower", "upper").fill_nan(None)).write_parquet(partial)


def read_predictions(path: Path) -> tuple[list[str], Predictions, Predictions]:
    """Labels, and predictions of the validation and the test images.

    Raises:
        PredictionsError: if the table cannot be scored.
    """
    labels = _labels(path)
    try:
        table = pl.read_parquet(path)
    except (pl.exceptions.PolarsError, OSError) as error:
        raise PredictionsError(f"cannot be read as Parquet ({type(error).__name__})") from None
    for name in KEYS:
        kind = table.schema.get(name, pl.String())
        if kind.is_nested() or kind == pl.Binary:
            raise PredictionsError(f"column '{name}' holds values of type {kind}: give texts")
    _one_head(table)
    split = _split(table)
    named = table["patient_id"].cast(pl.String)
    absent = named.is_null() | (named.str.strip_chars() == "")
    if table["patient_id"].dtype.is_float():
        absent |= table["patient_id"].is_nan()
    if absent.any():
        row = int(absent.arg_max() or 0)
        raise _wrong("patient_id", row, "no patient", "give the patient of every image")
    patients = named.to_list()
    truth = np.stack([_target(table, label) for label in labels], axis=1)
    logits = np.stack([_logit(table, label) for label in labels], axis=1)
    parts = []
    for name in SPLITS:
        chosen = np.flatnonzero(split == name)
        parts.append(Predictions([patients[i] for i in chosen], truth[chosen], logits[chosen]))
    if not parts[1].patients:
        raise PredictionsError("no row to score: give rows, of the split 'test' if there is one")
    return labels, parts[0], parts[1]


def _labels(path: Path) -> list[str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
    except FileNotFoundError:
        raise PredictionsError("there is no such file") from None
    except (OSError, pa.ArrowInvalid) as error:
        raise PredictionsError(f"cannot be read as Parquet: {error}") from None
    for name in names:
        if names.count(name) > 1:
            raise PredictionsError(f"column {name!r} appears {names.count(name)} times: keep one")
        kind = f"{name.partition(':')[0].strip().lower()}:"
        if ":" in name and kind in (TARGET, LOGIT) and not name.startswith(kind):
            raise PredictionsError(f"column {name!r}: begin it with '{kind}', or rename it")
    if "patient_id" not in names:
        raise PredictionsError("column 'patient_id' is missing: resampling is by patient")
    targets = [name.removeprefix(TARGET) for name in names if name.startswith(TARGET)]
    logits = [name.removeprefix(LOGIT) for name in names if name.startswith(LOGIT)]
    for ours, others, kind, other in (
        (logits, targets, LOGIT, TARGET),
        (targets, logits, TARGET, LOGIT),
    ):
        for label in ours:
            if label not in others:
                raise PredictionsError(
                    f"column '{kind}{label}' has no column '{other}{label}': give both or none"
                )
            if label in ("", MICRO, MACRO):
                raise PredictionsError(
                    f"column '{kind}{label}': no label may be called {label!r}: rename it"
                )
    if not targets:
        raise PredictionsError("no columns 'target:<label>' and 'logit:<label>': nothing to score")
    return targets


def _one_head(table: pl.DataFrame) -> None:
    """Refuse rows of several heads, which would count every image more than once."""
    if "head" not in table.columns:
        return
    heads = table["head"].cast(pl.String).fill_null("").n_unique()
    if heads > 1:
        raise PredictionsError(f"column 'head': predictions of {heads} heads: keep the rows of one")


def _split(table: pl.DataFrame) -> NDArray[np.str_]:
    if "split" not in table.columns:
        alike = next((name for name in table.columns if name.strip().lower() == "split"), None)
        if alike:
            raise PredictionsError(f"column {alike!r}: if this is the split, call it 'split'")
        return np.full(len(table), "test")
    split = table["split"].cast(pl.String, strict=False).fill_null("")
    wrong = ~split.is_in(SPLITS)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise _wrong("split", row, "neither 'validation' nor 'test'", "drop such rows")
    return split.to_numpy().astype(str)


def _target(table: pl.DataFrame, label: str) -> NDArray[np.float64]:
    column = table[f"{TARGET}{label}"]
    plain = column.dtype.is_numeric() or column.dtype in (pl.Boolean, pl.Null)
    values = column.cast(pl.Float64) if plain else pl.Series([0.5]).new_from_index(0, len(column))
    wrong = ~values.is_in([0.0, 1.0]) & column.is_not_null()
    if wrong.fill_null(True).any():
        row = int(wrong.fill_null(True).arg_max() or 0)
        raise _wrong(column.name, row, "not 1, 0 or null", "leave unknown targets null")
    return values.fill_null(float("nan")).to_numpy()


def _logit(table: pl.DataFrame, label: str) -> NDArray[np.float64]:
    column = table[f"{LOGIT}{label}"]
    values = (
        column.cast(pl.Float64).fill_null(float("nan"))
        if column.dtype.is_numeric()
        else pl.Series([float("nan")]).new_from_index(0, len(column))
    )
    finite = values.is_finite()
    if not finite.all():
        row = int((~finite).arg_max() or 0)
        raise _wrong(column.name, row, "not a finite number", "give a logit for every row")
    return values.to_numpy()


def _wrong(column: str, row: int, what: str, remedy: str) -> PredictionsError:
    return PredictionsError(f"column {column!r}, row {row + 1}: {what}: {remedy}")
