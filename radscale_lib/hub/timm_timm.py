"""A timm encoder for timm: its own model, with the input configured for the encoder."""

import math
from pathlib import Path
from typing import Any

from radscale_lib.encoders.storage import EncoderFile, tower_of
from radscale_lib.hub.files import TIMM_USAGE, ExportError, write_timm
from radscale_lib.study.encoders.input import Input
from radscale_lib.study.encoders.timm import CROP_MODES, Timm


def export(content: EncoderFile, folder: Path) -> str:
    """Write the model without a classifier, and return how to load it.

    Raises:
        ExportError: if timm's transforms cannot produce the input that the study configures.
    """
    encoder = content.encoder
    assert isinstance(encoder, Timm)
    known = encoder.known_input
    assert encoder.name is not None and known is not None
    model: Any = tower_of(content).model
    published = {
        key: value
        for key, value in model.pretrained_cfg.items()
        if key in ("first_conv", "classifier", "fixed_input_size", "min_input_size", "license")
    }
    arguments = {key: value for key, value in encoder.options.items() if key != "num_classes"}
    if encoder.resolution and published.get("fixed_input_size"):
        arguments["img_size"] = encoder.resolution
    pool = getattr(model, "global_pool", None)
    write_timm(
        folder,
        encoder.name.partition(".")[0],
        arguments,
        content.part("image.model"),
        {**published, **_input(known)},
        num_features=model.num_features,
        global_pool=pool if isinstance(pool, str) and pool else "avg",
    )
    return TIMM_USAGE


def _input(known: Input) -> dict[str, Any]:
    mode = next((mode for mode, resize in CROP_MODES.items() if resize == known.resize), None)
    if mode is None or known.crop != "rounded" or known.resized < known.size:
        raise ExportError("the study's 'input' is one that timm's evaluation transform cannot make")
    share = known.size / known.resized
    while math.floor(known.size / share) < known.resized:  # computed as in timm
        share = math.nextafter(share, 0)
    return {
        "input_size": [3, known.size, known.size],
        "interpolation": known.resampling,
        "crop_pct": share,
        "crop_mode": mode,
        "mean": known.mean,
        "std": known.std,
    }
