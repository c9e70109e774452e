"""Small checkpoints that timm, transformers and open_clip write themselves, and films."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import timm
import torch
import transformers as hf
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save_file
from timm.models import save_for_hf

SIZES = ((64, 64), (91, 57), (57, 91), (200, 150), (31, 40), (33, 33))
"""Heights and widths of films: square or not, larger and smaller than any input, even and odd."""


def films(sizes: tuple[tuple[int, int], ...] = SIZES) -> list[NDArray[np.uint8]]:
    """Smooth grey films, in which pixels still tell where they are."""
    rng = np.random.default_rng(5)
    out = []
    for height, width in sizes:
        coarse = Image.fromarray(rng.integers(0, 256, (9, 9), np.uint8))
        out.append(np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)))
    return out


def rgb(film: NDArray[np.uint8]) -> Image.Image:
    """A film as libraries are given it."""
    return Image.fromarray(film).convert("RGB")


def stirred(model: torch.nn.Module) -> torch.nn.Module:
    """A model in which every weight matters: no zeros, LayerScale not tiny."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape))
    return model.eval()


TIMM: dict[str, tuple[str, dict[str, Any]]] = {
    "vit": (
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k",
        {"img_size": 64, "embed_dim": 24, "depth": 6, "num_heads": 2},
    ),
    "dinov2 with registers": (
        "vit_small_patch14_reg4_dinov2.lvd142m",
        {"img_size": 56, "embed_dim": 24, "depth": 4, "num_heads": 2},
    ),
    "siglip": (
        "vit_base_patch16_siglip_224.webli",
        {"img_size": 48, "embed_dim": 24, "depth": 4, "num_heads": 2},
    ),
    "eva": (
        "eva02_tiny_patch14_224.mim_in22k",
        {"img_size": 56, "embed_dim": 24, "depth": 4, "num_heads": 2},
    ),
    "convnext": ("convnext_atto.d2_in1k", {"depths": (1, 1, 1, 1), "dims": (8, 16, 16, 24)}),
    "swin": (
        "swin_tiny_patch4_window7_224.ms_in1k",
        {
            "img_size": 64,
            "window_size": 4,
            "embed_dim": 8,
            "depths": (1, 1, 1, 1),
            "num_heads": (1, 1, 2, 2),
        },
    ),
    "davit": (
        "davit_tiny.msft_in1k",
        {
            "depths": (1, 1, 1, 1),
            "embed_dims": (8, 16, 16, 24),
            "num_heads": (1, 2, 2, 2),
        },
    ),
    "resnet": ("resnet10t.c3_in1k", {}),
}
"""timm models by what they are an example of: name and arguments."""


def timm_model(name: str, options: dict[str, Any], classes: int = 0) -> torch.nn.Module:
    return stirred(timm.create_model(name, pretrained=False, num_classes=classes, **options))


def timm_folder(folder: Path, name: str, options: dict[str, Any]) -> torch.nn.Module:
    """Write a folder as timm does for the Hub, with a classifier of seven classes."""
    model = timm_model(name, options, classes=7)
    save_for_hf(model, folder, model_args=options)
    return model


SMALL = {"hidden_size": 24, "num_hidden_layers": 6, "num_attention_heads": 2}
VIT = SMALL | {"image_size": 56, "patch_size": 14}
TRANSFORMERS: dict[str, tuple[Any, Any, Any]] = {
    "dinov2": (hf.Dinov2Model, hf.Dinov2Config, VIT | {"mlp_ratio": 2}),
    "swiglu": (hf.Dinov2Model, hf.Dinov2Config, VIT | {"mlp_ratio": 2, "use_swiglu_ffn": True}),
    "registers": (
        hf.Dinov2WithRegistersModel,
        hf.Dinov2WithRegistersConfig,
        VIT | {"mlp_ratio": 2, "num_register_tokens": 3},
    ),
    "dinov3": (
        hf.DINOv3ViTModel,
        hf.DINOv3ViTConfig,
        VIT | {"intermediate_size": 48, "patch_size": 8, "num_register_tokens": 4},
    ),
    "vit": (hf.ViTModel, hf.ViTConfig, VIT | {"intermediate_size": 48}),
    "clip": (hf.CLIPVisionModel, hf.CLIPVisionConfig, VIT | {"intermediate_size": 48}),
    "siglip": (hf.SiglipVisionModel, hf.SiglipVisionConfig, VIT | {"intermediate_size": 48}),
}
"""Classes of transformers by what they are an example of: model, configuration and its values."""
PROCESSORS: dict[str, Any] = {
    "dinov2": (hf.BitImageProcessor, {"size": {"shortest_edge": 64}, "crop_size": 56}),
    "swiglu": (hf.BitImageProcessor, {"size": {"shortest_edge": 61}, "crop_size": 42}),
    "registers": (hf.BitImageProcessor, {"size": {"shortest_edge": 56}, "crop_size": 56}),
    "dinov3": (hf.DINOv3ViTImageProcessor, {"size": {"height": 56, "width": 56}}),
    "vit": (hf.ViTImageProcessor, {"size": {"height": 56, "width": 56}}),
    "clip": (hf.CLIPImageProcessor, {"size": {"shortest_edge": 56}, "crop_size": 56}),
    "siglip": (hf.SiglipImageProcessor, {"size": {"height": 56, "width": 56}}),
}


def transformers_folder(folder: Path, family: str, *, processor: bool = True) -> None:
    """Write a folder as transformers does."""
    kind, config, values = TRANSFORMERS[family]
    torch.manual_seed(1)
    stirred(kind(config(**values))).save_pretrained(folder)
    if processor:
        make, settings = PROCESSORS[family]
        make(**settings).save_pretrained(folder)


TEXT = {"context_length": 12, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 2}
OPEN_CLIP: dict[str, dict[str, Any]] = {
    "ViT-B-32-like": {
        "model_cfg": {
            "embed_dim": 20,
            "quick_gelu": True,
            "vision_cfg": {
                "image_size": 64,
                "layers": 4,
                "width": 32,
                "head_width": 16,
                "patch_size": 16,
            },
            "text_cfg": TEXT,
        },
        "preprocess_cfg": {},
    },
    "SigLIP-like": {
        "model_cfg": {
            "embed_dim": 24,
            "init_logit_bias": -10,
            "custom_text": True,
            "vision_cfg": {
                "image_size": 64,
                "timm_model_name": "test_vit",
                "timm_model_pretrained": False,
                "timm_pool": "token",
                "timm_proj": "linear",
            },
            "text_cfg": TEXT | {"no_causal_mask": True, "pool_type": "last"},
        },
        "preprocess_cfg": {
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "resize_mode": "squash",
        },
    },
    "padded": {
        "model_cfg": {
            "embed_dim": 20,
            "vision_cfg": {
                "image_size": 48,
                "layers": 4,
                "width": 32,
                "head_width": 16,
                "patch_size": 16,
            },
            "text_cfg": TEXT,
        },
        "preprocess_cfg": {
            "resize_mode": "longest",
            "fill_color": 30,
            "interpolation": "bilinear",
        },
    },
}
"""Configurations of open_clip by what they are an example of."""


def open_clip_folder(folder: Path, config: dict[str, Any]) -> Any:
    """Write a folder as open_clip does for the Hub; the model."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    made = open_clip.create_model(f"local-dir:{folder}", load_weights=False, pretrained_text=False)
    model = stirred(made)
    save_file(model.state_dict(), folder / "open_clip_model.safetensors")
    return model
