"""Check settings that are valid individually but cannot work together."""

from collections.abc import Iterator
from importlib import import_module

from radscale_lib.preflight.finding import Finding
from radscale_lib.study.model import Study
from radscale_lib.study.pretrain import Pretraining

SMALLEST_PASS = 2
"""Minimum images per pass: with one, a contrastive loss is constant and KoLeo undefined."""


def _trainings(study: Study) -> Iterator[tuple[str, Pretraining]]:
    """Bases and arms that train, by their keys."""
    yield from ((f"bases.{name}", base) for name, base in study.bases.items())
    yield from ((f"arms.{name}", arm) for name, arm in study.trained_arms.items())


def pattern_findings(study: Study) -> Iterator[Finding]:
    """Weight patterns that match nothing; if there are any, models are built without memory."""
    for key, run in _trainings(study):
        recipe, encoder = run.recipe, study.encoders[run.encoder]
        if not (recipe.optimiser.freeze or recipe.optimiser.factors):
            continue
        # torch takes seconds to import: only for a study with patterns.
        import torch

        from radscale_lib.encoders.release import ReleaseError
        from radscale_lib.pretrain.tuning import pattern_problems

        try:
            with torch.device("meta"):
                model = import_module(recipe.implementation).build_model(encoder, recipe)
        except ReleaseError:
            continue  # reported for the encoder's weights
        names = [name for name, _ in model.named_parameters()]
        for below, problem in pattern_problems(names, recipe.optimiser):
            yield Finding(f"{key}.recipe.optimiser.{below}: {problem}")


def settings_findings(study: Study) -> Iterator[Finding]:
    """Sizes and budgets that would fail, or have no effect, in a later job."""
    for key, section in _trainings(study):
        optimiser = section.recipe.optimiser
        images = optimiser.batch // optimiser.passes
        if images < SMALLEST_PASS:
            yield Finding(
                f"{key}.recipe.optimiser.passes: {optimiser.passes} passes leave {images} image of "
                f"a batch of {optimiser.batch} to each, and the losses compare at least two: use "
                f"{max(optimiser.batch // SMALLEST_PASS, 1)} or fewer"
            )
    for name, task in study.evaluation.tasks.items():
        for below, problem in task.folder_problems():
            yield Finding(f"evaluation.tasks.{name}.{below}: {problem}")
