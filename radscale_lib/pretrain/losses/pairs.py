"""Which images and texts of a global batch belong together, and of which nobody knows."""

from typing import NamedTuple

import torch
from torch import Tensor

from radscale_lib.pretrain.distributed import gather


class Pairs(NamedTuple):
    """Relations between the image-text pairs of a global batch, bool [G, G], symmetric.

    Attributes:
        positive: the text of one describes the image of the other; true of a pair and itself.
        negative: it does not. Of pairs that are neither, nothing is said.
    """

    positive: Tensor
    negative: Tensor


@torch.no_grad()
def compare(batch: dict[str, Tensor], near: float = 1.0) -> Pairs:
    """Compare the pairs of all processes by what is known of them.

    Two reports are positives where the study, the section, or the text that was drawn of it is the
    same, or the words nearly are. Two label sets are positives where they are equal, and negatives
    where a label that both know differs; where none does, one may be the other. A report and a
    label set of one study are neither.

    Args:
        batch: of this process: `study`, `text` (number of the section or label set), `said` (of
            what was drawn of it) int64 [B]; `by_labels` bool [B]; `states` int8 [B, L], 1 or 0, or
            -1 where nothing is known; `words` uint8 [B, W], 1 for each that the text has, if `near`
            is below 1.
        near: Jaccard similarity of two reports' words from which they are the same.
    """
    study, text, said = (_equal(gather(batch[name])) for name in ("study", "text", "said"))
    by_labels = gather(batch["by_labels"])
    label_sets, reports = (each[:, None] & each[None, :] for each in (by_labels, ~by_labels))
    with torch.autocast(by_labels.device.type, enabled=False):
        states = gather(batch["states"])
        present, absent = (states == 1).float(), (states == 0).float()
        differing = (present @ absent.T + absent @ present.T) > 0
        same = study | said
        if near < 1:
            same |= _jaccard(gather(batch["words"]).float()) >= near
    positive = text | (reports & same)
    return Pairs(positive, ~positive & torch.where(label_sets, differing, ~study))


def _equal(numbers: Tensor) -> Tensor:
    return numbers[:, None] == numbers[None, :]


def _jaccard(words: Tensor) -> Tensor:
    """Similarity [G, G] of sets, given as rows of 0 and 1; empty ones are like nothing."""
    shared = words @ words.T
    sizes = words.sum(dim=1)
    return shared / (sizes[:, None] + sizes[None, :] - shared).clamp(min=1)
