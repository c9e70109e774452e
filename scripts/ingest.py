"""Turn one partition of an archive into a shard, an index and a ledger."""

import argparse
import sys
from pathlib import Path

from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.keyed import was_keyed
from radscale_lib.archive.listing import ListingError
from radscale_lib.archive.tablefile import TableError
from radscale_lib.pseudonyms import KeyMissingError, load_key
from radscale_lib.study import StudyError, load_study


def main(argv: list[str] | None = None) -> None:
    """Ingest the files of one listing and print how many had which outcome."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--archive", choices=("institution", "public"), required=True)
    parser.add_argument("--id", required=True, help="stage id, kept in the shard")
    parser.add_argument("--dicom", type=Path, required=True, help="folder of DICOM files")
    parser.add_argument("--reports", type=Path, help="table of reports")
    parser.add_argument("--labels", type=Path, help="table of labels")
    parser.add_argument("--tubes", type=Path, help="table of tubes")
    parser.add_argument("--listing", type=Path, required=True, help="listing of the partition")
    parser.add_argument("--index", type=Path, required=True, help="index to write")
    parser.add_argument("--ledger", type=Path, required=True, help="ledger to write")
    parser.add_argument("--shard", type=Path, required=True, help="shard to write")
    parser.add_argument("--threads", type=int, default=1, help="processes that decode")
    args = parser.parse_args(argv)
    try:
        study = load_study(args.study)
        archive = study.archives[args.archive]
        counts = ingest(
            archive,
            study.labels,
            load_key(archive, lambda key: was_keyed(key, args.listing, args.ledger)),
            args.id,
            args.listing,
            Sources(args.dicom, args.reports, args.labels, args.tubes),
            Outputs(args.index, args.ledger, args.shard),
            args.threads,
        )
    except (StudyError, KeyMissingError, ListingError, TableError) as error:
        parser.exit(1, f"{error}\n")
    print(", ".join(f"{n:,} {outcome}" for outcome, n in sorted(counts.items())), file=sys.stderr)


if __name__ == "__main__":
    main()
