"""RAD-DINO's image tower for timm: a `vit_base_patch14_dinov2` with the run's sizes.

timm cuts the central square half a pixel up, where transformers and this project cut it half a
pixel down: of images whose resized longer side exceeds the square by 3, 7, 11, … pixels, it sees a
square one pixel further.
"""

from pathlib import Path

from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.hub.files import write_timm
from radscale_lib.study.encoders.rad_dino import RadDino

USAGE = """\
import timm
model = timm.create_model("local-dir:FOLDER", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
embedding = model(transform(image.convert("RGB")).unsqueeze(0))  # a PIL image; [1, channels]
"""


def export(content: EncoderFile, folder: Path) -> None:
    """Write the image tower; timm has no head of DINOv2."""
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
            "mean": [image.mean] * 3,
            "std": [image.std] * 3,
            "crop_mode": "center",
        },
        num_features=image.width,
        global_pool="token",
        first_conv="patch_embed.proj",
        classifier="head",
    )
