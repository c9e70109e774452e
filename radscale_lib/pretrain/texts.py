"""Texts that images are paired with, and the ids that say which texts are the same class."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from radscale_lib.study.archive import Labels

VIEWS = {"PA": "posteroanterior", "AP": "anteroposterior", "LL": "lateral", "RL": "lateral"}
ABBREVIATIONS = {
    "ett": "endotracheal tube",
    "ngt": "nasogastric tube",
    "cvc": "central venous catheter",
    "picc": "peripherally inserted central catheter",
}


def label_prompt(view: str, present: Sequence[str]) -> str:
    """A label set as text, such as "x-ray chest anteroposterior cardiomegaly, nasogastric tube".

    Args:
        view: PA, AP, LL, RL or unknown.
        present: names of the labels that are present, in the study's order.
    """
    words = ["x-ray chest", VIEWS.get(view, ""), ", ".join(map(_spelt_out, present))]
    if not present:
        words[-1] = "no finding"
    return " ".join(filter(None, words))


def _spelt_out(name: str) -> str:
    words = re.split(r"[\s_-]+", name.strip().lower())
    return " ".join(ABBREVIATIONS.get(word, word) for word in words)


def present_labels(values: NDArray[np.float64], labels: Labels) -> NDArray[np.bool_]:
    """Labels that count as present: bool [N, L].

    Args:
        values: [N, L]; 1, 0, -1 (uncertain) or NaN (blank).
        labels: the study's labels, whose policy decides on -1; a blank is never present.
    """
    present: NDArray[np.bool_] = values == 1
    if labels.uncertain == "positive":
        present |= values == -1
    return present


class Pairing:
    """Draws the text and the class id of an image.

    A report text's id is that of its study: other images of the study carry the same report, so
    they are no negatives of it. A label text's id is its label set, whatever the view.
    """

    def __init__(
        self,
        labels: Labels,
        supervision: Sequence[str],
        label_share: float,
        study: NDArray[np.int64],
        present: NDArray[np.bool_],
    ) -> None:
        """Pair by `supervision`; arrays have a row per image of the run.

        Args:
            labels: the study's label names.
            supervision: `reports`, `labels` or both.
            label_share: probability of the label text where an image has both.
            study: number of the image's study, int64 [N].
            present: labels present, bool [N, L].
        """
        self._names = [*labels.findings, *labels.tubes]
        self._supervision = supervision
        self._label_share = label_share
        self._study = study
        self._present = present
        _, sets = np.unique(present, axis=0, return_inverse=True)
        self._label_set = study.max(initial=-1) + 1 + sets.reshape(-1)

    def draw(self, rng: np.random.Generator, index: int, row: dict[str, Any]) -> tuple[str, int]:
        """Text and class id of the image at `index`, whose table row is `row`."""
        sections = [row[name] for name in ("findings", "impression") if row[name]]
        reports = "reports" in self._supervision and bool(sections)
        labels = "labels" in self._supervision and row["labelled"]
        share, section = rng.random(2)
        if labels and (not reports or share < self._label_share):
            return self.prompt(index, row["view"]), int(self._label_set[index])
        return sections[int(section * len(sections))], int(self._study[index])

    def prompt(self, index: int, view: str) -> str:
        """Label text of the image at `index`."""
        present = [
            name for name, here in zip(self._names, self._present[index], strict=True) if here
        ]
        return label_prompt(view, present)


def shared_words(
    texts: Sequence[str], patients: NDArray[np.int64], smallest_cell: int
) -> list[str]:
    """Texts without words that the texts of fewer patients than `smallest_cell` have.

    What a vocabulary is learnt from can be read from it; a rare word may be a name.

    Args:
        texts: N texts.
        patients: number of each text's patient [N].
        smallest_cell: patients; 1 leaves the texts as they are.
    """
    if smallest_cell <= 1:
        return list(texts)
    counts: Counter[str] = Counter()
    order = np.argsort(patients, kind="stable")
    for _, of_patient in groupby(order, key=lambda place: int(patients[place])):
        counts.update({word for place in of_patient for word in _words(texts[place])})
    return [
        _WORD.sub(
            lambda match: match[0] if counts[_plain(match[0])] >= smallest_cell else " ", text
        )
        for text in texts
    ]


_WORD = re.compile(r"\w+")


def _words(text: str) -> list[str]:
    return [_plain(word) for word in _WORD.findall(text)]


def _plain(word: str) -> str:
    """A word as the tokenizer reads it."""
    return unicodedata.normalize("NFKC", word).lower()
