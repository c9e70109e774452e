"""The embedded study as an example: docs/example, pictures, and the answers on the README.

python -m tests.repository.example [RESULTS]    writes them, as `make example` does
"""

import shutil
import sys
from pathlib import Path

from benchmarks.tables import write_between_marks
from radscale_lib.files import write_json
from radscale_lib.provenance.manifest import path_of, read_manifest
from radscale_lib.study import StudyError

ROOT = Path(__file__).parents[2]
FOLDER = Path("docs/example")
PICTURES = {"scaling.png": "demo.png"}
"""Figures of the study, and their names in docs/images."""
MARK = "answers"
LARGEST = 2_000_000
"""Bytes of the report: it is part of every clone."""


def write(results: Path, root: Path = ROOT) -> None:
    """Copy what is shown of a finished study into the documents, with the digest of its settings.

    Args:
        results: the study's folder.
        root: the checkout.

    Raises:
        StudyError: if the study is not finished, or its report is too large.
    """
    import polars as pl  # the tests need the constants alone

    from radscale_lib.report.answers import answers
    from radscale_lib.report.finished import settings_of

    study, manifest = settings_of(results), read_manifest(path_of(results, "report"))
    if manifest is None or manifest.state != "done":
        raise StudyError(f"{results}: no finished report: run the study first")
    report = results / "report.html"
    if report.stat().st_size > LARGEST:
        raise StudyError(f"{report}: {report.stat().st_size} bytes, more than {LARGEST}")
    (root / FOLDER).mkdir(exist_ok=True)
    shutil.copyfile(report, root / FOLDER / "report.html")
    for figure, name in PICTURES.items():
        shutil.copyfile(results / "figures" / figure, root / "docs/images" / name)
    found = answers(study, pl.read_parquet(results / "verdicts.parquet"))
    rows = [f"| {one.question} | **{one.word}** | {one.number} | {one.what} |" for one in found]
    table = "\n".join(["| question | answer | by | which is |", "|---|---|---|---|", *rows])
    shown = f"{table}\n\nThe whole report: [{FOLDER}/report.html]({FOLDER}/report.html).\n"
    write_between_marks(root / "README.md", MARK, shown)
    write_json(root / FOLDER / "settings.json", {"study": study.name, "digest": manifest.settings})


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "results/demo")
