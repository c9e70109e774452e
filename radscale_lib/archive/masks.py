"""List the masks that a table of tubes names, in the form of the archive's listings."""

from pathlib import Path

from radscale_lib.archive.listing import ListingError, entry_of, line_of
from radscale_lib.archive.tablefile import Form, TableError, TableFile
from radscale_lib.files import atomic_write

MASK_COLUMN = "mask"


def refresh_masks(tubes: Path, out: Path, form: Form | None = None) -> None:
    """List the masks of a table in `out`/masks.tsv; an identical one is left alone.

    Args:
        tubes: the table; its column `mask`, if it has one, holds paths from the table's folder.
        out: the folder of the archive's listings.
        form: how the table is written, as far as known.

    Raises:
        ListingError: if the table cannot be read.
    """
    try:
        table = TableFile(tubes, [MASK_COLUMN], form)
        names = table.texts(MASK_COLUMN) if MASK_COLUMN in table.columns else []
    except TableError as error:
        raise ListingError(str(error)) from None
    text = "".join(line_of(entry_of(tubes.parent, name)) for name in names)
    listing = out / "masks.tsv"
    if not listing.exists() or listing.read_text(encoding="utf-8") != text:
        with atomic_write(listing) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
