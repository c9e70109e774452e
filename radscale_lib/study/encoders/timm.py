"""timm: any vision transformer or pyramid model of the library, with local weights."""

from collections.abc import Iterator, Mapping
from math import floor
from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from radscale_lib.study.encoders.input import Input
from radscale_lib.study.encoders.library import LibraryEncoder, read_json


class Timm(LibraryEncoder):
    """An image tower from timm, with its published preprocessing."""

    implementation: ClassVar[str] = "radscale_lib.encoders.timm_tower"
    paradigms: ClassVar[tuple[str, ...]] = ()
    exports: ClassVar[Mapping[str, str]] = {
        "timm": "radscale_lib.hub.timm_timm",
        **LibraryEncoder.exports,
    }

    kind: Literal["timm"]
    name: str | None = Field(
        None,
        description="The model's name in timm, with the tag of its weights, such as "
        "vit_base_patch14_dinov2.lvd142m; null reads config.json of the weights' folder.",
    )
    options: dict[str, Any] = Field({}, description="Further arguments of timm.create_model.")
    published: dict[str, Any] | None = Field(
        None,
        description="timm's pretrained_cfg; null uses that of the folder, or of the name.",
    )

    @property
    def known_input(self) -> Input | None:
        """Resize, crop and normalisation, if the study or config.json beside the weights says."""
        published = self.located().published
        if self.input or not published:
            return self.input
        try:
            return self.input_of(published, self.side)
        except (KeyError, TypeError, ValueError):
            return None

    @property
    def side(self) -> int | None:
        """Side of the square input in pixels, if it differs from the published one."""
        given = self.options.get("img_size")
        if isinstance(given, list | tuple):
            given = given[0]
        return self.resolution or given

    def located(self) -> Self:
        """The section with name, options and pretrained_cfg from the weights' folder."""
        if self.weights is None or not self.weights.is_dir():
            return self
        values = read_json(self.weights / "config.json")
        told = {
            "name": self.name or values.get("architecture"),
            "options": values.get("model_args", {}) | self.options,
            "published": self.published or values.get("pretrained_cfg"),
        }
        return self.model_copy(update=told)

    def problems(self) -> Iterator[tuple[str, str]]:
        """The model must be named by the study or by the weights' folder."""
        yield from super().problems()
        there = self.weights is not None and self.weights.exists()
        if self.name is None and (self.weights is None or there) and not self.located().name:
            yield "name", "no model: name one of timm's, or give a folder with timm's config.json"

    @staticmethod
    def input_of(data: dict[str, Any], resolution: int | None = None) -> Input:
        """The input of timm's evaluation transform, from its data configuration.

        Raises:
            ValueError: for an input that is not a square with three channels, or has a border.
        """
        channels, height, width = data["input_size"]
        size, mode = resolution or height, data.get("crop_mode") or "center"
        if channels != 3 or (height != width and resolution is None):
            raise ValueError(f"input {data['input_size']} is not a square of three channels")
        if mode not in CROP_MODES:
            raise ValueError(f"crop_mode {mode!r}: use one of {list(CROP_MODES)}")
        return Input(
            size=size,
            resize=CROP_MODES[mode],
            resized=floor(size / (data.get("crop_pct") or 0.875)),
            resampling=data.get("interpolation") or "bicubic",
            mean=data["mean"],
            std=data["std"],
        )


CROP_MODES: dict[str, Literal["shorter", "both"]] = {"center": "shorter", "squash": "both"}
