"""The texts with which a zero-shot head compares images."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from radscale_lib.encoders.shared_space import SharedSpace
from radscale_lib.encoders.wording import spelt_out
from radscale_lib.study.heads.zero_shot import Prompts, ZeroShot

NO_TEXT_TOWER = "no text tower"
"""Note on the scores of an encoder without a text tower."""


def prompts_of(section: ZeroShot, label: str) -> tuple[list[str], list[str]]:
    """The texts that say a label is present, and those that say it is absent."""
    words = spelt_out(label)
    said = section.prompts.get(label) or Prompts(present=(words,), absent=(f"no {words}",))
    present, absent = (
        [template.replace("{}", prompt) for template in section.templates for prompt in prompts]
        for prompts in (said.present, said.absent)
    )
    return present, absent


def directions(section: ZeroShot, labels: Sequence[str], space: SharedSpace) -> NDArray[np.float32]:
    """The matrix [P, K] that turns an image's unit vector into log odds.

    The texts of each side are averaged as unit vectors, and the mean is normalised again (arXiv
    2103.00020, section 3.1.4). The odds are those of the softmax over both sides (arXiv
    2210.10163).
    """
    columns = []
    for label in labels:
        sides = [_mean(space.texts(texts)) for texts in prompts_of(section, label)]
        columns.append(space.scale * (sides[0] - sides[1]))
    return np.stack(columns, axis=1).astype(np.float32)


def _mean(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    mean = vectors.mean(axis=0, dtype=np.float64)
    length = float(np.linalg.norm(mean))
    return np.asarray(mean / length if length > 0 else mean)
