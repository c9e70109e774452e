"""Errors that end a run for good."""


class PretrainError(RuntimeError):
    """A run that another try would end the same way; the message holds no patient's data."""
