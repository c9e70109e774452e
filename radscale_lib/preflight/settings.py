"""Settings that are valid each, and cannot work."""

from collections.abc import Iterator

from radscale_lib.preflight.finding import Finding
from radscale_lib.study.model import Study

SMALLEST_PASS = 2
"""Images that a pass needs: a contrastive loss of one pair is constant, KoLeo undefined."""


def settings_findings(study: Study) -> Iterator[Finding]:
    """Sizes and budgets that fail, or mean nothing, once a job gets to them."""
    for key, section in [
        *((f"bases.{name}", base) for name, base in study.bases.items()),
        *((f"arms.{name}", arm) for name, arm in study.trained_arms.items()),
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
        for below, problem in task.folder_problems():
            yield Finding(f"evaluation.tasks.{name}.{below}: {problem}")
