"""transformers: the image tower of a local folder in Hugging Face form."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from radscale_lib.study.encoders.input import Input
from radscale_lib.study.encoders.library import LibraryEncoder, UnknownFactError, read_json

RESAMPLING = ("nearest", "lanczos", "bilinear", "bicubic", "box", "hamming")
"""Pillow's filters by number, as used in processor files."""
IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
CLIP = {
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}
HALF = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}
CROPPED, SQUEEZED = True, False
FAMILIES: dict[str, tuple[str, bool, int, dict[str, list[float]]]] = {
    "dinov2": ("BitImageProcessor", CROPPED, 3, IMAGENET),
    "dinov2_with_registers": ("BitImageProcessor", CROPPED, 3, IMAGENET),
    "dinov3_vit": ("DINOv3ViTImageProcessor", SQUEEZED, 2, IMAGENET),
    "vit": ("ViTImageProcessor", SQUEEZED, 2, HALF),
    "clip": ("CLIPImageProcessor", CROPPED, 3, CLIP),
    "clip_vision_model": ("CLIPImageProcessor", CROPPED, 3, CLIP),
    "siglip": ("SiglipImageProcessor", SQUEEZED, 3, HALF),
    "siglip_vision_model": ("SiglipImageProcessor", SQUEEZED, 3, HALF),
}
"""By model type: the image processor, whether it crops, its resampling, mean and sd, as in the
family's published folders."""


class Transformers(LibraryEncoder):
    """An image tower from transformers, with its folder's image processor."""

    implementation: ClassVar[str] = "radscale_lib.encoders.transformers_tower"
    paradigms: ClassVar[tuple[str, ...]] = ()
    exports: ClassVar[Mapping[str, str]] = {
        "transformers": "radscale_lib.hub.transformers_transformers",
        **LibraryEncoder.exports,
    }
    weights_are: ClassVar[Literal["file", "folder", "either"]] = "folder"

    kind: Literal["transformers"]
    trust_remote_code: bool = Field(
        False, description="Run code that comes with the folder; false refuses such a folder."
    )
    config: dict[str, Any] | None = Field(
        None, description="The model's configuration; null reads config.json of the folder."
    )
    processor: dict[str, Any] | None = Field(
        None,
        description="The image processor's configuration; null reads preprocessor_config.json of "
        "the folder or, if it has none, uses the family's defaults at the model's "
        "image_size.",
    )
    pooled: Literal["pooler", "class", "mean"] | None = Field(
        None,
        description="Global embedding: the model's pooler_output, the class token after the last "
        "norm, or the mean of all tokens if there is no class token; null uses the "
        "first that the weights have.",
    )

    def located(self) -> Self:
        """The section with configurations from the folder or the model's family."""
        config, processor = self.config, self.processor
        if self.weights is not None:
            config = config or read_json(self.weights / "config.json") or None
            if processor is None:
                processor = read_json(self.weights / "preprocessor_config.json") or None
                nested = read_json(self.weights / "processor_config.json").get("image_processor")
                processor = processor or nested
        return self.model_copy(update={"config": config, "processor": processor})

    @property
    def vision(self) -> dict[str, Any]:
        """Configuration of the image tower."""
        config = self.located().config or {}
        return dict(config.get("vision_config") or config)

    @property
    def cell(self) -> int | None:
        """Pixels of a token's side."""
        patch = self.vision.get("patch_size")
        return patch if isinstance(patch, int) else None

    @property
    def known_input(self) -> Input | None:
        """Resize, crop and normalisation of the image processor."""
        if self.input:
            return self.input
        try:
            return self.input_of(self.processor_values())
        except (KeyError, TypeError, ValueError, IndexError):
            return None

    def processor_values(self) -> dict[str, Any]:
        """The image processor's configuration at the study's resolution.

        Raises:
            UnknownFactError: if neither the folder nor the model's family gives it.
        """
        values = self.located().processor or self.family_processor()
        if self.resolution:
            values = self.resized(values, self.resolution)
        return values

    def family_processor(self) -> dict[str, Any]:
        """The family's defaults at the model's image_size.

        Raises:
            UnknownFactError: if the family or its image_size is not known.
        """
        config = self.located().config or {}
        family, size = str(config.get("model_type")), self.vision.get("image_size")
        if isinstance(size, list | tuple):
            size = size[0]
        if family not in FAMILIES or not isinstance(size, int):
            raise UnknownFactError(
                f"no image processor, and none is known for model type {family!r}: put "
                f"preprocessor_config.json into the folder (families known: {', '.join(FAMILIES)})"
            )
        name, crops, resample, numbers = FAMILIES[family]
        square = {"height": size, "width": size}
        sizes = {"size": square}
        if crops:
            sizes = {"size": {"shortest_edge": size}, "crop_size": square}
        steps = {"do_resize": True, "do_rescale": True, "do_normalize": True}
        return {
            "image_processor_type": name,
            **sizes,
            **steps,
            "do_center_crop": crops,
            "rescale_factor": 1 / 255,
            "resample": resample,
            **numbers,
        }

    def problems(self) -> Iterator[tuple[str, str]]:
        """A missing configuration; code in the folder that is not permitted."""
        yield from super().problems()
        there = self.weights is not None and self.weights.is_dir()
        if self.config is None and (self.weights is None or there) and not self.located().config:
            yield "weights", "no config.json in the folder: give a folder in Hugging Face form"
        if not self.trust_remote_code and (code := self.code()):
            yield (
                "trust_remote_code",
                f"the folder brings code of its own ({code}), which is not run unless this is "
                "true: read it, then set it, or give a folder of a model that transformers has",
            )

    def code(self) -> str:
        """Modules in the folder that its configurations name; empty if there are none."""
        located = self.located()
        named = [
            value
            for values in (located.config, located.processor)
            for value in ((values or {}).get("auto_map") or {}).values()
        ]
        return ", ".join(sorted({str(value) for value in named}))

    @staticmethod
    def resized(values: dict[str, Any], side: int) -> dict[str, Any]:
        """A processor's configuration for another square size, with the resize in proportion."""
        known = Transformers.input_of(values)
        square = {"height": side, "width": side}
        if known.resize == "both":
            return (
                values | {"size": square} | ({"crop_size": square} if "crop_size" in values else {})
            )
        edge = round(known.resized * side / known.size)
        return values | {"size": {"shortest_edge": edge}, "crop_size": square}

    @staticmethod
    def input_of(values: dict[str, Any]) -> Input:
        """The input of an image processor, from its configuration.

        Raises:
            ValueError, KeyError: for a processor that does not produce squares by resizing and
                cropping.
        """
        size: Any = values.get("size")
        crop: Any = values.get("crop_size")
        crops = values.get("do_center_crop", crop is not None) and crop is not None
        if isinstance(crop, int):
            crop = {"height": crop, "width": crop}
        if isinstance(size, int):
            size = {"shortest_edge": size} if crops else {"height": size, "width": size}
        if not (values.get("do_resize", True) and isinstance(size, dict)):
            raise ValueError("an image processor that does not resize")
        square = crop if crops else size
        side = square["height"]
        if square["width"] != side:
            raise ValueError(f"an input of {square['height']} by {square['width']} is not a square")
        shorter = size.get("shortest_edge")
        if shorter is None and size["height"] != size["width"]:
            raise ValueError("an image processor that resizes to no square")
        mean, std = (
            (each,) * 3 if isinstance(each, int | float) else each
            for each in (values.get("image_mean"), values.get("image_std"))
        )
        resample = values.get("resample", 3)
        return Input(
            size=side,
            resize="both" if shorter is None else "shorter",
            resized=size["height"] if shorter is None else shorter,
            resampling=RESAMPLING[resample],
            crop="floored",
            mean=mean,
            std=std,
        )
