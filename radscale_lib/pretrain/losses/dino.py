"""DINO: cross-entropy between a teacher's and a student's views of an image."""

from collections.abc import Iterator

import torch
from torch import Tensor

from radscale_lib.pretrain.losses.prototypes import cross_entropy, rows_at_once


def dino_loss(tokens: Tensor, prototypes: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """DINO loss on class tokens (arXiv 2104.14294, eq. 3).

    The mean over images and over pairs of a student's crop and a teacher's crop, no crop with
    itself, of -sum_k t_k log softmax(s / temperature)_k, where s are a token's products with the
    prototypes.

    Args:
        tokens: of the student [C, B, D], of C crops, the teacher's crops first.
        prototypes: [K, D].
        teacher: assignments [T, B, K], T <= C; each sums to 1 over K.
        temperature: of the student.

    Returns:
        The loss, scalar, of this process's images.
    """
    crops, images = tokens.shape[:2]
    teachers = len(teacher)
    # Each student crop is compared with the mean target of the other crops, weighted by their
    # number.
    others = tokens.new_full((crops, 1), teachers, dtype=torch.float32)
    others[:teachers] -= 1
    weights = (others / (teachers * (crops - 1) * images)).expand(-1, images).flatten()
    targets = _targets(teacher, crops)
    return cross_entropy(tokens.flatten(0, 1), prototypes, targets, weights, temperature)


def _targets(teacher: Tensor, crops: int) -> Iterator[Tensor]:
    teachers, images, count = teacher.shape
    total = teacher.sum(dim=0)
    yield (total - teacher) / max(teachers - 1, 1)
    mean = total / teachers
    at_once = max(rows_at_once(count) // images, 1)
    for first in range(teachers, crops, at_once):
        yield mean.expand(min(at_once, crops - first), -1, -1)
