"""The texts with which images are paired, and numbers that identify equal texts."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from radscale_lib.digests import text_number
from radscale_lib.encoders.text import TextTokenizer
from radscale_lib.encoders.wording import WORD, normalised, plain, spelt_out, words_of
from radscale_lib.study.archive import Labels
from radscale_lib.study.paradigms.unicl import Unicl

VIEWS = {"PA": "posteroanterior", "AP": "anteroposterior", "LL": "lateral", "RL": "lateral"}

KNOWN_TEXTS = 2**14
"""Maximum number of texts whose token counts are cached."""
WORDS = 2048
"""Number of columns to which words are hashed, to find near-duplicates."""


class Drawn(NamedTuple):
    """The text of a sample.

    Attributes:
        text: the text, as the model reads it.
        number: of the report section or label set from which it is sampled: int64.
        said: number of the text itself: int64, the same for the same words.
        by_labels: whether it is a label text.
        tokens: number of tokens of the full text, start and end included.
        left_out: number of these that were left out.
    """

    text: str
    number: int
    said: int
    by_labels: bool
    tokens: int
    left_out: int


def label_prompt(view: str, present: Sequence[str], absent: Sequence[str] = ()) -> str:
    """Labels as text, such as "x-ray chest anteroposterior cardiomegaly, nasogastric tube".

    Args:
        view: PA, AP, LL, RL or unknown.
        present: names of the labels that are present, in the study's order.
        absent: names of the labels to mention as absent; if both are empty, the text says "no
        finding".
    """
    said = [*map(spelt_out, present), *(f"no {spelt_out(name)}" for name in absent)]
    words = ["x-ray chest", VIEWS.get(view, ""), ", ".join(said) or "no finding"]
    return " ".join(filter(None, words))


def nothing_found(states: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Images with "no finding": bool [N], those of which every label is known to be absent.

    Args:
        states: labels [N, L]: 1, 0, or NaN if unknown.
        others: the same for labels outside the study's [N, M].
    """
    absent: NDArray[np.bool_] = (states == 0).all(axis=1) & (others == 0).all(axis=1)
    return absent


def label_samples(
    recipe: Unicl, states: NDArray[np.float32], others: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Images with a non-empty label text: bool [N]; arguments as for `nothing_found`."""
    said: NDArray[np.bool_] = (states == 1).any(axis=1) | nothing_found(states, others)
    if recipe.state_negatives:
        said |= (states == 0).any(axis=1)
    return said


class Pairing:
    """Draws the text of an image."""

    def __init__(
        self,
        labels: Labels,
        supervision: Sequence[str],
        recipe: Unicl,
        states: NDArray[np.float32],
        others: NDArray[np.float32],
    ) -> None:
        """Pair by `supervision`; arrays have a row per image of the run.

        Args:
            labels: the study's label names.
            supervision: `reports`, `labels` or both.
            recipe: shares of the kinds of text, and the content of label texts.
            states: labels [N, L]: 1, 0, or NaN if unknown.
            others: the same for labels outside the study's [N, M].
        """
        self._names = [*labels.findings, *labels.tubes]
        self._supervision = supervision
        self._recipe = recipe
        self._states = np.nan_to_num(states, nan=-1).astype(np.int8)
        self._says = label_samples(recipe, states, others)
        self._nothing = nothing_found(states, others)
        self._known: dict[str, int] = {}

    def draw(
        self, rng: np.random.Generator, index: int, row: dict[str, Any], tokenizer: TextTokenizer
    ) -> Drawn:
        """Text of the image at `index`, whose table row is `row`.

        From a section longer than the tokenizer's context, whole sentences are drawn until no other
        fits, and kept in order; absent labels are left out of a label text in the same way.
        """
        sections = [row[name] for name in ("findings", "impression") if row[name]]
        reports = "reports" in self._supervision and bool(sections)
        labels = "labels" in self._supervision and bool(self._says[index])
        share, section = rng.random(2)
        if labels and (not reports or share < self._recipe.label_share):
            number = signed_number(f"labels {self.states(index).tolist()}")
            base, negatives = self._parts(index, row["view"])
            full = ", ".join([base, *negatives])
            parts = [base, *negatives]
            tokens = self._tokens(full, tokenizer)
            text, left = fitted(rng, full, tokens, parts, ", ", tokenizer, first=True)
            return Drawn(text, number, report_number(text), True, tokens, left)
        full = sections[int(section * len(sections))]
        tokens, number = self._tokens(full, tokenizer), report_number(full)
        text, left = fitted(rng, full, tokens, sentences(full), " ", tokenizer)
        said = number if text == full else report_number(text)
        return Drawn(text, number, said, False, tokens, left)

    def _tokens(self, text: str, tokenizer: TextTokenizer) -> int:
        """Number of tokens of a text, cached for a limited number of texts."""
        if text not in self._known:
            if len(self._known) >= KNOWN_TEXTS:
                self._known.clear()
            (self._known[text],) = tokenizer.lengths([text])
        return self._known[text]

    def states(self, index: int) -> NDArray[np.int8]:
        """Labels of the image at `index`: int8 [L], 1, 0, or -1 if unknown."""
        states: NDArray[np.int8] = self._states[index]
        return states

    def prompt(self, index: int, view: str) -> str:
        """The full label text of the image at `index`; empty if there is nothing to say."""
        if not self._says[index]:
            return ""
        base, negatives = self._parts(index, view)
        return ", ".join([base, *negatives])

    def _parts(self, index: int, view: str) -> tuple[str, list[str]]:
        """Parts of a label text: what is always said, then absent labels that may be left out."""
        states = self._states[index]
        present, absent = (
            [name for name, state in zip(self._names, states, strict=True) if state == wanted]
            for wanted in (1, 0)
        )
        if self._nothing[index] or not self._recipe.state_negatives:
            absent = []
        first = absent[:1] if not present else []
        rest = absent[len(first) :]
        return label_prompt(view, present, first), [f"no {spelt_out(name)}" for name in rest]


_SENTENCE = re.compile(r"(?<=[.!?;])(?<!\d\.)\s+|(?<=[\u3002\uff01\uff1f\uff1b])|\n+")


def sentences(text: str) -> list[str]:
    """The sentences of a report, without what lies between them."""
    return [part for part in (piece.strip() for piece in _SENTENCE.split(text)) if part]


def fitted(
    rng: np.random.Generator,
    text: str,
    tokens: int,
    parts: Sequence[str],
    between: str,
    tokenizer: TextTokenizer,
    first: bool = False,
) -> tuple[str, int]:
    """A text if it fits the tokenizer's context, else a random selection of parts that fits.

    Args:
        rng: draws the parts.
        text: the whole text.
        tokens: number of tokens of the whole text.
        parts: the parts of the text.
        between: the separator of parts.
        tokenizer: counts tokens.
        first: whether the first part is always kept.

    Returns:
        The text, and the number of tokens left out. If not even one part fits, the text is one
        part, which the tokenizer will truncate.
    """
    if tokens <= tokenizer.context:
        return text, 0
    ends = tokenizer.lengths([""])[0]
    ahead = ["" if first else between, *[between] * (len(parts) - 1)]
    sizes = tokenizer.lengths([a + part for a, part in zip(ahead, parts, strict=True)])
    room, chosen = tokenizer.context - ends, list[int]()
    order = rng.permutation(len(parts)).tolist()
    if first:
        order = [0, *(place for place in order if place)]
    for place in order:
        size = sizes[place] - ends
        if size <= room or (first and not place):
            chosen.append(place)
            room -= size
    chosen = sorted(chosen) or order[:1]
    text = between.join(parts[place] for place in chosen)
    (kept,) = tokenizer.lengths([text])
    return text, tokens - min(kept, tokenizer.context)


def report_number(text: str) -> int:
    """The number of a report text, the same for the same words in the same order."""
    return signed_number(f"report {normalised(text)}")


def signed_number(text: str) -> int:
    """The number of a text (`text_number`) as int64."""
    return text_number(text) - 2**63


def word_columns(text: str) -> NDArray[np.uint8]:
    """The words of a text: uint8 [WORDS], with 1 in the column of each word."""
    columns = np.zeros(WORDS, np.uint8)
    columns[[text_number(word) % WORDS for word in set(words_of(text))]] = 1
    return columns


def shared_words(
    texts: Sequence[str], patients: NDArray[np.int64], smallest_cell: int
) -> list[str]:
    """Texts without the words that occur in the texts of fewer than `smallest_cell` patients.

    A vocabulary reveals the words from which it was learnt, and a rare word may be a name.

    Args:
        texts: N texts.
        patients: number of each text's patient [N].
        smallest_cell: number of patients; 1 leaves the texts as they are.
    """
    if smallest_cell <= 1:
        return list(texts)
    counts: Counter[str] = Counter()
    order = np.argsort(patients, kind="stable")
    for _, of_patient in groupby(order, key=lambda place: int(patients[place])):
        counts.update({word for place in of_patient for word in words_of(texts[place])})
    return [
        WORD.sub(lambda match: match[0] if counts[plain(match[0])] >= smallest_cell else " ", text)
        for text in texts
    ]
