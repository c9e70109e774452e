"""UPerNet: pyramid pooling of the deepest level and a feature pyramid over all."""

from typing import ClassVar, Literal

from pydantic import Field

from radscale_lib.study.decoders.base import DecoderSection


class UPerNet(DecoderSection):
    """UPerNet (Xiao et al. 2018), the head of package transformers."""

    implementation: ClassVar[str] = "radscale_lib.tasks.decoders.upernet"

    held: ClassVar[float] = 11.0

    kind: Literal["upernet"]
    width: int = Field(256, ge=4, description="Channels of its pyramid.")
