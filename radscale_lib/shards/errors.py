"""What can be wrong with a shard."""


class ShardError(RuntimeError):
    """A shard that is missing, damaged or shorter than the catalog says."""


class DamagedImageError(ShardError):
    """One image that does not have its checksum, or cannot be decoded."""

    def __init__(self, address: str, shard: str, row: int, defect: str) -> None:
        """Name the image and its defect.

        Args:
            address: where the shard lies.
            shard: its name.
            row: the image's row in it.
            defect: what is wrong, as the rest of a sentence.
        """
        super().__init__(
            f"{address}: row {row} {defect}: delete the shard and ingest its partition again"
        )
        self.shard = shard
        self.row = row
        self.defect = defect
