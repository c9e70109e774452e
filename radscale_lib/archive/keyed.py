"""Whether an archive was ingested with a given key."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import polars as pl

from radscale_lib.archive.ledger import path_digest
from radscale_lib.archive.listing import read_listing


def was_keyed(key: bytes, listing: Path, ledger: Path) -> bool:
    """Whether a ledger of the archive holds a listed file's digest under this key.

    Args:
        key: the secret key of the pseudonyms.
        listing: the listing of a partition; the others are in the same folder.
        ledger: the ledger of the partition, which may be missing; the others are in the same
            folder, and the whole archive's is beside that folder.
    """
    digests = [path_digest(key, path) for path in islice(_listed(listing), 1000)]
    parts = sorted(ledger.parent.glob("part=*.parquet"))
    for path in (ledger.parent.parent / "ledger.parquet", *parts):
        if path.exists():
            known = pl.scan_parquet(path).select(pl.col("path_digest").is_in(digests).any())
            if known.collect().item():
                return True
    return False


def _listed(listing: Path) -> Iterator[str]:
    """Paths of the archive, some of each partition."""
    for path in sorted(listing.parent.glob("part=*.tsv")):
        yield from (entry.path for entry in read_listing(path)[:10])
