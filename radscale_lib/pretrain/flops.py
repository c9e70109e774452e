"""Counted compute of a training step."""

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from radscale_lib.pretrain.learner import Learner


def flops_per_sample(learner: Learner, batch: dict[str, Tensor], images: int) -> float:
    """Floating-point operations of one forward and backward pass, per image of the batch.

    Matrix products, convolutions and attention are counted, two operations to a multiply-add, as
    they are run: teacher, all crops and text included. Attention is taken apart for that, since
    fused kernels of the CPU are not counted.
    """
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        learner(batch, 0)["loss"].backward()
    for parameter in learner.parameters():
        parameter.grad = None
    torch.manual_seed(0)
    return float(counter.get_total_flops() / images)
