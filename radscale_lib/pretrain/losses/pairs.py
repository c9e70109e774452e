"""Which images and texts of a global batch match, which do not, and for which this is unknown.

Each process holds the rows of its own pairs: B of a global batch of G.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from radscale_lib.pretrain.distributed import gather

SIMILARITIES = 2**24
"""Maximum number of similarities held at a time: 64 MiB per buffer in float32."""


class Pairs(NamedTuple):
    """Relations of this process's image-text pairs to all of a global batch, bool [B, G].

    They are symmetric: the same for an image and the texts as for its text and the images.

    Attributes:
        positive: the text of one describes the image of the other; true for a pair with itself.
        negative: it does not. Pairs that are neither are ignored.
    """

    positive: Tensor
    negative: Tensor


@torch.no_grad()
def compare(batch: dict[str, Tensor], near: float = 1.0) -> Pairs:
    """Compare the pairs of all processes by what is known about them.

    Two reports are positives if they share the study, the section or the sampled text, or if their
    words are nearly the same. Two label sets are positives if they are equal, negatives if they
    differ in a label that both know, and otherwise neither. A report and a label set of the same
    study are neither.

    Args:
        batch: of this process: `study`, `text` (number of the section or label set), `said` (of
            what was drawn of it) int64 [B]; `by_labels` bool [B]; `states` int8 [B, L], 1 or 0, or
            -1 where nothing is known; `words` uint8 [B, W], 1 for each that the text has, if `near`
            is below 1.
        near: Jaccard similarity of words from which two reports count as the same.
    """
    study, text, said = (_equal(batch[name]) for name in ("study", "text", "said"))
    own, by_labels = batch["by_labels"], gather(batch["by_labels"])
    label_sets, reports = own[:, None] & by_labels, ~(own[:, None] | by_labels)
    with torch.autocast(own.device.type, enabled=False):
        states = gather(batch["states"])
        present, absent = ((batch["states"] == state).float() for state in (1, 0))
        differing = (present @ (states == 0).float().T + absent @ (states == 1).float().T) > 0
        same = study | said
        if near < 1:
            same |= _jaccard(batch["words"]) >= near
    positive = text | (reports & same)
    return Pairs(positive, ~positive & torch.where(label_sets, differing, ~study))


def _equal(numbers: Tensor) -> Tensor:
    return numbers[:, None] == gather(numbers)[None, :]


def _jaccard(words: Tensor) -> Tensor:
    """Similarity [B, G] of sets, given as rows of 0 and 1; 0 for empty sets."""
    own, everyone = words.float(), gather(words).float()
    shared = own @ everyone.T
    sizes, others = own.sum(dim=1), everyone.sum(dim=1)
    return shared / (sizes[:, None] + others[None, :] - shared).clamp(min=1)


def sum_over_rows(
    loss: Callable[[Tensor, Pairs], Tensor], own: Tensor, others: Tensor, pairs: Pairs
) -> Tensor:
    """Sum of a loss over the similarities own @ others.T [B, G], computed in chunks of rows.

    Args:
        loss: takes rows of similarities and the relations of these rows; returns the sum over them.
        own: [B, D].
        others: [G, D].
        pairs: relations [B, G].
    """

    def of_rows(own: Tensor, *pairs: Tensor) -> Tensor:
        return loss(own @ others.T, Pairs(*pairs))

    step = max(SIMILARITIES // len(others), 1)
    if len(own) <= step:
        return of_rows(own, *pairs)
    chunks = zip(*(torch.split(each, step) for each in (own, *pairs)), strict=True)
    parts = [
        checkpoint(of_rows, *chunk, use_reentrant=False, preserve_rng_state=False)
        for chunk in chunks
    ]
    return torch.stack(parts).sum()
