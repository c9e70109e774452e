"""Open a study and its results so far."""

from dataclasses import dataclass
from pathlib import Path

import polars as pl

from radscale_lib.provenance.settings import are_settings, read_settings
from radscale_lib.study import Run, Study, load_study


@dataclass(frozen=True)
class StudyResults:
    """A study's settings and results.

    Attributes:
        settings: the study, with all its defaults.
        folder: the folder of its results.
    """

    settings: Study
    folder: Path

    def data_folder(self, archive: str) -> Path:
        """The folder of an archive's catalog and shards: here, or where it was ingested."""
        return (self.settings.archives[archive].ingested or self.folder) / "data" / archive

    def tables(self) -> dict[str, Path]:
        """The existing tables, by name.

        `scores`, `fits`, `crossovers`, `comparisons`, `label_fits` and `verdicts`; `subsets`, the
        card of the subsets; and of each archive `<archive>/catalog`, `/ledger`, `/joins` and
        `/texts`. Columns: docs/reference/data-contracts.md.
        """
        found = {path.stem: path for path in self.folder.glob("*.parquet")}
        found["subsets"] = self.folder / "subsets" / "card.parquet"
        for archive in self.settings.archives:
            for path in self.data_folder(archive).glob("*.parquet"):
                found[f"{archive}/{path.stem}"] = path
        return {name: found[name] for name in sorted(found) if found[name].is_file()}

    def table(self, name: str) -> pl.DataFrame:
        """Read a table.

        Raises:
            KeyError: if it does not exist; the message lists those that do.
        """
        known = self.tables()
        if name not in known:
            raise KeyError(f"{name}: no table in {self.folder}: there are {', '.join(known)}")
        return pl.read_parquet(known[name])

    def encoder(self, arm: str, size: int = 0, seed: int = 0) -> Path:
        """The encoder file of a run; size 0 is a baseline.

        Raises:
            KeyError: if the study has no such run.
            FileNotFoundError: if the run is not finished.
        """
        run = Run(arm, size, seed)
        if run not in self.settings.runs:
            known = ", ".join(each.path for each in self.settings.runs)
            raise KeyError(f"{run.path}: no run of study {self.settings.name}: there are {known}")
        path = self.folder / "encoders" / run.path / "encoder.safetensors"
        if not path.is_file():
            raise FileNotFoundError(f"{path}: not made yet: run the study first")
        return path


def open_study(path: str | Path) -> StudyResults:
    """Open a study file, or settings in a study's results (`results/<name>/settings/*.json`).

    Args:
        path: the file. For a study file, results lie where it says (`results`); for settings, in
            their own folder, wherever it was moved.

    Raises:
        StudyError: if the study cannot be used; names the key, the value and the remedy.

    Example:
        >>> import radscale_lib
        >>> study = radscale_lib.open_study("study.yaml")
        >>> sorted(study.settings.arms)
        ['mi2-reports', 'rad-dino']
        >>> scores = study.table("scores")
        >>> sorted(scores["metric"].unique())[:2]
        ['auprc', 'auroc']
        >>> "institution/catalog" in study.tables()
        True
        >>> study.encoder("rad-dino", size=16).name
        'encoder.safetensors'
    """
    path = Path(path)
    if are_settings(path):
        return StudyResults(read_settings(path), path.parent.parent)
    study = load_study(path)
    return StudyResults(study, study.folder)
