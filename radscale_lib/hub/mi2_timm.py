"""MI2's image tower for timm: the DaViT of Florence-2, `davit_huge_fl`, with the run's sizes."""

from pathlib import Path

from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.hub.files import TIMM_USAGE, write_timm
from radscale_lib.study.encoders.mi2 import Mi2


def export(content: EncoderFile, folder: Path) -> str:
    """Write the image tower (timm has no text tower), and return how to load it."""
    assert isinstance(content.encoder, Mi2)
    image = content.encoder.image
    write_timm(
        folder,
        "davit_huge_fl",
        {
            "embed_dims": image.dims,
            "depths": image.depths,
            "num_heads": image.heads,
            "window_size": image.window,
        },
        content.part("image"),
        {
            "input_size": [3, image.image_size, image.image_size],
            "fixed_input_size": False,
            "interpolation": "bicubic",
            "crop_pct": 1.0,
            "crop_mode": "squash",
            "mean": image.mean,
            "std": image.std,
            "first_conv": "stem.conv",
            "classifier": "head.fc",
        },
        num_features=image.dims[-1],
        global_pool="avg",
    )
    return TIMM_USAGE
