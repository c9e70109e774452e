"""iBOT: the student predicts the teacher's view of masked patches."""

from torch import Tensor

from radscale_lib.pretrain.losses.prototypes import Assignments, cross_entropy


def ibot_loss(
    tokens: Tensor, prototypes: Tensor, teacher: Assignments, weights: Tensor, temperature: float
) -> Tensor:
    """Masked-patch loss (arXiv 2111.07832, eq. 2; weighted per crop as in DINOv2).

    Args:
        tokens: of the student [M, D], of this process's masked patches.
        prototypes: [K, D]; their products with the tokens are the student's logits.
        teacher: assignments of the same patches, unmasked.
        weights: [M]; with 1 / (masked patches of the crop) / (global crops of this process), the
            result is the mean over all global crops of each crop's mean over its masked patches,
            crops without masked patches counting 0.
        temperature: of the student.

    Returns:
        The loss, scalar.
    """
    targets = (teacher[rows] for rows in teacher.chunks)
    return cross_entropy(tokens, prototypes, targets, weights, temperature)
