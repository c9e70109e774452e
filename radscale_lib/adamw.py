"""AdamW (arXiv 1711.05101) as torch computes it, without the imports of `torch.optim.AdamW`.

`torch.optim.Optimizer` imports torch's compiler at its first use, which takes nearly as long as
importing torch. The update itself is torch's fused function.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamw import adamw

EPSILON = 1e-8


class AdamW:
    """AdamW with decoupled weight decay; only parameters that have a gradient get moments.

    Attributes:
        param_groups: `params`, `lr`, `weight_decay` and anything else that the caller keeps for
            each group; the numbers are read again at each step.
    """

    def __init__(
        self,
        groups: Iterable[Mapping[str, Any]],
        lr: float,
        betas: tuple[float, float],
        weight_decay: float = 0.01,
    ) -> None:
        """Take groups of parameters; `lr` and `weight_decay` are the groups' defaults."""
        self.param_groups = [{"lr": lr, "weight_decay": weight_decay, **group} for group in groups]
        self._betas = betas
        self._moments: dict[nn.Parameter, tuple[Tensor, Tensor, Tensor]] = {}

    @property
    def _parameters(self) -> list[nn.Parameter]:
        return [parameter for group in self.param_groups for parameter in group["params"]]

    def zero_grad(self) -> None:
        """Drop all gradients."""
        for parameter in self._parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Update the parameters from their gradients; those without one stay unchanged."""
        for group in self.param_groups:
            moved = [parameter for parameter in group["params"] if parameter.grad is not None]
            moments = [self._moments_of(parameter) for parameter in moved]
            adamw(
                moved,
                [parameter.grad for parameter in moved],
                [mean for mean, _, _ in moments],
                [square for _, square, _ in moments],
                [],
                [steps for _, _, steps in moments],
                fused=True,
                amsgrad=False,
                beta1=self._betas[0],
                beta2=self._betas[1],
                lr=group["lr"],
                weight_decay=group["weight_decay"],
                eps=EPSILON,
                maximize=False,
            )

    def _moments_of(self, parameter: nn.Parameter) -> tuple[Tensor, Tensor, Tensor]:
        """Mean gradient, mean squared gradient, and number of steps so far."""
        if parameter not in self._moments:
            steps = torch.zeros((), dtype=torch.float32, device=parameter.device)
            zeros = (
                torch.zeros_like(parameter, memory_format=torch.preserve_format) for _ in range(2)
            )
            self._moments[parameter] = (*zeros, steps)  # type: ignore[assignment]
        return self._moments[parameter]

    def state_dict(self) -> dict[int, tuple[Tensor, Tensor, Tensor]]:
        """The moments, by the index of their parameter."""
        numbered = enumerate(self._parameters)
        return {at: self._moments[of] for at, of in numbered if of in self._moments}

    def load_state_dict(self, state: dict[int, tuple[Tensor, Tensor, Tensor]]) -> None:
        """Continue from moments of the same parameters, on the same device."""
        parameters = self._parameters
        self._moments = {parameters[at]: moments for at, moments in state.items()}
