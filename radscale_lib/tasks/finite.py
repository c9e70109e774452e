"""Non-finite values leave a run without scores, since they would look like very low scores."""

from radscale_lib.provenance.step import InputError


class NotFiniteError(InputError):
    """An encoder's or decoder's output is not finite; the message names it and the image."""
