"""What a training step takes of a device's memory, and what to do where that is too much."""

from radscale_lib.study.model import Study

STATE = 22
"""Bytes of a parameter: weight, average or teacher, two moments, gradient, and a copy in bf16."""
AROUND = 2.5e9
"""Logits of the prototypes, the largest of what is held for moments, and the device's context."""
USABLE = 0.92
"""Share of the memory that can be used: allocators leave gaps."""


def step_bytes(study: Study, arm: str) -> float | None:
    """Memory of one device in a training step of an arm or base, about; None if unknown.

    Compared with counts of the real steps by benchmarks/memory.py.
    """
    section = (study.trained_arms | study.bases)[arm]
    recipe, encoder = section.recipe, study.section_of(arm)
    held = recipe.held_bytes(encoder, study.compute.precision)
    if held is None:
        return None
    images = recipe.optimiser.batch / study.compute.devices / recipe.optimiser.passes
    return STATE * encoder.parameters() + AROUND + images * held


def too_large(study: Study, gpu_gb: float | None) -> dict[str, str]:
    """What is wrong with the trainings that a GPU's memory is too small for, by arm.

    Args:
        study: the study.
        gpu_gb: memory of a GPU, GB; None if it is not known.
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
