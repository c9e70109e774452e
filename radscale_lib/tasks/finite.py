"""Values that are not finite leave a run without scores: they would look like very low ones."""

from radscale_lib.provenance.step import InputError


class NotFiniteError(InputError):
    """What an encoder or a decoder gave is not finite; the message says what, of which image."""
