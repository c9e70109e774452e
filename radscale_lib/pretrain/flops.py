"""Count the compute of a training step."""

from contextlib import nullcontext
from typing import Any

from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from radscale_lib.pretrain.trainer import Trainer


def flops_per_sample(trainer: Trainer, batch: dict[str, Tensor], images: int) -> float:
    """Floating-point operations of a step, without the optimiser's, per image.

    Counts the matrix products, convolutions and attention that actually run, with two operations
    per multiply-add: teacher, all crops, text and repeated passes included.

    Args:
        trainer: about to train; its state is not changed.
        batch: this process's share of a step, on its device.
        images: images of the share.
    """
    # torch counts fused attention on GPUs only; on the CPU it is decomposed.
    apart = sdpa_kernel(SDPBackend.MATH) if trainer.world.device.type == "cpu" else nullcontext()
    with apart, _FlopCounter() as counter:
        trainer.backward(batch)
    trainer.adamw.zero_grad()
    return float(counter.flops / images)


class _FlopCounter(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Sums torch's counts of the operations run within it, like `FlopCounterMode`.

    `FlopCounterMode` itself loads torch's compiler, only to exclude the counting from compilation.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.flops = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        count = flop_registry.get(func.overloadpacket)
        if count is None:
            with self:
                result = func.decompose(*args, **kwargs)
            if result is not NotImplemented:
                return result
        result = func(*args, **kwargs)
        if count is not None:
            self.flops += count(*args, **kwargs, out_val=result)
        return result
