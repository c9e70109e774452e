"""Multiple claims: which of them hold over the whole study.

Two guarantees, at a level such as 0.1:

- If none of a study's claims is true, the probability of deciding even one is at most the level:
  before anything is decided, the study as a whole must show something (the gate). Families have
  unequal shares of the level there (weighted Bonferroni).
- Within a family of claims, the expected share of false ones among those decided is at most the
  level (Benjamini and Hochberg 1995, who need independent claims; Benjamini and Yekutieli 2001
  allow the positive dependence of claims that share test patients, arms or sizes).

The p-value of a claim is twice the posterior probability of the less likely side, under even prior
odds: two-sided, since a claim may also be contradicted.
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from radscale_lib.scaling.laws import Array


def p_values(probability: ArrayLike, draws: int | None = None) -> Array:
    """Two-sided p-values of posterior probabilities.

    Args:
        probability: that each claim is true, from even odds.
        draws: number of draws in which the probabilities were counted; a side without draws counts
            as half a draw. None if they were computed exactly.
    """
    share = np.asarray(probability, dtype=np.float64)
    least = 0.0 if draws is None else 0.5 / (draws + 1)
    return np.asarray(np.clip(2 * np.minimum(share, 1 - share), 2 * least, 1.0))


def benjamini_hochberg(p: ArrayLike) -> Array:
    """Adjusted p-values: deciding those up to a level limits the false discovery rate to it."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values, kind="stable")
    steps = values[order] * values.size / np.arange(1, values.size + 1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum.accumulate(steps[::-1])[::-1]
    return adjusted


def simes(p: ArrayLike) -> float:
    """p-value of 'none of these claims is true' (Simes 1986); 1 without claims."""
    values = np.asarray(p, dtype=np.float64)
    return float(benjamini_hochberg(values).min()) if values.size else 1.0


def gate(families: Mapping[str, ArrayLike], weights: Mapping[str, float]) -> float:
    """p-value of 'no claim of any of these families is true': each by Simes, then Bonferroni.

    Args:
        families: p-values of each family's claims; a family counts once, whatever its size.
        weights: shares of the level for each family; their sum is 1.
    """
    least = [simes(p) / weights[name] for name, p in families.items() if np.size(p)]
    return min([1.0, *least])


def expected_by_chance(p: ArrayLike, decided: ArrayLike, level: float) -> float:
    """Number of a family's claims that chance alone would decide if none were true.

    The number of claims times the largest p-value that was decided or, if none was, times the
    p-value that would have been needed, `level` / number.
    """
    values, mask = np.asarray(p, dtype=np.float64), np.asarray(decided, dtype=bool)
    largest = float(values[mask].max()) if mask.any() else 0.0
    return float(values.size * max(largest, level / values.size))
