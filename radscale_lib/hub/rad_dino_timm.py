"""RAD-DINO's image tower for timm: a `vit_base_patch14_dinov2` with the run's sizes.

timm rounds half a pixel of the centre crop's margin to even, whereas transformers and this project
round down: if the resized longer side exceeds the square by 3, 7, 11, … pixels, timm's crop is
shifted by one pixel.
"""

from pathlib import Path

from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.hub.files import TIMM_USAGE, write_timm
from radscale_lib.study.encoders.rad_dino import RadDino


def export(content: EncoderFile, folder: Path) -> str:
    """Write the image tower (timm has no DINOv2 head), and return how to load it."""
    assert isinstance(content.encoder, RadDino)
    image = content.encoder.image
    write_timm(
        folder,
        "vit_base_patch14_dinov2",
        {
            "img_size": image.image_size,
            "patch_size": image.patch,
            "embed_dim": image.width,
            "depth": image.depth,
            "num_heads": image.heads,
            "init_values": image.layer_scale,
        },
        content.part("image"),
        {
            "input_size": [3, image.image_size, image.image_size],
            "fixed_input_size": True,
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "center",
            "mean": [image.mean] * 3,
            "std": [image.std] * 3,
            "first_conv": "patch_embed.proj",
            "classifier": "head",
        },
        num_features=image.width,
        global_pool="token",
    )
    return TIMM_USAGE
