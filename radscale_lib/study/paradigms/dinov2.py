"""DINOv2: self-distillation on images alone."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from radscale_lib.study.base import Fraction, Interval
from radscale_lib.study.encoders.base import EncoderSection
from radscale_lib.study.encoders.rad_dino import RadDino
from radscale_lib.study.paradigms.base import BACKWARD, OptimiserConfig, RecipeSection, Supervision

Temperature = Annotated[float, Field(gt=0)]


class Dinov2(RecipeSection):
    """DINOv2 self-distillation: student and EMA teacher, multi-crop, DINO + iBOT + KoLeo."""

    implementation: ClassVar[str] = "radscale_lib.pretrain.dinov2"
    pairs: ClassVar[tuple[Supervision, ...]] = ()

    paradigm: Literal["dinov2"]
    optimiser: OptimiserConfig
    local_crops: int = Field(8, ge=0, description="Local crops per image.")
    local_size: int = Field(98, ge=8, description="Side of a local crop, pixels.")
    global_scale: Interval = Field((0.32, 1.0), description="Area of global crops.")
    local_scale: Interval = Field((0.05, 0.32), description="Area of local crops.")
    intensity: float = Field(
        0.4, ge=0, lt=1, description="Largest relative change of brightness and contrast."
    )
    blur: Fraction | tuple[Fraction, Fraction, Fraction] = Field(
        0.5,
        description="Probability of a Gaussian blur: of every crop, or of the first global, the "
        "second global, and the local ones (DINOv2: [1.0, 0.1, 0.5]).",
    )
    solarise: Fraction = Field(
        0.0,
        description="Probability that greys above the middle are inverted in the second global "
        "crop (DINOv2: 0.2).",
    )
    mask_probability: Fraction = Field(0.5, description="Share of global crops that are masked.")
    mask_ratio: Interval = Field(
        (0.1, 0.5), description="Smallest and largest share of masked patches."
    )
    ibot_weight: float = Field(1.0, ge=0, description="Weight of the masked-patch loss.")
    koleo_weight: float = Field(0.1, ge=0, description="Weight of the KoLeo regulariser.")
    centring: Literal["sinkhorn", "softmax"] = Field(
        "sinkhorn",
        description="How the teacher's assignments are balanced: by Sinkhorn-Knopp over the "
        "batch, or by a softmax of the excess over a moving mean.",
    )
    centre_momentum: float = Field(
        0.9, ge=0, lt=1, description="Momentum of the moving mean, with `centring: softmax`."
    )
    separate_ibot_head: bool = Field(
        False, description="Whether masked patches have a head of their own."
    )
    head_warmup: Fraction = Field(
        0.0,
        description="Share of the steps during which only the heads learn. Above 0, a base "
        "without head (such as DINOv2's own weights) is continued with a new one.",
    )
    student_temperature: float = Field(0.1, gt=0, description="Temperature of the student.")
    teacher_temperature: tuple[Temperature, Temperature] = Field(
        (0.04, 0.07), description="Temperature of the teacher, at the start and after warm-up."
    )
    teacher_warmup: Fraction = Field(
        0.3, description="Share of the steps over which the teacher's temperature rises."
    )
    momentum: Interval = Field(
        (0.992, 1.0), description="Momentum of the teacher, at the start and at the end."
    )
    freeze_last_layer: Fraction = Field(
        0.01, description="Share of the steps during which the prototypes are frozen."
    )
    layer_decay: float = Field(
        0.9, gt=0, le=1, description="Layer-wise decay of the learning rate."
    )
    weight_decay_end: float | None = Field(
        None,
        ge=0,
        description="Weight decay that optimiser.weight_decay reaches at the end along a cosine; "
        "null keeps it constant.",
    )

    @property
    def blurs(self) -> tuple[float, float, float]:
        """Probability of a blur of the first and second global crop, and of local ones."""
        return self.blur if isinstance(self.blur, tuple) else (self.blur,) * 3

    def sample_flops(self, encoder: EncoderSection) -> float:
        """Student on all crops, forward and backward, plus teacher on global crops, forward."""
        assert isinstance(encoder, RadDino)
        whole = encoder.flops()
        local = encoder.image.flops(self.local_size)
        project = 2.0 * encoder.head.parameters(encoder.image.width)
        masked = self.mask_probability * sum(self.mask_ratio) / 2 * encoder.image.patches
        student = self.training_passes("image") * (2 * whole + self.local_crops * local)
        student += BACKWARD * project * (2 + self.local_crops + 2 * masked)
        teacher = 2 * whole + project * (2 + 2 * masked)
        return student + teacher

    def held_bytes(self, encoder: EncoderSection, precision: str) -> float:
        """The student's bytes for all crops, and the head's for class tokens and patches."""
        assert isinstance(encoder, RadDino)
        anew = "image" in self.recompute
        local = encoder.image.held_bytes(self.local_size, precision, anew)
        held = 2 * encoder.held_bytes(precision, anew) + self.local_crops * local
        masked = self.mask_probability * sum(self.mask_ratio) * encoder.image.patches
        rows = 2 + self.local_crops + masked
        return held + rows * 10 * encoder.head.hidden

    @property
    def continues_whole(self) -> bool:
        """True unless new heads are warmed up."""
        return not self.head_warmup

    def problems(self, encoder: EncoderSection) -> Iterator[tuple[str, str]]:
        """Local crops must consist of whole patches."""
        yield from super().problems(encoder)
        if isinstance(encoder, RadDino) and self.local_size % encoder.image.patch:
            patch = encoder.image.patch
            yield (
                "local_size",
                f"{self.local_size} is not a multiple of the encoder's patch {patch}: use "
                f"{max(1, self.local_size // patch) * patch}",
            )
