"""Errors that end a run permanently."""

from typing import ClassVar


class PretrainError(RuntimeError):
    """A failure that another attempt would repeat; the message holds no patient data.

    Attributes:
        status: its status in the run's card.
        log: the log's rows up to the failure.
    """

    status: ClassVar[str] = "failed"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.log: list[dict[str, float]] = []
