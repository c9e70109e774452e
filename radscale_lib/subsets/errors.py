"""Errors of subsets."""


class SubsetError(ValueError):
    """A subset that cannot be drawn."""
