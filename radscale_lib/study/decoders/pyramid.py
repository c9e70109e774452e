"""Pyramid decoder: levels of one width, summed and mixed once."""

from typing import ClassVar, Literal

from pydantic import Field

from radscale_lib.study.decoders.base import DecoderSection


class PyramidDecoder(DecoderSection):
    """A shallow feature pyramid: all levels summed on the finest grid, one convolution."""

    implementation: ClassVar[str] = "radscale_lib.tasks.decoders.pyramid"

    held: ClassVar[float] = 7.0

    kind: Literal["pyramid"]
    width: int = Field(128, ge=4, description="Channels of the pyramid.")
