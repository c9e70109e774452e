"""DINO: cross-entropy between a teacher's and a student's views of an image."""

from torch import Tensor


def dino_loss(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """DINO loss on class tokens (arXiv 2104.14294, eq. 3).

    The mean over images and over pairs of a student's crop and a teacher's crop, no crop with
    itself, of -sum_k t_k log softmax(s / temperature)_k.

    Args:
        student: logits [C, B, K] of C crops, the teacher's crops first.
        teacher: assignments [T, B, K], T <= C; each sums to 1 over K.
        temperature: of the student.

    Returns:
        The loss, scalar, of this process's images.
    """
    logits = student.float() / temperature
    crops, teachers = len(student), len(teacher)
    pairs = teachers * (crops - 1)
    # With sum_k t_k = 1: -sum t log softmax(s) = logsumexp(s) - t.s, so no [C, B, K] of
    # log-probabilities is kept. Each student's crop meets the sum of the other crops' targets.
    others = teacher.sum(dim=0).expand_as(logits).clone()
    others[:teachers] -= teacher
    counts = logits.new_full((crops, 1), teachers)
    counts[:teachers] -= 1
    entropies = counts * logits.logsumexp(dim=-1) - (others * logits).sum(dim=-1)
    return entropies.sum() / (pairs * student.shape[1])
