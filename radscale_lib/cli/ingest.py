"""Turn one partition of an archive into a shard, an index and a ledger."""

import argparse
import sys
from pathlib import Path

from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.keyed import was_keyed
from radscale_lib.archive.listing import ListingError
from radscale_lib.archive.tablefile import TableError
from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.pseudonyms import KeyMissingError, load_key


def main(argv: list[str] | None = None) -> None:
    """Ingest the files of one listing and print the number of files by outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--archive", required=True)
    parser.add_argument("--dicom", type=Path, required=True, help="folder of DICOM files")
    parser.add_argument("--reports", type=Path, help="table of reports")
    parser.add_argument("--labels", type=Path, help="table of labels")
    parser.add_argument("--tubes", type=Path, help="table of tubes")
    parser.add_argument(
        "--masks", type=Path, help="listing of the masks that the table of tubes names"
    )
    parser.add_argument("--listing", type=Path, required=True, help="listing of the partition")
    parser.add_argument("--index", type=Path, required=True, help="index to write")
    parser.add_argument("--ledger", type=Path, required=True, help="ledger to write")
    parser.add_argument("--shard", type=Path, required=True, help="shard to write")
    parser.add_argument("--threads", type=int, default=1, help="processes that decode")
    args = parser.parse_args(argv)
    study = study_of(args)
    archive = study.archives[args.archive]
    reads = [args.listing, args.reports, args.labels, args.tubes, args.masks]
    makes = [args.index, args.ledger, args.shard]
    with step(args, study, "ingest", reads, makes, archive=args.archive) as stage:
        try:
            counts = ingest(
                archive,
                study.stored_labels(args.archive),
                load_key(archive, lambda key: was_keyed(key, args.listing, args.ledger)),
                stage,
                args.listing,
                Sources(args.dicom, args.reports, args.labels, args.tubes),
                Outputs(args.index, args.ledger, args.shard),
                args.threads,
                known=study.labels_in(args.archive),
            )
        except (KeyMissingError, ListingError, TableError) as error:
            parser.exit(1, f"{error}\n")
    print(", ".join(f"{n:,} {outcome}" for outcome, n in sorted(counts.items())), file=sys.stderr)
