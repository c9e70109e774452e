"""Merge the partitions of an archive into one ledger and one catalog."""

import argparse
from pathlib import Path

from radscale_lib.archive.catalog import CatalogError, index_beside, merge, partitions_of
from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.study.archive import TABLES


def main(argv: list[str] | None = None) -> None:
    """Write the ledger and the catalog; fail if a file is unaccounted for."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--archive", choices=("institution", "public"), required=True)
    parser.add_argument("--listings", type=Path, nargs="+", required=True)
    parser.add_argument("--ledgers", type=Path, nargs="+", required=True)
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument("--ledger", type=Path, required=True, help="ledger to write")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog to write")
    parser.add_argument("--joins", type=Path, help="audit of the joins (beside the catalog)")
    parser.add_argument("--texts", type=Path, help="what became of texts (beside the catalog)")
    args = parser.parse_args(argv)
    study = study_of(args)
    joins = args.joins or args.catalog.with_name("joins.parquet")
    texts = args.texts or args.catalog.with_name("texts.parquet")
    indexes = [path for path in map(index_beside, args.ledgers) if path.exists()]
    reads = [*args.listings, *args.ledgers, *indexes]
    makes = [args.ledger, args.catalog, joins, texts]
    with step(args, study, "catalog", reads, makes, large=args.shards, archive=args.archive):
        try:
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
                joins=joins,
                smallest_cell=study.smallest_cell(args.archive),
                texts=texts,
                language=archive.language,
                most_foreign_reports=archive.most_foreign_reports,
                most_unmatched={
                    name: getattr(archive.joins, name).most_unmatched for name in TABLES
                },
            )
        except CatalogError as error:
            parser.exit(1, f"{error}\n")
