"""iBOT: the student predicts the teacher's view of masked patches."""

from torch import Tensor


def ibot_loss(student: Tensor, teacher: Tensor, weights: Tensor, temperature: float) -> Tensor:
    """Masked-patch loss (arXiv 2111.07832, eq. 2; weighted per crop as in DINOv2).

    Args:
        student: logits [M, K] of this process's masked patches.
        teacher: assignments [M, K] of the same patches, unmasked; each sums to 1 over K.
        weights: [M]; with 1 / (masked patches of the crop) / (global crops of this process), the
            result is the mean over all global crops of each crop's mean over its masked patches,
            crops without masked patches counting 0.
        temperature: of the student.

    Returns:
        The loss, scalar.
    """
    logits = student.float() / temperature
    entropies = logits.logsumexp(dim=-1) - (teacher * logits).sum(dim=-1)
    return (weights * entropies).sum()
