"""Counted compute of a training step."""

from contextlib import nullcontext

from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from radscale_lib.pretrain.loop import Trainer


def flops_per_sample(trainer: Trainer, batch: dict[str, Tensor], images: int) -> float:
    """Floating-point operations of a step, without the optimiser's, per image.

    Matrix products, convolutions and attention are counted, two operations to a multiply-add, as
    they are run: teacher, all crops, text and repeated passes included.

    Args:
        trainer: about to train; its state is left as it was.
        batch: this process's share of a step, on its device.
        images: images of the share.
    """
    # Fused attention is counted on GPUs only; on the CPU it is taken apart.
    apart = sdpa_kernel(SDPBackend.MATH) if trainer.world.device.type == "cpu" else nullcontext()
    with apart, FlopCounterMode(display=False) as counter:
        trainer.backward(batch)
    trainer.adamw.zero_grad(set_to_none=True)
    return float(counter.get_total_flops() / images)
