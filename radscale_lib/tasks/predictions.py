"""Predictions of a task and run: a table, and facts about its heads."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import polars as pl

from radscale_lib.files import atomic_write, file_digest
from radscale_lib.provenance.step import InputError

KEY = "radscale"
"""Key of the Parquet file's metadata: JSON of everything but the table."""
HEAD = "head"
"""First column: the head of each row."""

NO_PREDICTIONS = "no predictions: "
"""Start of the note on a head that failed although others did not; the reason follows."""


@dataclass(frozen=True)
class Predicted:
    """The predictions of heads for a task's images.

    Attributes:
        table: a row for each image and head; its first column is `head`.
        choices: by head, what was chosen on validation.
        notes: by head, why an encoder cannot have it: its rows hold the truth, and null instead of
            predictions.
        faults: by head, why it has no rows although it should.
        encoder: SHA-256 of the encoder's file.
        images: number of unique images from which the encoder learnt; None if its card does not
            say.
        elsewhere: by test archive, a table with the same columns for its images.
    """

    table: pl.DataFrame
    choices: Mapping[str, str] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    faults: Mapping[str, str] = field(default_factory=dict)
    encoder: str | None = None
    images: int | None = None
    elsewhere: Mapping[str, pl.DataFrame] = field(default_factory=dict)

    @classmethod
    def of_parts(cls, parts: Sequence["Predicted"]) -> "Predicted":
        """Join the predictions of a task's heads, in order; at least one."""

        def merged(name: str) -> dict[str, str]:
            return {head: text for part in parts for head, text in getattr(part, name).items()}

        return cls(
            pl.concat([part.table for part in parts]),
            choices=merged("choices"),
            notes=merged("notes"),
            faults=merged("faults"),
            elsewhere={
                archive: pl.concat([part.at(archive).table for part in parts])
                for archive in dict.fromkeys(name for part in parts for name in part.elsewhere)
            },
        )

    def at(self, archive: str) -> "Predicted":
        """The predictions for a test archive's images; empty if there are none."""
        table = self.elsewhere.get(archive, self.table.clear())
        return replace(self, table=table, elsewhere={})

    def require(self, path: Path, encoder: Path) -> None:
        """Check that the predictions were made by an encoder.

        Args:
            path: file of the predictions.
            encoder: file of the encoder.

        Raises:
            InputError: naming both digests.
        """
        if self.encoder != (found := file_digest(encoder)):
            raise InputError(
                f"{path}: predictions of another encoder (SHA-256 {str(self.encoder)[:16]}) than "
                f"{encoder} ({found[:16]}): delete it and run snakemake again"
            )

    def write(self, path: Path) -> None:
        """Write the table and its facts atomically."""
        known = asdict(replace(self, table=pl.DataFrame(), elsewhere={}))
        del known["table"], known["elsewhere"]
        with atomic_write(path) as partial:
            metadata = {KEY: json.dumps(known, sort_keys=True)}
            self.table.write_parquet(partial, metadata=metadata)

    @classmethod
    def read(cls, path: Path) -> "Predicted":
        """Read a file written by `write`.

        Raises:
            InputError: if the file is missing, damaged, or of another kind.
        """
        try:
            known = json.loads(pl.read_parquet_metadata(path)[KEY])
            return cls(pl.read_parquet(path), **known)
        except (pl.exceptions.PolarsError, OSError, KeyError, ValueError, TypeError) as error:
            missing = isinstance(error, FileNotFoundError)
            what = "missing" if missing else "damaged, or another kind of file"
            raise InputError(f"{path}: {what}: delete it and run snakemake again") from None
