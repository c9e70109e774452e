"""The embedded study as an example: docs/example, pictures, README's answers, what it shows.

python -m tests.repository.example [RESULTS]    writes them, as `make example` does
"""

import re
import shutil
import sys
from pathlib import Path
from typing import Any

from benchmarks.embedded import floors
from benchmarks.tables import markdown, write_between_marks
from radscale_lib.files import atomic_write, write_json
from radscale_lib.provenance.manifest import path_of, read_manifest
from radscale_lib.scaling.words import interval
from radscale_lib.study import Study, StudyError

ROOT = Path(__file__).parents[2]
FOLDER = Path("docs/example")
PICTURES = {"scaling.png": "demo.png"}
"""Figures of the study, and their names in docs/images."""
CONFIG = "the embedded study, whose films are of another site"
"""Where released weights were scored."""
MARK = "answers"
PAGE = Path("docs/methods/embedded-study.md")
"""The page with the study's verdicts and what its encoders are worth beside the floors."""
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
    (root / FOLDER / "figures").mkdir(parents=True, exist_ok=True)
    text = report.read_text()
    for name in re.findall(r'src="figures/([^"]+)[.]svg"', text):
        text = text.replace(f"figures/{name}.svg", f"figures/{name}.png")
        shutil.copyfile(results / f"figures/{name}.png", root / FOLDER / f"figures/{name}.png")
    with atomic_write(root / FOLDER / "report.html") as partial:
        partial.write_text(text)
    for figure, name in PICTURES.items():
        shutil.copyfile(results / "figures" / figure, root / "docs/images" / name)
    found = answers(study, pl.read_parquet(results / "verdicts.parquet"))
    rows = [
        f"| {one.question} | **{one.word}** | {one.number} | {one.what} ({one.counts}) |"
        for one in found
    ]
    table = "\n".join(["| question | answer | difference | where |", "|---|---|---|---|", *rows])
    shown = f"{table}\n\nThe whole report: [{FOLDER}/report.html]({FOLDER}/report.html).\n"
    write_between_marks(root / "README.md", MARK, shown)
    for mark, shown in (("floors", _floors(results, study)), ("verdicts", _verdicts(results))):
        write_between_marks(root / PAGE, mark, shown)
    for name, settings in study.encoders.items():
        if settings.weights:
            _write_scores(root / settings.weights, study, f"{name}-open", results)
    write_json(root / FOLDER / "settings.json", {"study": study.name, "digest": manifest.settings})


def _write_scores(weights: Path, study: Study, arm: str, results: Path) -> None:
    """Put the scores of released weights in the embedded study into their card."""
    import polars as pl

    from radscale_lib.hub.card import model_card

    encoder = study.encoder_of(arm)
    run, scores = {"arm": arm, "size": 0, "seed": 0}, pl.read_parquet(results / "scores.parquet")
    card = model_card(study.encoders[encoder], "safetensors", "", run, scores, study, "")
    scored = _section(card).replace("test split of the study", f"test split of {CONFIG}")
    page = weights.with_name("README.md")
    text, untested = page.read_text(), card.splitlines()[-1]
    before, _ = text.replace(_section(text), scored).rstrip().rsplit("\n", 1)
    with atomic_write(page) as partial:
        partial.write_text(f"{before}\n{untested}\n")


def _section(card: str) -> str:
    """The scores of a model card."""
    return card[card.index("## Scores") : card.index("## Intended use")]


def _floors(results: Path, study: Study) -> str:
    """Open weights and every arm at its largest size, less each floor."""
    import polars as pl

    tables = (pl.read_parquet(results / f"{name}.parquet") for name in ("differences", "fits"))
    rows = [
        [
            arm,
            task,
            row["other"],
            interval(row["difference"], row["lower"], row["upper"], sign=True),
        ]
        for (arm, task), of_both in floors(*tables, study).items()
        for row in of_both
    ]
    return markdown(["encoder", "task", "floor", "difference"], rows)


def _verdicts(results: Path) -> str:
    """Stated claims; by arm and task the rise, the lead over open weights, and the crossover."""
    import polars as pl

    verdicts = pl.read_parquet(results / "verdicts.parquet").filter(target="macro")
    crossovers = {
        (row["arm"], row["task"]): row["text"]
        for row in pl.read_parquet(results / "crossovers.parquet")
        .filter(pl.col("baseline").str.ends_with("-open"))
        .iter_rows(named=True)
    }
    stated = verdicts.filter(kind="stated").iter_rows(named=True)
    claims = [f"- `{row['claim']}`: **{row['verdict']}**. {row['text']}" for row in stated]
    overtakes = {
        (row["arm"], row["task"]): row
        for row in verdicts.filter(kind="overtakes").iter_rows(named=True)
    }
    rows = []
    for rise in verdicts.filter(kind="rises").iter_rows(named=True):
        key = rise["arm"], rise["task"]
        rows.append([*key, _number(rise), _number(overtakes[key]), crossovers[key]])
    head = ["arm", "task", "largest less smallest", "largest less open weights", "crossover"]
    return "\n".join([*claims, "", markdown(head, rows)])


def _number(row: dict[str, Any]) -> str:
    if row["value"] is None:
        return str(row["verdict"])
    number = interval(row["value"], row["lower"], row["upper"], sign=True)
    return f"{number}, {row['verdict']}"


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "results/demo")
