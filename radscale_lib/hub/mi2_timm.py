"""MI2's image tower for timm: the DaViT of Florence-2, `davit_huge_fl`, with the run's sizes."""

from pathlib import Path

from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.hub.files import write_timm
from radscale_lib.study.encoders.mi2 import Mi2

USAGE = """\
import timm
model = timm.create_model("local-dir:FOLDER", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_model_data_config(model))
embedding = model(transform(image.convert("RGB")).unsqueeze(0))  # a PIL image; [1, channels]
"""


def export(content: EncoderFile, folder: Path) -> None:
    """Write the image tower; timm has no text tower."""
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
            "mean": image.mean,
            "std": image.std,
            "crop_mode": "squash",
        },
        num_features=image.dims[-1],
        global_pool="avg",
        first_conv="stem.conv",
        classifier="head.fc",
    )
