"""Linear decoder: every pixel's logit is linear in the cells of the four levels."""

from typing import ClassVar, Literal

from radscale_lib.study.decoders.base import DecoderSection


class LinearDecoder(DecoderSection):
    """Pixel logits that are linear in the features of their cells, summed over levels."""

    implementation: ClassVar[str] = "radscale_lib.tasks.decoders.linear"

    kind: Literal["linear"]
