"""open_clip: an image tower with its text tower, from a named model or a local folder."""

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from radscale_lib.study.encoders.input import Input
from radscale_lib.study.encoders.library import LibraryEncoder, read_json

CONFIG = "open_clip_config.json"
"""Configuration file in a folder written by open_clip."""
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
RESIZE: dict[str, Literal["shorter", "longer", "both"]] = {
    "shortest": "shorter",
    "longest": "longer",
    "squash": "both",
}


class OpenClip(LibraryEncoder):
    """Both towers of an open_clip model, with its validation transform."""

    implementation: ClassVar[str] = "radscale_lib.encoders.open_clip_tower"
    paradigms: ClassVar[tuple[str, ...]] = ()
    exports: ClassVar[Mapping[str, str]] = {
        "open_clip": "radscale_lib.hub.open_clip_open_clip",
        **LibraryEncoder.exports,
    }

    kind: Literal["open_clip"]
    name: str | None = Field(
        None, description="One of open_clip's models, such as ViT-B-32; null reads 'config'."
    )
    config: dict[str, Any] | None = Field(
        None,
        description="model_cfg and preprocess_cfg; null takes those of the weights' folder "
        f"({CONFIG}), or of the name.",
    )
    tokenizer: Path | None = Field(
        None,
        description="Folder with the tokenizer and, for a text tower of transformers, its "
        "config.json; null uses the weights' folder. Without them such a text tower "
        "is left out.",
    )

    def located(self) -> Self:
        """The section with the configuration from the weights' folder or the name."""
        config = self.config
        if config is None and self.weights is not None:
            config = read_json(self.weights / CONFIG) or None
        if config is None and self.name is not None:
            model = published_models().get(self.name.replace("/", "-"))
            config = {"model_cfg": model, "preprocess_cfg": {}} if model else None
        return self.model_copy(update={"config": config})

    @property
    def known_input(self) -> Input | None:
        """Resize, crop and normalisation of the validation transform."""
        config = self.located().config
        if self.input or not config:
            return self.input
        try:
            return self.input_of(config, self.resolution)
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def cell(self) -> int | None:
        """Pixels of a token's side."""
        config = self.located().config or {}
        patch = config.get("model_cfg", {}).get("vision_cfg", {}).get("patch_size")
        return patch if isinstance(patch, int) else None

    def problems(self) -> Iterator[tuple[str, str]]:
        """The model must be named by the study or by the weights' folder."""
        yield from super().problems()
        there = self.weights is not None and self.weights.exists()
        if (self.weights is None or there) and not self.located().config:
            yield (
                "name",
                f"{self.name!r} is none of open_clip's models: use one that "
                "open_clip.list_models() lists"
                if self.name
                else f"no model: name one of open_clip's, or give a folder with {CONFIG}",
            )

    @staticmethod
    def input_of(config: dict[str, Any], resolution: int | None = None) -> Input:
        """The input of open_clip's validation transform, from a model's configuration.

        Raises:
            KeyError, ValueError: for an input that is not a square.
        """
        given = {key: value for key, value in config.get("preprocess_cfg", {}).items() if value}
        size = resolution or config["model_cfg"]["vision_cfg"].get("image_size", 224)
        if not isinstance(size, int):
            height, width = size
            if height != width:
                raise ValueError(f"an input of {height} by {width} is not a square")
            size = height
        mean, std = (
            (each,) * 3 if isinstance(each, int | float) else each
            for each in (given.get("mean", CLIP_MEAN), given.get("std", CLIP_STD))
        )
        return Input(
            size=size,
            resize=RESIZE[given.get("resize_mode", "shortest")],
            resized=size,
            resampling="bilinear" if given.get("interpolation") == "bilinear" else "bicubic",
            fill=given.get("fill_color", 0),
            mean=mean,
            std=std,
        )


@lru_cache
def published_models() -> dict[str, dict[str, Any]]:
    """Configurations of the installed package's models, without importing it."""
    spec = find_spec("open_clip")
    if spec is None or spec.origin is None:
        return {}
    files = Path(spec.origin).parent.joinpath("model_configs").glob("*.json")
    return {path.stem: json.loads(path.read_bytes()) for path in files}
