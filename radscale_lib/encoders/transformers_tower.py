"""Image towers of transformers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import AutoConfig, AutoImageProcessor, AutoModel
from transformers.models.clip import CLIPVisionModel
from transformers.models.siglip import SiglipVisionModel

from radscale_lib.encoders.features import Features
from radscale_lib.encoders.library import LibraryTower, check_weights, floats, quarters, tell
from radscale_lib.encoders.release import ReleaseError
from radscale_lib.encoders.storage import EncoderFile
from radscale_lib.study.encoders.library import UnknownFactError
from radscale_lib.study.encoders.transformers import Transformers

VISION: dict[str, Any] = {"clip": CLIPVisionModel, "siglip": SiglipVisionModel}
"""Image towers of models that also have a text tower."""
FLEXIBLE = ("siglip2", "siglip2_vision_model")
"""Model types that read images as lists of patches, not as squares."""
NORMS = ("layernorm", "norm", "post_layernorm", "vision_model.post_layernorm")
"""Names of models' last norm."""


class TransformersTower(LibraryTower):
    """A transformers model.

    Levels are the hidden states at a quarter, half, three quarters and all of the depth, each after
    the last norm, without class and register tokens.
    """

    encoder: Transformers

    def __init__(self, encoder: Transformers) -> None:
        super().__init__()
        self.encoder = encoder
        self.model = create(encoder)
        if encoder.pooled != "pooler" and hasattr(self.model, "pooler"):
            self.model.pooler = None
        self._processor: Any = None

    def forward(self, images: Tensor) -> Tensor:
        """Global embedding [B, D] of grey images, float32 [B, 1, S, S] in [0, 1]."""
        return self._pooled(self._outputs(images))

    def levels(self, images: Tensor) -> Features:
        """Features of grey images: float32 [B, 1, S, S] in [0, 1]."""
        outputs = self._outputs(images, output_hidden_states=True)
        _, *states = outputs.hidden_states
        norm = last_norm(self.model)
        chosen = [norm(states[number]) for number in quarters(len(states))[:3]]
        last = outputs.last_hidden_state
        chosen.append(norm(last) if isinstance(self.model, CLIPVisionModel) else last)
        first, second, third, fourth = (self._map(each) for each in chosen)
        return Features(self._pooled(outputs), (first, second, third, fourth))

    def prepare(self, images: Sequence[NDArray[np.uint8]]) -> Tensor:
        """Prepare stored grey images with the model's image processor: float32 [B, 1, S, S]."""
        if self.encoder.input:
            return super().prepare(images)
        if self._processor is None:
            self._processor = processor_of(self.encoder)
        squares = [
            self._processor(
                np.repeat(image[..., None], 3, axis=2), do_normalize=False, return_tensors="pt"
            )["pixel_values"][:, :1]
            for image in images
        ]
        return torch.cat(squares)

    def _outputs(self, images: Tensor, **more: Any) -> Any:
        side = self.encoder.vision.get("image_size")
        if isinstance(self.model, CLIPVisionModel | SiglipVisionModel) or self._is_vit:
            more["interpolate_pos_encoding"] = images.shape[-1] != side
        return self.model(pixel_values=self._normalised(images), **more)

    @property
    def _is_vit(self) -> bool:
        return self.encoder.vision.get("model_type") == "vit"

    def _pooled(self, outputs: Any) -> Tensor:
        pooled: Tensor | None = getattr(outputs, "pooler_output", None)
        if self.encoder.pooled == "pooler" and pooled is not None:
            return pooled
        tokens: Tensor = outputs.last_hidden_state
        if isinstance(self.model, CLIPVisionModel):
            tokens = last_norm(self.model)(tokens)
        return tokens.mean(1) if self.encoder.pooled == "mean" else tokens[:, 0]

    def _map(self, tokens: Tensor) -> Tensor:
        """Turn tokens [B, N, D], of which the last are patches, into a map [B, D, H, W]."""
        batch, length, width = tokens.shape
        side = self.encoder.image_size // (self.encoder.cell or 0) if self.encoder.cell else 0
        side = side or isqrt(length)
        if length < side * side:
            kind = self.encoder.vision.get("model_type")
            raise ReleaseError(
                f"transformers, model type {kind!r}: {length} tokens for {side} × {side} patches: "
                "only plain vision transformers are supported: use timm's model of this family"
            )
        return tokens[:, length - side * side :].transpose(1, 2).reshape(batch, width, side, side)


def last_norm(model: nn.Module) -> nn.Module:
    """The norm after the last block.

    Raises:
        ReleaseError: if the model has none under a known name.
    """
    modules: dict[str, nn.Module] = dict(model.named_modules())
    for name in NORMS:
        if name in modules:
            return modules[name]
    raise ReleaseError(
        f"{type(model).__name__}: no norm after the last block under a known name: this model type "
        "is not supported as an encoder"
    )


def create(section: Transformers) -> Any:
    """The model with random weights, in float32."""
    with torch.device("cpu"):  # buffers that are not in files need storage
        config = config_of(section)
        kind = VISION.get((section.config or {}).get("model_type", ""))
        if kind is not None:
            return kind._from_config(config, dtype=torch.float32)
        auto: Any = AutoModel
        return auto.from_config(
            config, dtype=torch.float32, trust_remote_code=section.trust_remote_code
        )


def config_of(section: Transformers) -> Any:
    """The image tower's configuration.

    Raises:
        ReleaseError: if transformers does not know the model's type.
    """
    if section.trust_remote_code and section.code():
        return AutoConfig.from_pretrained(
            str(section.weights), local_files_only=True, trust_remote_code=True
        )
    values = dict(section.config or {})
    try:
        config = AutoConfig.for_model(values.pop("model_type", ""), **values)
    except (ValueError, KeyError):
        kind = (section.config or {}).get("model_type")
        raise ReleaseError(
            f"{section.weights}: transformers does not know the model type {kind!r}: give a folder "
            "of a model that it has"
        ) from None
    return getattr(config, "vision_config", config)


def processor_of(section: Transformers) -> Any:
    """The image processor of the section's configuration, from AutoImageProcessor."""
    files = {"preprocessor_config.json": section.processor, "config.json": section.config}
    with TemporaryDirectory() as folder:
        for name, values in files.items():
            Path(folder, name).write_text(json.dumps(values))
        auto: Any = AutoImageProcessor
        return auto.from_pretrained(folder, local_files_only=True)


def resolve(section: Transformers) -> Transformers:
    """The section with the full configurations of model and image processor.

    Raises:
        ReleaseError: if the folder contains code that is not permitted, has no configuration, or
            its image processor does not produce squares.
    """
    located = section.located()
    if code := next((text for key, text in located.problems() if key == "trust_remote_code"), ""):
        raise ReleaseError(f"{section.weights}: {code}")
    if not located.config:
        raise ReleaseError(f"{section.weights}: no config.json: give a folder in Hugging Face form")
    if located.config.get("model_type") in FLEXIBLE:
        raise ReleaseError(
            f"{section.weights}: model type {located.config['model_type']!r} takes patches of any "
            "shape and number, which is not supported: use the family's model of fixed resolution "
            "(SigLIP 2: model type 'siglip')"
        )
    if section.input:
        return located
    try:
        values = located.processor_values()
        if located.processor is None:
            family = located.config.get("model_type")
            tell(
                f"{section.weights or family}: no preprocessor_config.json: images are prepared as "
                f"usual for {family} models, at the model's image_size"
            )
        complete = processor_of(located.model_copy(update={"processor": values})).to_dict()
        complete = {key: value for key, value in complete.items() if _is_json(value)}
        section.input_of(complete)
    except (UnknownFactError, ValueError, KeyError, OSError) as error:
        raise ReleaseError(f"{section.weights}: {error}: or give 'input'") from None
    return located.model_copy(update={"processor": complete, "resolution": None})


def _is_json(value: Any) -> bool:
    try:
        json.dumps(value)
    except TypeError:
        return False
    return True


def pooling(model: Any, section: Transformers, missing: Sequence[str] = ()) -> Transformers:
    """The section with its kind of global embedding, determined by the available weights."""
    if section.pooled:
        return section
    pooled = "pooler"
    if isinstance(model, SiglipVisionModel) and not model.use_head:
        pooled = "mean"
    elif any(name.startswith("pooler.") for name in missing):
        pooled = "class"
    return section.model_copy(update={"pooled": pooled})


def build_tower(section: Transformers) -> TransformersTower:
    """The image tower with random weights."""
    section = resolve(section)
    if section.pooled is None:
        section = pooling(create(section), section)
    return TransformersTower(section)


def import_release(section: Transformers, path: Path, *, headers_only: bool = False) -> EncoderFile:
    """Import the weights of a folder as transformers loads them.

    Args:
        section: the study's section.
        path: the folder.
        headers_only: read only the configuration.

    Raises:
        ReleaseError: if they are missing, unreadable, or of another architecture.
    """
    section = resolve(section.model_copy(update={"weights": path}))
    if headers_only:
        return EncoderFile(section, floats(create(section).to("meta").state_dict(), "image.model."))
    kind: Any = VISION.get((section.config or {}).get("model_type", ""), AutoModel)
    more: dict[str, Any] = {}
    if kind is AutoModel:
        more["trust_remote_code"] = section.trust_remote_code
    try:
        model, told = kind.from_pretrained(
            path,
            config=config_of(section),
            local_files_only=True,
            output_loading_info=True,
            dtype=torch.float32,
            **more,
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise ReleaseError(f"{path}: transformers cannot load it: {error}") from None
    section = pooling(model, section, told["missing_keys"])
    missing = [name for name in told["missing_keys"] if not name.startswith("pooler.")]
    mismatched = [str(each[0]) for each in told.get("mismatched_keys", ())]
    if missing or mismatched:
        raise ReleaseError(
            f"{path}: {len(missing) + len(mismatched)} weights are missing or of another shape, "
            f"such as {', '.join([*missing, *mismatched][:3])}: get the folder again"
        )
    tower = TransformersTower(section)
    if not section.code():
        section = section.model_copy(update={"weights": None})
    weights = {
        name: each
        for name, each in model.state_dict().items()
        if section.pooled == "pooler" or not name.startswith("pooler.")
    }
    check_weights(str(path), tower.model, weights)
    return EncoderFile(section, floats(weights, "image.model."))
