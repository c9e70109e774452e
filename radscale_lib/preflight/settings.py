"""Settings that are valid each, and cannot work."""

import json
from collections.abc import Iterator
from pathlib import Path

from radscale_lib.preflight.finding import Finding
from radscale_lib.study.model import Study
from radscale_lib.study.tasks import Generation

DAVIT_STRIDE = 32
"""Pixels of a DaViT's input for each cell of its last level: strides 4, 2, 2 and 2."""
SMALLEST_PASS = 2
"""Images that a pass needs: a contrastive loss of one pair is constant, KoLeo undefined."""


def settings_findings(study: Study) -> Iterator[Finding]:
    """Sizes and budgets that fail, or mean nothing, once a job gets to them."""
    for name, encoder in study.encoders.items():
        size = encoder.image_size
        if encoder.kind == "mi2" and size % DAVIT_STRIDE:
            nearest = max(round(size / DAVIT_STRIDE), 1) * DAVIT_STRIDE
            yield Finding(
                f"encoders.{name}.image.image_size: {size} is no multiple of {DAVIT_STRIDE}, the "
                f"product of a DaViT's strides, so its levels do not cover the image evenly: take "
                f"{nearest}"
            )
    for key, section in [
        *((f"bases.{name}", base) for name, base in study.bases.items()),
        *((f"arms.{name}", arm) for name, arm in study.arms.items()),
    ]:
        optimiser = section.recipe.optimiser
        images = optimiser.batch // optimiser.passes
        if images < SMALLEST_PASS:
            yield Finding(
                f"{key}.recipe.optimiser.passes: {optimiser.passes} passes leave {images} image of "
                f"a batch of {optimiser.batch} to each, and the losses compare at least two: take "
                f"{max(optimiser.batch // SMALLEST_PASS, 1)} or fewer"
            )
    for name, task in study.evaluation.tasks.items():
        if isinstance(task, Generation) and isinstance(task.language_model, Path):
            yield from _places(f"evaluation.tasks.{name}", task, task.language_model)


def _places(key: str, task: Generation, folder: Path) -> Iterator[Finding]:
    """A released language model has a longest input."""
    config = folder / "config.json"
    if not folder.is_dir():
        return  # said with the paths
    try:
        values = json.loads(config.read_bytes())
        places = values.get("max_position_embeddings")
    except (OSError, ValueError, AttributeError):
        yield Finding(
            f"{key}.language_model: {str(config)!r} cannot be read: give a folder with a causal "
            "language model in Hugging Face form"
        )
        return
    if not any(folder.glob("*.safetensors")):
        yield Finding(
            f"{key}.language_model: no safetensors file in {str(folder)!r}: put the weights there"
        )
    needed = task.visual_tokens + task.max_tokens
    if isinstance(places, int) and needed > places:
        yield Finding(
            f"{key}.max_tokens: {task.max_tokens} and {task.visual_tokens} visual tokens are more "
            f"than the {places} places of the language model: lower one of the two"
        )
