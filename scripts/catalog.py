"""Merge the partitions of an archive into one ledger and one catalog."""

import argparse
from pathlib import Path

from radscale_lib.archive.catalog import CatalogError, merge, partitions_of
from radscale_lib.study import StudyError, load_study
from radscale_lib.study.archive import TABLES


def main(argv: list[str] | None = None) -> None:
    """Write the ledger and the catalog; fail if a file is unaccounted for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--archive", choices=("institution", "public"), required=True)
    parser.add_argument("--listings", type=Path, nargs="+", required=True)
    parser.add_argument("--ledgers", type=Path, nargs="+", required=True)
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument("--ledger", type=Path, required=True, help="ledger to write")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog to write")
    parser.add_argument("--joins", type=Path, help="audit of the joins (beside the catalog)")
    parser.add_argument("--texts", type=Path, help="what became of texts (beside the catalog)")
    args = parser.parse_args(argv)
    try:
        study = load_study(args.study)
        partitions = partitions_of(args.listings, args.ledgers, args.shards)
        splits = None if args.archive == "public" else study.splits
        archive = study.archives[args.archive]
        merge(
            partitions,
            splits,
            archive.most_quarantined,
            args.ledger,
            args.catalog,
            archive.most_of_one_patient,
            joins=args.joins or args.catalog.with_name("joins.parquet"),
            smallest_cell=study.smallest_cell(args.archive),
            texts=args.texts or args.catalog.with_name("texts.parquet"),
            language=archive.language,
            most_foreign_reports=archive.most_foreign_reports,
            most_unmatched={name: getattr(archive.joins, name).most_unmatched for name in TABLES},
        )
    except (StudyError, CatalogError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
