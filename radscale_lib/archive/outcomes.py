"""The outcome of a file: accepted, or refused for a reason with a fixed code.

Reasons and details are made of fixed texts, numbers and names from DICOM's own dictionaries, never
of other values of the file, so that no identifier reaches the ledger (`docs/hospital/ingest.md`).
"""

import errno
from typing import Literal, get_args

Outcome = Literal["accepted", "excluded", "quarantined", "duplicate", "postponed"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
REUSED_UID = "sop_instance_uid_reused"
"""Reason of a file whose SOP Instance UID belongs to an accepted image with other pixels."""
Stage = Literal["scan", "header", "selection", "pixels", "duplicates"]
"""Stages that can refuse a file, in order."""


class RefusedError(Exception):
    """A file that does not become a row of a shard."""

    outcome: Outcome

    def __init__(self, reason: str, detail: str | None = None) -> None:
        """Refuse for a reason (a fixed code), with a detail free of identifiers."""
        super().__init__(reason)
        self.reason = reason
        self.detail = detail


class ExcludedError(RefusedError):
    """An intact file that the study does not select."""

    outcome = "excluded"


class QuarantinedError(RefusedError):
    """A defective file."""

    outcome = "quarantined"


class PostponedError(RefusedError):
    """A file that could not be read for reasons outside the file: the next run reads it again."""

    outcome = "postponed"


def is_environment(error: BaseException) -> bool:
    """Whether an error (out of memory, an OS error) is due to the machine and not the file."""
    return isinstance(error, MemoryError) or (
        isinstance(error, OSError) and error.errno is not None
    )


def postponed(error: BaseException) -> PostponedError:
    """The refusal for an error of the environment."""
    if isinstance(error, MemoryError):
        return PostponedError("out_of_memory")
    assert isinstance(error, OSError)
    name = errno.errorcode.get(error.errno or 0, "unknown")
    return PostponedError("vanished" if error.errno == errno.ENOENT else "read_error", name)


class DuplicateError(RefusedError):
    """A second copy of an image that was already accepted."""

    outcome = "duplicate"
