"""Processor time of drawing the figures and writing the report of a finished study.

    python -m benchmarks.report results/demo --write        a finished study
    python -m benchmarks.report --paper DIR --write         synthetic tables at the paper's scale

`--paper` makes the tables in an empty folder by simulating scores and fitting them (minutes), or
takes those that are there: 3 arms, 6 sizes, 3 seeds, 4 tasks, 36 findings and 4 tubes, PDF, SVG and
PNG. Figures and report are then made by their scripts, each in a process of its own, as in a study;
what each kind of figure costs is measured in one more process that draws all of them. Prints
Markdown, and with `--write` puts it into docs/measured/report.md.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from benchmarks.tables import machine, markdown, write_between_marks

PAGE = Path("docs/measured/report.md")
FORMATS = ["pdf", "svg", "png"]
Row = tuple[str, float]


def make_paper(folder: Path) -> None:
    """A synthetic study at the paper's scale, up to its fits."""
    from tests.report.conftest import build
    from tests.report.test_scale import paper_values

    values = paper_values(6)
    values["report"]["formats"] = FORMATS
    build(folder, values, missing=frozenset()).fit()


def study_file(results: Path, out: Path) -> Path:
    """The study's settings as a file: its own, or those that its figures were drawn by."""
    from radscale_lib.report.finished import settings_of

    own = results / "study.yaml"
    if own.exists():
        return own
    path = out / "study.yaml"
    path.write_text(yaml.safe_dump(settings_of(results).model_dump(mode="json"), sort_keys=False))
    return path


def seconds_of(*command: object) -> float:
    """Processor seconds of a command and its children."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *map(str, command)], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def jobs(results: Path, out: Path) -> list[Row]:
    """The two jobs, run by their scripts."""
    study = study_file(results, out)
    drawn = seconds_of("scripts/figures.py", "--study", study, "--results", results, "--out", out)
    names = ("scores", "fits", "crossovers", "comparisons", "verdicts", "differences", "subgroups")
    tables = {f"--{name}": [results / f"{name}.parquet"] for name in names}
    tables |= {
        f"--{name}": [results / "subsets" / file]
        for name, file in (("subsets", "card.parquet"), ("splits", "splits.parquet"))
    }
    tables |= {
        f"--{name}": sorted(results.glob(f"data/*/{name}.parquet"))
        for name in ("ledger", "joins", "texts")
    }
    tables["--ledgers"] = tables.pop("--ledger")
    tables["--cards"] = sorted(results.glob("encoders/**/encoder.json"))
    tables["--examples"] = sorted(results.glob("examples/reports.parquet"))
    given = [
        part
        for option, paths in tables.items()
        for part in (option, *paths)
        if any(path.exists() for path in paths)
    ]
    command = ["scripts/report.py", "--study", study, *given, "--figures", out / "figures"]
    written = seconds_of(*command, "--out", out / "report.html")
    return [("figures", drawn), ("report", written), ("both", drawn + written)]


def kinds(results: Path, out: Path) -> tuple[list[Row], int]:
    """Each kind of figure, dearest first, and how many figures there are."""
    from radscale_lib.report.draw import draw_figures
    from radscale_lib.report.figures import figures
    from radscale_lib.report.finished import tables_of
    from radscale_lib.report.listing import listed_figures
    from radscale_lib.study import load_study

    study, tables, rows, count = load_study(study_file(results, out)), tables_of(results), [], 0
    for name in figures():
        start = time.process_time()
        draw_figures(study, tables, out, [name])
        rows.append((name, time.process_time() - start))
        count += len(listed_figures(out / "figures"))
    return sorted(rows, key=lambda row: -row[1]), count


def report(results: Path) -> str:
    """Both tables as Markdown."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        of_jobs = jobs(results, out)
        size = (out / "report.html").stat().st_size
        of_kinds, count = kinds(results, out)
    whole = sum(seconds for _, seconds in of_kinds)
    return "\n".join(
        [
            f"{machine('matplotlib')}. The report has {count} figures and {size / 1e6:.1f} MB.",
            "",
            markdown(["job", "CPU seconds"], [[name, f"{cost:.1f}"] for name, cost in of_jobs]),
            "",
            markdown(
                ["kind of figure", "CPU seconds", "share"],
                [[name, f"{cost:.1f}", f"{cost / whole:.0%}"] for name, cost in of_kinds],
            ),
        ]
    )


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, nargs="?", help="folder of a finished study")
    parser.add_argument("--paper", type=Path, help="folder of the synthetic study")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE}")
    args = parser.parse_args()
    if (args.results is None) == (args.paper is None):
        parser.error("give the folder of a finished study, or --paper")
    if args.paper and not (args.paper / "verdicts.parquet").exists():
        make_paper(args.paper)
    text = report(args.paper or args.results)
    print(text)
    if args.write:
        write_between_marks(PAGE, "paper" if args.paper else "study", text)


if __name__ == "__main__":
    main()
