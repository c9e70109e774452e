"""Turn a DICOM image into the pixels that are stored."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radscale_lib.archive.burned_in import find_text, mask_text
from radscale_lib.archive.colour import luminance_patterns
from radscale_lib.archive.grey import GreyScale, Rendered, render
from radscale_lib.archive.instance import Instance
from radscale_lib.archive.outcomes import ExcludedError
from radscale_lib.archive.pixels import Patterns, stored_patterns
from radscale_lib.archive.resize import resize, stored_size
from radscale_lib.shards.codec import Stored
from radscale_lib.study.archive import Image


class Prepared(NamedTuple):
    """An image as it is stored, and what is known about it."""

    pixels: Stored
    rendered: Rendered
    masked_lines: int


def stored_pixels(instance: Instance, image: Image) -> Prepared:
    """Decode, window and resize an image to display grey levels over the full range of its bits.

    Raises:
        ExcludedError: `burned_in_text`.
        QuarantinedError: as `stored_patterns`, `luminance_patterns` and `render` do.
    """
    decoded = luminance_patterns if instance.colour else stored_patterns
    patterns, grey = decoded(instance)
    patterns, masked_lines = _treat_burned_in_text(patterns, grey, image)
    rendered = render(patterns, grey, image.window)
    height, width = stored_size(
        instance.rows, instance.columns, image.shorter_side, instance.aspect
    )
    values = resize(rendered.values, height, width, image.alignment, image.interpolation)
    return Prepared(_quantise(rendered.grey(values), image.bits), rendered, masked_lines)


def _quantise(grey: NDArray[np.float32], bits: int) -> Stored:
    """Grey levels of 0 to 255 as integers over the range of 8 or 16 bits."""
    grey = grey.clip(0, 255)
    if bits == 8:
        return (grey + 0.5).astype(np.uint8)
    return (grey * 257 + 0.5).astype(np.uint16)


def _treat_burned_in_text(
    patterns: Patterns, grey: GreyScale, image: Image
) -> tuple[Patterns, int]:
    """Apply the study's rule for burnt-in text; return the pixels and the masked lines."""
    if image.burned_in_text == "keep":
        return patterns, 0
    ordered = grey.in_order(patterns)
    lines = find_text(ordered)
    if not lines:
        return patterns, 0
    if image.burned_in_text == "exclude":
        raise ExcludedError("burned_in_text", f"{len(lines)} lines")
    return grey.in_order(mask_text(ordered, lines)), len(lines)
