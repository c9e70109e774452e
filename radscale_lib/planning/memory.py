"""Estimate a training step's device memory, and say what to do if it is too much."""

from radscale_lib.study.model import Study

STATE = 22
"""Bytes per parameter: weight, average or teacher, two moments, gradient, and a bf16 copy."""
AROUND = 2.5e9
"""Bytes for the logits of prototypes, the largest short-lived tensors, and the device context."""
USABLE = 0.92
"""Usable share of the memory, since allocators leave gaps."""


def step_bytes(study: Study, arm: str) -> float | None:
    """Approximate memory of one device in a training step of an arm; None if unknown.

    benchmarks/memory.py compares it with counts from real steps.
    """
    section = (study.trained_arms | study.bases)[arm]
    recipe, encoder = section.recipe, study.section_of(arm)
    held = recipe.held_bytes(encoder, study.compute.precision)
    if held is None:
        return None
    images = recipe.optimiser.batch / study.compute.devices / recipe.optimiser.passes
    return STATE * encoder.parameters() + AROUND + images * held


def too_large(study: Study, gpu_gb: float | None) -> dict[str, str]:
    """Problems of trainings for which a GPU's memory is too small, by arm.

    Args:
        study: the study.
        gpu_gb: memory of a GPU, GB; None if unknown.
    """
    if gpu_gb is None or study.compute.device != "cuda":
        return {}
    found = {}
    for arm, section in (study.trained_arms | study.bases).items():
        needed, recipe = step_bytes(study, arm), section.recipe
        if needed is None or needed <= USABLE * gpu_gb * 1e9:
            continue
        anew = f"recipe.recompute [{', '.join(recipe.towers)}], or "
        found[arm] = (
            f"a step needs about {needed / 1e9:.0f} GB of a GPU that has {gpu_gb:g} (gpu_gb of the "
            f"site file): give {'' if set(recipe.towers) <= set(recipe.recompute) else anew}more "
            "recipe.optimiser.passes or compute.devices"
        )
    return found
