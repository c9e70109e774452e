"""Weights that the study freezes, or whose learning rate or decay it changes."""

from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase

from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.learner import Group
from radscale_lib.study.paradigms import OptimiserConfig


def pattern_problems(names: Sequence[str], optimiser: OptimiserConfig) -> Iterator[tuple[str, str]]:
    """Patterns that match none of a model's weights, or all: key of `optimiser` and message."""
    for key, patterns in (("freeze", optimiser.freeze), ("factors", optimiser.factors)):
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                yield (
                    key,
                    f"{pattern!r} matches no weight: compare names such as {names[0]} and "
                    f"{names[-1]} (those of encoder.safetensors)",
                )
    if all(_frozen(name, optimiser) for name in names):
        yield "freeze", f"{list(optimiser.freeze)} leaves no weight to train: freeze fewer"


def _frozen(name: str, optimiser: OptimiserConfig) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in optimiser.freeze)


def tuned(groups: Sequence[Group], optimiser: OptimiserConfig) -> list[Group]:
    """Apply `optimiser.freeze` and `optimiser.factors` to a learner's groups.

    Frozen parameters are in no group and no longer require gradients.

    Raises:
        PretrainError: if a pattern matches no weight, or everything is frozen.
    """
    if not (optimiser.freeze or optimiser.factors):
        return list(groups)
    names = [name for group in groups for name in group["names"]]
    for key, problem in pattern_problems(names, optimiser):
        raise PretrainError(f"optimiser.{key}: {problem}")
    made: dict[tuple[float, float], Group] = {}
    for group in groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            if _frozen(name, optimiser):
                parameter.requires_grad_(False)
                continue
            lr, decay = group["lr_scale"], group["decay_scale"]
            for pattern, factors in optimiser.factors.items():
                if fnmatchcase(name, pattern):
                    lr, decay = lr * factors.lr, decay * factors.weight_decay
            if (lr, decay) not in made:
                made[lr, decay] = Group(names=[], params=[], lr_scale=lr, decay_scale=decay)
            made[lr, decay]["names"].append(name)
            made[lr, decay]["params"].append(parameter)
    return list(made.values())
