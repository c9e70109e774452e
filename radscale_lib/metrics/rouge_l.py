"""ROUGE-L, the mean over reports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from radscale_lib.metrics.base import ReportPairs, TextMetric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from radscale_lib.metrics.base import Floats


def rouge_l(generated: str, reference: str) -> float:
    """ROUGE-L F-measure (Lin 2004) of one report, in [0, 1].

    Longest common subsequence of lower-case alphanumeric tokens, no stemming: the tokens and
    numbers of the `rouge_score` package.
    """
    candidate, target = _tokens(generated), _tokens(reference)
    if not candidate or not target:
        return 0.0
    common = _common_subsequence(candidate, target)
    return 2 * common / (len(candidate) + len(target))


def _tokens(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def _common_subsequence(first: Sequence[str], second: Sequence[str]) -> int:
    """Length of the longest common subsequence, one machine word per row (Hyyrö 2004)."""
    positions: dict[str, int] = {}
    for index, token in enumerate(first):
        positions[token] = positions.get(token, 0) | 1 << index
    everything = (1 << len(first)) - 1
    row = everything
    for token in second:
        matches = row & positions.get(token, 0)
        row = (row + matches | row - matches) & everything
    return len(first) - row.bit_count()


def _statistics(pairs: ReportPairs) -> NDArray[np.float64]:
    import numpy as np

    both = zip(pairs.generated, pairs.references, strict=True)
    return np.array([[rouge_l(*pair), 1] for pair in both])


def _mean(sums: Floats) -> Floats:
    mean: Floats = sums[..., 0] / sums[..., 1]
    return mean


METRIC = TextMetric(name="rouge_l", title="ROUGE-L", chance=0.0, statistics=_statistics, of=_mean)
