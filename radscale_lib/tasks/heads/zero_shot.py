"""Zero-shot head: similarity of an image to texts that say a label is present or absent."""

import numpy as np
from numpy.typing import NDArray

from radscale_lib.encoders.shared_space import load_shared_space
from radscale_lib.study.heads.zero_shot import ZeroShot
from radscale_lib.tasks.heads.cases import Answer, Cases, Films
from radscale_lib.tasks.heads.prompts import NO_TEXT_TOWER, directions


def predict(section: ZeroShot, cases: Cases) -> Answer:
    """Compare the global embeddings with the prompts; nothing is trained or chosen.

    Args:
        section: the head's settings.
        cases: images and labels.
    """
    space = load_shared_space(cases.inputs.encoder, cases.study.compute.device)
    if space is None:
        return Answer(None, NO_TEXT_TOWER)
    towards = directions(section, cases.labels, space)

    def logits(films: Films, rows: NDArray[np.intp] | slice) -> NDArray[np.float32]:
        return (space.images(films.vectors["global"][rows]) @ towards).astype(np.float32)

    elsewhere = {name: logits(films, slice(None)) for name, films in cases.elsewhere.items()}
    return Answer(logits(cases, cases.asked), "", elsewhere)
