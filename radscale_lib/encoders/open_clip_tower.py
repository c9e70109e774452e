"""open_clip's image towers, with their text towers."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import open_clip
import torch
from open_clip.convert import convert_state_dict
from open_clip.model import convert_to_custom_text_state_dict, resize_pos_embed
from open_clip.tokenizer import HFTokenizer
from open_clip.transform import PreprocessCfg, image_transform_v2
from torch import Tensor, nn

from radscale_lib.encoders.features import Features
from radscale_lib.encoders.library import (
    LibraryTower,
    check_weights,
    floats,
    quarters,
    read_state_dict,
    tell,
    weights_file,
)
from radscale_lib.encoders.release import ReleaseError
from radscale_lib.encoders.shared_space import SharedSpace
from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.encoders.timm_tower import stages
from radscale_lib.study.encoders.open_clip import CONFIG, OpenClip

FILES = (
    *("open_clip_model.safetensors", "open_clip_pytorch_model.safetensors"),
    *("open_clip_pytorch_model.bin", "model.safetensors", "pytorch_model.bin"),
)
"""open_clip's names of the weights file in a folder, in its order."""


class OpenClipTower(LibraryTower):
    """The image tower of an open_clip model.

    The global embedding is `encode_image` without normalisation, in the space shared with texts.
    Levels come from `forward_intermediates`: the blocks at a quarter, half, three quarters and all
    of the depth, each after the last norm, or a pyramid's last four stages.
    """

    encoder: OpenClip

    def __init__(self, encoder: OpenClip, model: Any) -> None:
        super().__init__()
        self.encoder = encoder
        self.model = model
        trunk = getattr(model, "trunk", None)
        if trunk is not None:
            self.taken, self.plain = stages(trunk, encoder.name)
        elif hasattr(model, "layer4"):  # open_clip's ResNet: a stem and four stages
            self.taken, self.plain = [1, 2, 3, 4], False
        else:
            self.taken, self.plain = quarters(len(model.transformer.resblocks)), True

    def forward(self, images: Tensor) -> Tensor:
        """Embedding [B, D] of grey images, float32 [B, 1, S, S] in [0, 1]."""
        pooled = self.model(self._normalised(images))
        embedding: Tensor = pooled[0] if isinstance(pooled, tuple) else pooled
        return embedding

    def levels(self, images: Tensor) -> Features:
        """Features of grey images: float32 [B, 1, S, S] in [0, 1]."""
        found = self.model.forward_intermediates(
            self._normalised(images), indices=self.taken, normalize_intermediates=self.plain
        )
        first, second, third, fourth = found["image_intermediates"]
        return Features(found["image_features"], (first, second, third, fourth))


class TextTower(nn.Module):
    """The text tower of an open_clip model, and its tokenizer."""

    def __init__(self, section: OpenClip) -> None:
        super().__init__()
        self.model = create(section)
        self.tokenize = tokenizer_of(section)

    def forward(self, texts: Sequence[str]) -> Tensor:
        """Embeddings [N, D] of texts, not normalised, in the space shared with images."""
        device = next(self.model.parameters()).device
        embedding: Tensor = self.model.encode_text(self.tokenize(list(texts)).to(device))
        return embedding


def create(section: OpenClip, *, image_only: bool = False) -> Any:
    """The model with random weights; if `image_only`, with a stand-in for the text tower."""
    config = json.loads(json.dumps(section.config))
    model_cfg = config["model_cfg"]
    if "hf_model_name" in model_cfg["text_cfg"]:
        folder = text_folder(section)
        if folder is not None:
            model_cfg["text_cfg"]["hf_model_name"] = str(folder)
            model_cfg["text_cfg"]["hf_model_pretrained"] = False
        else:
            image_only = True
    if image_only:
        smallest = {"context_length": 1, "vocab_size": 8, "width": 8, "heads": 1, "layers": 1}
        model_cfg |= {"text_cfg": smallest, "custom_text": True}
        model_cfg.pop("multimodal_cfg", None)
    with TemporaryDirectory() as folder_, torch.device("cpu"), _quiet():
        Path(folder_, CONFIG).write_text(json.dumps(config))
        return open_clip.create_model(
            f"local-dir:{folder_}",
            load_weights=False,
            pretrained_text=False,
            force_image_size=section.resolution,
        )


class _quiet:
    """Suppress open_clip's warning that no weights were found; they are loaded later."""

    def __enter__(self) -> None:
        self.level = logging.root.manager.disable
        logging.disable(logging.WARNING)

    def __exit__(self, *_: object) -> None:
        logging.disable(self.level)


def text_folder(section: OpenClip) -> Path | None:
    """The folder with the configuration of a transformers text tower, if there is one."""
    for folder in (section.tokenizer, section.weights):
        if folder is not None and (folder / "config.json").is_file():
            return folder
    return None


def tokenizer_of(section: OpenClip) -> Any:
    """The model's tokenizer.

    Raises:
        ReleaseError: if it is a transformers tokenizer whose folder is missing.
    """
    config = section.config or {}
    text = config["model_cfg"]["text_cfg"]
    if "hf_tokenizer_name" not in text:
        return open_clip.SimpleTokenizer(context_length=text.get("context_length", 77))
    for folder in (section.tokenizer, section.weights):
        if folder is not None and folder.is_dir() and any(folder.glob("*token*")):
            return HFTokenizer(
                str(folder),
                context_length=text.get("context_length", 77),
                **text.get("tokenizer_kwargs", {}),
            )
    raise ReleaseError(
        f"the text tower's tokenizer ({text['hf_tokenizer_name']}) does not exist: give "
        "'tokenizer', "
        "a folder with its files"
    )


def resolve(section: OpenClip) -> OpenClip:
    """The section with its configuration and input.

    Raises:
        ReleaseError: if open_clip has no such model, or its input is not a square.
    """
    located = section.located()
    if not located.config:
        problem = next((text for _, text in located.problems()), "no configuration")
        raise ReleaseError(f"{located.weights or located.name}: {problem}")
    if located.input:
        return located
    try:
        known = located.input_of(located.config, located.resolution)
    except (KeyError, TypeError, ValueError) as error:
        raise ReleaseError(f"{located.name or located.weights}: {error}: give 'input'") from None
    return located.model_copy(update={"input": known})


def transform(section: OpenClip) -> Any:
    """open_clip's own validation transform of the section, for RGB images of Pillow."""
    config = section.config or {}
    known = section.known_input
    assert known is not None
    settings = {"size": known.size} | config.get("preprocess_cfg", {})
    return image_transform_v2(PreprocessCfg(**settings), is_train=False)


def build_tower(section: OpenClip) -> OpenClipTower:
    """The image tower with random weights."""
    section = resolve(section)
    return OpenClipTower(section, create(section, image_only=True).visual)


def load_text_tower(content: EncoderFile) -> TextTower:
    """The text tower of an encoder file, in evaluation mode.

    Raises:
        ReleaseError: if the file has none.
    """
    section = content.encoder
    assert isinstance(section, OpenClip)
    weights = content.part("text")
    if not weights:
        raise ReleaseError(
            "the encoder file has no text tower: name the folder of its tokenizer and config.json "
            "in 'tokenizer', and import the weights again"
        )
    tower = TextTower(section)
    images = {f"visual.{name}": each for name, each in content.part("image.model").items()}
    tower.model.load_state_dict(weights | images)
    return tower.eval().requires_grad_(False)


def shared_space(content: EncoderFile, device: str) -> SharedSpace:
    """The shared space of both towers, which contains the global embedding."""
    tower = load_text_tower(content).to(device)
    return SharedSpace(tower, None, float(content.tensors["text.logit_scale"].exp()))


def import_release(section: OpenClip, path: Path, *, headers_only: bool = False) -> EncoderFile:
    """Import open_clip's weights from a file, or from a folder saved by open_clip for the Hub.

    Args:
        section: the study's section.
        path: the file or folder.
        headers_only: compare names and shapes only, without reading the weights.

    Raises:
        ReleaseError: if they are missing, unreadable, or of another architecture.
    """
    section = resolve(section.model_copy(update={"weights": path}))
    file = weights_file(path, FILES) if path.is_dir() else path
    weights = read_state_dict(file, headers_only=headers_only)
    model = create(section)
    text = (section.config or {})["model_cfg"]["text_cfg"]
    has_text = "hf_model_name" not in text or text_folder(section) is not None
    weights = convert_state_dict(model, weights)
    if "positional_embedding" in weights and not hasattr(model, "positional_embedding"):
        weights = convert_to_custom_text_state_dict(weights)
    if not has_text:
        tell(
            f"{file}: the text tower is left out: its config.json and tokenizer are not there "
            "(name their folder in 'tokenizer')"
        )
        weights = {name: each for name, each in weights.items() if name.startswith("visual.")}
    weights.pop("text.transformer.embeddings.position_ids", None)
    for name in ("logit_scale", "logit_bias"):
        own = getattr(model, name, None)
        if name in weights and own is not None:
            weights[name] = weights[name].reshape(own.shape)
    resize_pos_embed(weights, model)
    check_weights(str(file), model if has_text else _Only(model.visual), weights)
    tokenizer = section.tokenizer or (path if path.is_dir() else None)
    section = section.model_copy(update={"weights": None, "tokenizer": tokenizer})
    prefix = "visual."
    images = {name[len(prefix) :]: w for name, w in weights.items() if name.startswith(prefix)}
    texts = {name: w for name, w in weights.items() if not name.startswith(prefix)}
    return EncoderFile(section, floats(images, "image.model.") | floats(texts, "text."))


class _Only(nn.Module):
    """The image tower under its name in the whole model."""

    def __init__(self, visual: nn.Module) -> None:
        super().__init__()
        self.visual = visual
