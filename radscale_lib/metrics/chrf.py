"""ChrF, from counts per report that add up over a resample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from radscale_lib.metrics.base import ReportPairs, TextMetric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from radscale_lib.metrics.base import Floats

ORDERS = 6
BETA = 2


def chrf_statistics(generated: Sequence[str], references: Sequence[str]) -> NDArray[np.int64]:
    """Counts per report from which corpus chrF is computed: sacreBLEU's, without white space.

    Returns:
        [N, 18]: for n = 1..6 generated, reference and matched character n-grams.
    """
    import numpy as np
    from sacrebleu.metrics.helpers import extract_all_char_ngrams

    rows = []
    for texts in zip(generated, references, strict=True):
        ours, theirs = (extract_all_char_ngrams(text, ORDERS) for text in texts)
        row: list[int] = []
        for one, other in zip(ours, theirs, strict=True):
            # Like sacreBLEU, which counts no generated n-grams if the reference is too short.
            made = one.total() if other else 0
            row += [made, other.total(), (one & other).total()]
        rows.append(row)
    return np.array(rows, dtype=np.int64).reshape(len(rows), 3 * ORDERS)


def corpus_chrf(sums: Floats) -> Floats:
    """ChrF (Popović 2015) of summed statistics [..., 18], in [0, 1].

    F-measure with recall weighted twice as much, of precision and recall averaged over the orders
    for which both sides have n-grams (sacreBLEU's default).
    """
    import numpy as np

    made, asked, matched = np.moveaxis(sums.reshape(*sums.shape[:-1], ORDERS, 3), -1, 0)
    counted = (made > 0) & (asked > 0)
    orders = np.maximum(counted.sum(axis=-1), 1)
    precision, recall = (
        (np.where(counted, matched, 0) / np.where(counted, total, 1)).sum(axis=-1) / orders
        for total in (made, asked)
    )
    factor = BETA**2
    either = precision + recall > 0
    below = np.where(either, factor * precision + recall, 1)
    return np.asarray((1 + factor) * precision * recall / below)


def _statistics(pairs: ReportPairs) -> NDArray[np.int64]:
    return chrf_statistics(pairs.generated, pairs.references)


METRIC = TextMetric(name="chrf", title="chrF", chance=0.0, statistics=_statistics, of=corpus_chrf)
