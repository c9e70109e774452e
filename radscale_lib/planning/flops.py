"""FLOPs of a training step's sample, from the encoder's dimensions alone."""

from radscale_lib.study.encoders import Davit, Encoder, Mi2, RadDino, Text, Vit
from radscale_lib.study.pretrain import Recipe

BACKWARD = 3
"""Forward and backward pass together, in forward passes."""


def sample_flops(encoder: Encoder, recipe: Recipe | None) -> float:
    """FLOPs of one sample: a training step of `recipe`, or one forward pass of the image tower.

    Two FLOPs per multiply-add; matrix products only.
    """
    if isinstance(encoder, Mi2):
        image = davit_flops(encoder.image)
        if recipe is None:
            return image
        return BACKWARD * (image + text_flops(encoder.text))
    return _dinov2(encoder, recipe)


def _dinov2(encoder: RadDino, recipe: Recipe | None) -> float:
    whole = vit_flops(encoder.image, encoder.image.image_size)
    if recipe is None or recipe.paradigm != "dinov2":
        return whole
    local = vit_flops(encoder.image, recipe.local_size)
    head = encoder.head
    width = encoder.image.width
    project = 2.0 * (
        width * head.hidden
        + head.hidden * head.hidden
        + head.hidden * head.bottleneck
        + head.bottleneck * head.prototypes
    )
    tokens = (encoder.image.image_size // encoder.image.patch) ** 2
    masked = recipe.mask_probability * sum(recipe.mask_ratio) / 2 * tokens
    student = 2 * whole + recipe.local_crops * local
    student += project * (2 + recipe.local_crops + 2 * masked)
    teacher = 2 * whole + project * (2 + 2 * masked)
    return BACKWARD * student + teacher


def vit_flops(vit: Vit, side: int) -> float:
    """Forward pass of a ViT on a square image of `side` pixels."""
    tokens = (side // vit.patch) ** 2 + 1
    block = 12 * tokens * vit.width**2 + 2 * tokens**2 * vit.width
    return 2.0 * (vit.depth * block + tokens * 3 * vit.patch**2 * vit.width)


def davit_flops(davit: Davit) -> float:
    """Forward pass of a DaViT: each block attends over windows, then over channel groups."""
    flops, side, channels = 0.0, davit.image_size, 3
    for stage, (width, depth, heads) in enumerate(
        zip(davit.dims, davit.depths, davit.heads, strict=True)
    ):
        stride, kernel = (4, 7) if stage == 0 else (2, 3)
        side = max(side // stride, 1)
        tokens = side * side
        flops += 2.0 * tokens * kernel**2 * channels * width
        linear = 2 * 12 * tokens * width**2
        window = 2 * tokens * davit.window**2 * width
        channel = 2 * tokens * width * (width // heads)
        flops += 2.0 * depth * (linear + window + channel)
        channels = width
    return flops


def text_flops(text: Text) -> float:
    """Forward pass of the text tower on a full context."""
    block = 12 * text.context * text.width**2 + 2 * text.context**2 * text.width
    return 2.0 * text.layers * block
