"""Errors of shards."""


class ShardError(RuntimeError):
    """A shard that is missing, damaged or shorter than the catalog says."""


class DamagedImageError(ShardError):
    """An image with a wrong checksum, or one that cannot be decoded."""

    def __init__(self, message: str, shard: str = "", row: int = -1) -> None:
        """Name the image and its defect.

        Args:
            message: what is wrong, and the remedy.
            shard: name of the shard; unknown if the error comes from another process.
            row: the image's row in it.
        """
        super().__init__(message)
        self.shard = shard
        self.row = row
