"""RAD-DINO for transformers: a `Dinov2Model` with its image processor, and DINOv2's head beside it.

The folder has the form of RAD-DINO's own release, so a study accepts it as `weights`.
"""

import re
from pathlib import Path

from torch import Tensor

from radscale_lib.encoders.release import Tensors
from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.encoders.vit import EPSILON
from radscale_lib.files import write_json
from radscale_lib.hub.files import WEIGHTS, image_processor, write_weights
from radscale_lib.study.encoders.input import Input
from radscale_lib.study.encoders.rad_dino import RadDino

USAGE = """\
from transformers import AutoImageProcessor, AutoModel
model = AutoModel.from_pretrained("FOLDER").eval()
processor = AutoImageProcessor.from_pretrained("FOLDER")
inputs = processor(image.convert("RGB"), return_tensors="pt")  # a PIL image
embedding = model(**inputs).pooler_output  # [1, channels]; last_hidden_state has the patches
"""

NAMES = (
    (r"^image\.cls_token$", "embeddings.cls_token"),
    (r"^image\.pos_embed$", "embeddings.position_embeddings"),
    (r"^mask_token$", "embeddings.mask_token"),
    (r"^image\.patch_embed\.proj\.", "embeddings.patch_embeddings.projection."),
    (r"^image\.blocks\.(\d+)\.", r"encoder.layer.\1."),
    (r"\.attn\.proj\.", ".attention.output.dense."),
    (r"\.ls([12])\.gamma$", r".layer_scale\1.lambda1"),
    (r"^image\.norm\.", "layernorm."),
)
"""From our parameter names to those of transformers' `Dinov2Model`."""


def export(content: EncoderFile, folder: Path) -> str:
    """Write the model, its image processor and the head, and return how to load them."""
    assert isinstance(content.encoder, RadDino)
    image = content.encoder.image
    write_json(
        folder / "config.json",
        {
            "architectures": ["Dinov2Model"],
            "model_type": "dinov2",
            "dtype": "float32",
            "image_size": image.image_size,
            "patch_size": image.patch,
            "num_channels": 3,
            "hidden_size": image.width,
            "num_hidden_layers": image.depth,
            "num_attention_heads": image.heads,
            "mlp_ratio": 4,
            "hidden_act": "gelu",
            "layer_norm_eps": EPSILON,
            "layerscale_value": image.layer_scale,
            "drop_path_rate": image.drop_path,
            "qkv_bias": True,
            "use_swiglu_ffn": False,
            "use_mask_token": "mask_token" in content.tensors,
        },
    )
    known = Input(
        size=image.image_size,
        resized=image.image_size,
        crop="floored",
        mean=(image.mean,) * 3,
        std=(image.std,) * 3,
    )
    write_json(folder / "preprocessor_config.json", image_processor(known))
    write_weights(folder / WEIGHTS, _renamed(content))
    if head := content.part("head"):
        write_weights(folder / "dino_head.safetensors", head)
    return USAGE


def _renamed(content: EncoderFile) -> Tensors:
    tensors: dict[str, Tensor] = {}
    for name, tensor in content.tensors.items():
        if name.startswith("head."):
            continue
        for pattern, replacement in NAMES:
            name = re.sub(pattern, replacement, name)
        if ".attn.qkv." in name:
            for part, third in zip(("query", "key", "value"), tensor.chunk(3), strict=True):
                tensors[name.replace(".attn.qkv.", f".attention.attention.{part}.")] = third.clone()
        else:
            tensors[name] = tensor
    return tensors
