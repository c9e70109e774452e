"""Merge the partitions of an archive into one ledger and one catalog."""

import argparse
from pathlib import Path

from radscale_lib.archive.catalog import CatalogError, index_beside, merge, partitions_of
from radscale_lib.archive.leakage import LeakageError, Learnt, check_leakage
from radscale_lib.provenance.step import add_options, step, study_of
from radscale_lib.pseudonyms import KeyMissingError, read_key
from radscale_lib.study.archive import TABLES, Archive


def main(argv: list[str] | None = None) -> None:
    """Write the ledger and the catalog; fail if a file is unaccounted for."""
    parser = argparse.ArgumentParser(description=__doc__)
    add_options(parser)
    parser.add_argument("--archive", required=True)
    parser.add_argument("--listings", type=Path, nargs="+", required=True)
    parser.add_argument("--ledgers", type=Path, nargs="+", required=True)
    parser.add_argument("--shards", type=Path, nargs="+", required=True)
    parser.add_argument("--ledger", type=Path, required=True, help="ledger to write")
    parser.add_argument("--catalog", type=Path, required=True, help="catalog to write")
    parser.add_argument("--joins", type=Path, help="audit of the joins (beside the catalog)")
    parser.add_argument(
        "--texts", type=Path, help="counts of what was done to texts (beside the catalog)"
    )
    parser.add_argument(
        "--learnt", nargs=2, action="append", default=[], metavar=("NAME", "CATALOG"),
        help=("for a test archive: an archive from which encoders learn, with which it must not "
             "overlap"),
    )  # fmt: skip
    parser.add_argument("--leakage", type=Path, help="what was compared (beside the catalog)")
    args = parser.parse_args(argv)
    study = study_of(args)
    joins = args.joins or args.catalog.with_name("joins.parquet")
    texts = args.texts or args.catalog.with_name("texts.parquet")
    indexes = [path for path in map(index_beside, args.ledgers) if path.exists()]
    learnt = {name: Path(catalog) for name, catalog in args.learnt}
    leakage = args.leakage or args.catalog.with_name("leakage.parquet")
    reads = [*args.listings, *args.ledgers, *indexes, *learnt.values()]
    makes = [args.ledger, args.catalog, joins, texts, *([leakage] if learnt else [])]
    with step(args, study, "catalog", reads, makes, large=args.shards, archive=args.archive):
        try:
            partitions = partitions_of(args.listings, args.ledgers, args.shards)
            splits = study.splits if args.archive == "institution" else None
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
                everyone="test" if args.archive in study.test_archives else "pool",
                most_unmatched={
                    name: getattr(archive.joins, name).most_unmatched for name in TABLES
                },
            )
            if learnt:
                others = [
                    _learnt(other, catalog, archive, study.archives[other])
                    for other, catalog in learnt.items()
                ]
                check_leakage(args.archive, args.catalog, others, leakage)
        except (CatalogError, LeakageError) as error:
            parser.exit(1, f"{error}\n")


def _learnt(name: str, catalog: Path, test: Archive, other: Archive) -> Learnt:
    try:
        same_key = read_key(test) == read_key(other)
    except KeyMissingError:
        same_key = False
    return Learnt(name, catalog, same_key, test.image == other.image)
