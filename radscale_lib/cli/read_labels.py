"""Read labels from the reports of a part of the studies, by rules or by an endpoint."""

import argparse
from pathlib import Path

from radscale_lib.labels.reports import read_reports, write_readings
from radscale_lib.labels.server import EndpointError
from radscale_lib.provenance.step import InputError, add_options, step, study_of
from radscale_lib.study.labels import READERS


def main(argv: list[str] | None = None) -> None:
    """Write what the source says about each study and label."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--source", choices=READERS, required=True, help="who reads")
    parser.add_argument("--part", type=int, required=True, help="number of the part")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog.parquet")
    parser.add_argument("--answers", type=Path, help="folder for an endpoint's answers")
    parser.add_argument("--out", type=Path, required=True, help="table to write")
    args = parser.parse_args(argv)
    study = study_of(args)
    labels, language = study.labels, study.institution.language
    if not 0 <= args.part < labels.partitions:
        parser.exit(1, f"--part: {args.part} is none of {labels.partitions} (labels.partitions)\n")
    with step(args, study, "labels", [args.catalog], [args.out], source=args.source):
        reports = read_reports(args.catalog, args.part, labels.partitions)
        if args.source == "rules":
            from radscale_lib.labels.reports import by_rules
            from radscale_lib.labels.rules import RuleReader

            reader = RuleReader(labels.columns, labels.phrases, language)
            readings = by_rules(reader, reports)
        else:
            from radscale_lib.labels.endpoint import by_endpoint

            folder = args.answers or args.out.parent / "answers"
            answers = folder / f"part={args.part}.sqlite"
            readings = by_endpoint(labels, language, reports, answers)
        try:
            write_readings(args.out, args.source, labels.columns, reports, readings)
        except EndpointError as error:
            raise InputError(str(error)) from None
