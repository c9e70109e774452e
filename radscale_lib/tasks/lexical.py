"""What a report affirms by the rules of `radscale_lib.labels`, for lexical F1.

No learnt labeller is involved, and the value is not comparable with CheXbert's or RadGraph's F1: it
measures whether a generated report affirms what its reference affirms.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from radscale_lib.labels.rules import RuleReader
from radscale_lib.labels.states import PRESENT, UNCERTAIN


def states(reader: RuleReader, texts: Sequence[str]) -> NDArray[np.int8]:
    """What each text says about each label: [N, K] of `radscale_lib.labels.states`."""
    read = [[reading.state for reading in reader.read(text)] for text in texts]
    return np.array(read, np.int8).reshape(len(texts), len(reader.labels))


COUNTS = ("true_positive", "false_positive", "false_negative")


def claim_counts(
    generated: NDArray[np.int8], reference: NDArray[np.int8], uncertain: str
) -> NDArray[np.int64]:
    """Counts from which F1 is computed, for each report and label.

    A label is positive if the text affirms it; denied and unmentioned are both negative. A hedged
    reference follows the study's policy: ignored, positive or negative. A hedged claim in the
    generated report counts as positive unless the policy is 'negative', so that hedging cannot hide
    a claim.

    Args:
        generated: [N, K] states.
        reference: [N, K] states.
        uncertain: `labels.uncertain` of the study.

    Returns:
        [N, K, 3] in the order of `COUNTS`.
    """
    claimed = (generated == PRESENT) | ((generated == UNCERTAIN) & (uncertain != "negative"))
    true = (reference == PRESENT) | ((reference == UNCERTAIN) & (uncertain == "positive"))
    known = (reference != UNCERTAIN) | (uncertain != "ignore")
    counts = [claimed & true & known, claimed & ~true & known, ~claimed & true & known]
    return np.stack(counts, axis=-1).astype(np.int64)
