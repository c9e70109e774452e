"""What can be wrong with a subset."""


class SubsetError(ValueError):
    """A subset that cannot be drawn."""
