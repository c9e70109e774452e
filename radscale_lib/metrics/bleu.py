"""BLEU-4, from counts per report that add up over a resample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from radscale_lib.metrics.base import ReportPairs, TextMetric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from radscale_lib.metrics.base import Floats

ORDERS = 4


def bleu_statistics(generated: Sequence[str], references: Sequence[str]) -> NDArray[np.int64]:
    """Counts per report from which corpus BLEU is computed.

    sacreBLEU's own counts: 13a tokens, case kept.

    Returns:
        [N, 10]: matched n-grams (n = 1..4), generated n-grams (n = 1..4), generated and reference
        length.
    """
    import numpy as np
    from sacrebleu.metrics.bleu import BLEU

    bleu = BLEU()
    scores = [
        bleu.corpus_score([text], [[reference]])
        for text, reference in zip(generated, references, strict=True)
    ]
    rows = [[*score.counts, *score.totals, score.sys_len, score.ref_len] for score in scores]
    return np.array(rows, dtype=np.int64).reshape(len(scores), 2 * ORDERS + 2)


def corpus_bleu(sums: Floats) -> Floats:
    """BLEU-4 (Papineni et al. 2002) of summed statistics, in [0, 1].

    Geometric mean of the n-gram precisions times exp(min(0, 1 - r/c)), r and c the reference's and
    the generated length. An order without a match has precision 1 / (2^k x n-grams), k counting
    such orders (sacreBLEU's default "exp" smoothing).

    Args:
        sums: [B, 10], sums of rows of `bleu_statistics`.

    Returns:
        [B]; 0 where nothing was generated.
    """
    import numpy as np

    matched, total = sums[:, :ORDERS], sums[:, ORDERS : 2 * ORDERS]
    length, reference = sums[:, -2], sums[:, -1]
    missed = (matched == 0) & (total > 0)
    smoothed = np.where(missed, 0.5 ** np.cumsum(missed, axis=1), matched)
    with np.errstate(divide="ignore", invalid="ignore"):
        precisions = np.log(smoothed / total).mean(1)
        brevity = np.minimum(0, 1 - reference / length)
        bleu = np.exp(precisions + brevity)
    return np.where((matched.sum(1) > 0) & (total > 0).all(1), bleu, 0.0)


def _statistics(pairs: ReportPairs) -> NDArray[np.int64]:
    return bleu_statistics(pairs.generated, pairs.references)


def _rests_on(counts: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Reports with four words in a row as in their reference, without which BLEU is about 0."""
    found: NDArray[np.bool_] = counts[:, ORDERS - 1] > 0
    return found


METRIC = TextMetric(
    name="bleu",
    title="BLEU",
    chance=0.0,
    statistics=_statistics,
    of=corpus_bleu,
    rests_on=_rests_on,
)
