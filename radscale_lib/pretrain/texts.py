"""Texts that images are paired with, and the numbers that say which texts are the same."""

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
"""Texts whose tokens are counted once, at most."""
WORDS = 2048
"""Columns to which the words of a text are hashed, for near-duplicates."""


class Drawn(NamedTuple):
    """The text of a sample.

    Attributes:
        text: as the model reads it.
        number: of the section of the report, or of the label set, that it is of: int64.
        said: of the text itself: int64, the same for the same words.
        by_labels: whether it is a label text.
        tokens: of all that could be said, start and end included.
        left_out: tokens of it that are not in the text.
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
        absent: names of those that are said to be absent; with neither, the text says "no finding".
    """
    said = [*map(spelt_out, present), *(f"no {spelt_out(name)}" for name in absent)]
    words = ["x-ray chest", VIEWS.get(view, ""), ", ".join(said) or "no finding"]
    return " ".join(filter(None, words))


def nothing_found(states: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Images that "no finding" is true of: bool [N], where every label is known to be absent.

    Args:
        states: labels [N, L]: 1, 0, or NaN where nothing is known.
        others: the same of labels outside of the study's [N, M].
    """
    absent: NDArray[np.bool_] = (states == 0).all(axis=1) & (others == 0).all(axis=1)
    return absent


def label_samples(
    recipe: Unicl, states: NDArray[np.float32], others: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Images of which a label text says something: bool [N]; arguments as of `nothing_found`."""
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
            recipe: shares and what label texts say.
            states: labels [N, L]: 1, 0, or NaN where nothing is known.
            others: the same of labels outside of the study's [N, M].
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

        A section that is longer than the tokenizer's context gives whole sentences in their order,
        drawn until no other fits; a label text leaves out absent labels so.
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
        """Tokens of a text, counted once for as long as few texts are known."""
        if text not in self._known:
            if len(self._known) >= KNOWN_TEXTS:
                self._known.clear()
            (self._known[text],) = tokenizer.lengths([text])
        return self._known[text]

    def states(self, index: int) -> NDArray[np.int8]:
        """Labels of the image at `index`: int8 [L]: 1, 0, or -1 where nothing is known."""
        states: NDArray[np.int8] = self._states[index]
        return states

    def prompt(self, index: int, view: str) -> str:
        """All that the labels of the image at `index` say; empty if that is nothing."""
        if not self._says[index]:
            return ""
        base, negatives = self._parts(index, view)
        return ", ".join([base, *negatives])

    def _parts(self, index: int, view: str) -> tuple[str, list[str]]:
        """Of a label text what is always said, and the absent labels that may be left out."""
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
    """A text if it fits the tokenizer's context, else some of its parts that do.

    Args:
        rng: draws the parts.
        text: the whole.
        tokens: of the whole.
        parts: what it consists of.
        between: what joins parts.
        tokenizer: counts.
        first: whether the first part is kept whatever is drawn.

    Returns:
        The text, and tokens left out. Where not even one part fits, it is one part, whose end the
        tokenizer cuts.
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
    """The number of a report text, the same for texts of the same words in the same order."""
    return signed_number(f"report {normalised(text)}")


def signed_number(text: str) -> int:
    """The number of a text (`text_number`) as int64."""
    return text_number(text) - 2**63


def word_columns(text: str) -> NDArray[np.uint8]:
    """Which words a text has: uint8 [WORDS], 1 in the column of each."""
    columns = np.zeros(WORDS, np.uint8)
    columns[[text_number(word) % WORDS for word in set(words_of(text))]] = 1
    return columns


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
        counts.update({word for place in of_patient for word in words_of(texts[place])})
    return [
        WORD.sub(lambda match: match[0] if counts[plain(match[0])] >= smallest_cell else " ", text)
        for text in texts
    ]
