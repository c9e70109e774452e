"""Write the report of a study: one HTML file that opens offline."""

import argparse
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from radscale_lib.files import atomic_write, read_json
from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.report.document import write_report
from radscale_lib.report.elsewhere import ELSEWHERE, read_elsewhere
from radscale_lib.tasks.draws import FILE, read_scores


def main(argv: Sequence[str] | None = None) -> None:
    """Run the stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--scores", type=Path, required=True, help="scores table")
    parser.add_argument("--fits", type=Path, required=True, help="fits table")
    parser.add_argument("--crossovers", type=Path, required=True, help="crossovers table")
    parser.add_argument("--comparisons", type=Path, required=True, help="comparisons table")
    parser.add_argument("--verdicts", type=Path, required=True, help="verdicts table")
    parser.add_argument("--differences", type=Path, help="differences between encoders")
    parser.add_argument("--subgroups", type=Path, help="scores of subgroups")
    parser.add_argument(
        "--ledgers", type=Path, nargs="*", default=[], help="ledger tables, in <archive>/ folders"
    )
    parser.add_argument(
        "--joins", type=Path, nargs="*", default=[], help="audits of joins, in folders <archive>/"
    )
    parser.add_argument(
        "--texts", type=Path, nargs="*", default=[], help="counts of texts, in <archive>/ folders"
    )
    for name in ("counts", "agreement", "audit"):
        parser.add_argument(f"--label-{name}", type=Path, help=f"{name} of labels from reports")
    parser.add_argument("--cards", type=Path, nargs="*", default=[], help="run cards")
    parser.add_argument(
        "--test-archives", type=Path, help="folder with <archive>/{scores,fits,…}.parquet"
    )
    parser.add_argument("--subsets", type=Path, help="card of the subsets")
    parser.add_argument("--splits", type=Path, help="counts of the splits")
    parser.add_argument(
        "--examples", type=Path, nargs="*", default=[], help="generated reports, a file per task"
    )
    parser.add_argument("--figures", type=Path, required=True, help="folder of figures")
    parser.add_argument("--out", type=Path, required=True, help="report (written)")
    args = parser.parse_args(argv)
    study = study_of(args)
    tables = [args.scores, args.fits, args.crossovers, args.comparisons, args.verdicts]
    draws = args.scores.with_name(FILE)
    tables += [draws if draws.exists() else None, args.differences, args.subgroups]
    tables += [args.subsets, args.splits, args.figures]
    if args.test_archives:
        folders = [args.test_archives / name for name in study.test_archives]
        tables += [
            folder / f"{name}.parquet" for folder in folders for name in ("draws", *ELSEWHERE)
        ]
    labels = {
        name: path
        for name in ("counts", "agreement", "audit")
        if (path := getattr(args, f"label_{name}"))
    }
    reads = [*tables, *labels.values(), *args.ledgers, *args.joins, *args.texts, *args.cards]
    reads += args.examples
    with step(args, study, "report", reads, [args.out]):
        html = write_report(
            study,
            read_scores(args.scores),
            pl.read_parquet(args.fits),
            pl.read_parquet(args.crossovers),
            pl.read_parquet(args.comparisons),
            pl.read_parquet(args.verdicts),
            {path.parent.name: pl.read_parquet(path) for path in args.ledgers},
            [read_json(path) for path in args.cards],
            args.figures,
            pl.read_parquet(args.subsets) if args.subsets else None,
            {path.parent.name: pl.read_parquet(path) for path in args.joins},
            {path.parent.name: pl.read_parquet(path) for path in args.texts},
            {name: pl.read_parquet(path) for name, path in labels.items()},
            read_elsewhere(study, args.test_archives) if args.test_archives else {},
            pl.read_parquet(args.splits) if args.splits else None,
            pl.read_parquet(args.differences) if args.differences else None,
            pl.read_parquet(args.subgroups) if args.subgroups else None,
            [pl.read_parquet(path) for path in args.examples],
        )
        with atomic_write(args.out) as partial:
            partial.write_text(html, encoding="utf-8")
