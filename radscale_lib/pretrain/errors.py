"""Errors that end a run for good."""

from typing import ClassVar


class PretrainError(RuntimeError):
    """A run that another attempt would end the same way; the message holds no patient's data.

    Attributes:
        status: what the run's card calls it.
        log: its rows, as far as it came.
    """

    status: ClassVar[str] = "failed"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.log: list[dict[str, float]] = []
