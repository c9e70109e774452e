"""What the study freezes, and the weights whose rate or decay it changes."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

from radscale_lib.pretrain.errors import PretrainError
from radscale_lib.pretrain.learner import Group
from radscale_lib.study.paradigms import OptimiserConfig


def tuned(groups: Sequence[Group], optimiser: OptimiserConfig) -> list[Group]:
    """A learner's groups under `optimiser.freeze` and `optimiser.factors`.

    Frozen parameters are in no group and need no gradient from now on.

    Raises:
        PretrainError: if a pattern matches no weight, or everything is frozen.
    """
    if not (optimiser.freeze or optimiser.factors):
        return list(groups)
    _check([name for group in groups for name in group["names"]], optimiser)
    made: dict[tuple[float, float], Group] = {}
    for group in groups:
        for name, parameter in zip(group["names"], group["params"], strict=True):
            if any(fnmatchcase(name, pattern) for pattern in optimiser.freeze):
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
    if not made:
        raise PretrainError(
            f"optimiser.freeze {list(optimiser.freeze)} leaves no weight to train: name fewer"
        )
    return list(made.values())


def _check(names: Sequence[str], optimiser: OptimiserConfig) -> None:
    for key, patterns in (("freeze", optimiser.freeze), ("factors", optimiser.factors)):
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise PretrainError(
                    f"optimiser.{key}: {pattern!r} matches no weight: compare names such as "
                    f"{names[0]} and {names[-1]} (those of encoder.safetensors)"
                )
