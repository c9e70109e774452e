"""Findings and tubes that a report mentions, by phrases and NegEx: lexical F1.

No learnt labeller is involved and the figure is not comparable with CheXbert's or RadGraph's F1: it
measures whether a generated report affirms what its reference affirms, in the words of
`radscale_lib.languages.phrases`. Negation follows NegEx (Chapman et al. 2001, package negspacy). A
removal denies what it follows, and nothing else.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from radscale_lib.languages.phrases import Phrases, phrases

if TYPE_CHECKING:
    from spacy.tokens import Doc

PRESENT, ABSENT, UNCERTAIN, UNMENTIONED = 1, 0, -1, -2
REMOVAL_REACH = 8
"""Words between what was removed and the word that says so, at most."""
LIST_REACH = 4
"""Words between two of a list that was removed, at most."""


@contextmanager
def _without_torch() -> Iterator[None]:
    """Hide torch from spaCy, which would load it for models that our rules have none of."""
    hidden = "torch" not in sys.modules
    if hidden:
        sys.modules["torch"] = None  # type: ignore[assignment]  # so that its import fails
    try:
        yield
    finally:
        if hidden:
            del sys.modules["torch"]


def phrases_of(
    label: str, added: Mapping[str, Sequence[str]], known: Phrases | None = None
) -> tuple[str, ...]:
    """Phrases of a label: its entry's among the `known` (else its name), and the study's own."""
    name = re.sub(r"[_\-\s]+", " ", label.lower()).strip()
    mentions = (known or phrases("en")).mentions
    entry = mentions.get(name) or next(
        (listed for listed in mentions.values() if name in listed), (name,)
    )
    return tuple(dict.fromkeys([*entry, *added.get(label, ())]))


class MentionReader:
    """Reads from report text what is said of each label."""

    def __init__(
        self, labels: Sequence[str], added: Mapping[str, Sequence[str]], language: str = "en"
    ) -> None:
        """Prepare the matchers.

        Args:
            labels: names, K.
            added: further phrases by label.
            language: code of the reports' language.
        """
        with _without_torch():
            import spacy
        from negspacy import negation  # noqa: F401  (registers the component "negex")
        from negspacy.termsets import termset
        from spacy.matcher import PhraseMatcher

        self.labels = list(labels)
        self._known = known = phrases(language)
        self.nlp = spacy.blank(language)
        self.nlp.add_pipe("sentencizer", config={"punct_chars": [".", "!", "?", ";", "\n"]})
        ruler = self.nlp.add_pipe("span_ruler", config={"spans_key": "mentions"})
        ruler.add_patterns(  # type: ignore[attr-defined]
            [
                {"label": str(index), "pattern": pattern}
                for index, label in enumerate(labels)
                for phrase in phrases_of(label, added, known)
                for pattern in self._patterns(phrase)
            ]
        )
        hedges = {
            "pseudo_negations": [],
            "preceding_negations": list(known.hedges_before),
            "following_negations": list(known.hedges_after),
            "termination": list(known.clause_ends),
        }
        if known.termset is None:
            negations: dict[str, list[str]] = {name: [] for name in hedges}
            negations["termination"] += known.clause_ends
        else:
            listed = termset(known.termset).terms  # type: ignore[no-untyped-call]
            negations = {key: list(terms) for key, terms in listed.items()}
        negations["pseudo_negations"] += known.not_negations
        negations["preceding_negations"] += known.negations_before
        negations["following_negations"] += known.negations_after
        for term in known.dropped:
            negations["preceding_negations"].remove(term)
        self._conjunctions = frozenset(known.conjunctions)
        self._removals = PhraseMatcher(self.nlp.vocab, attr="LOWER")
        for key in ("removals", "not_removals"):
            self._removals.add(key, [self.nlp.make_doc(phrase) for phrase in getattr(known, key)])
        for name, patterns in (("negated", negations), ("hedged", hedges)):
            self.nlp.add_pipe(
                "negex",
                name=name,
                config={
                    "neg_termset": patterns,
                    "extension_name": name,
                    "span_keys": ["mentions"],
                },
            )

    def read(self, texts: Sequence[str]) -> NDArray[np.int8]:
        """What each text says of each label.

        Of several mentions the surest affirmation counts: present, else uncertain, else absent.

        Returns:
            [N, K], `PRESENT`, `ABSENT`, `UNCERTAIN` or `UNMENTIONED`.
        """
        rank = {UNMENTIONED: 0, ABSENT: 1, UNCERTAIN: 2, PRESENT: 3}
        states = np.full((len(texts), len(self.labels)), UNMENTIONED, np.int8)
        for row, document in zip(states, self.nlp.pipe(texts), strict=True):
            removed = self._removed(document)
            for place, span in enumerate(document.spans["mentions"]):
                denied = span._.negated or place in removed
                state = UNCERTAIN if span._.hedged else ABSENT if denied else PRESENT
                label = int(span.label_)
                row[label] = max(row[label], state, key=lambda value: rank[int(value)])
        return states

    def _removed(self, document: Doc) -> set[int]:
        """Places of the mentions that a removal denies: the last before it, and its list."""
        matches = self._removals(document, as_spans=True)
        pending = [span for span in matches if span.label_ == "not_removals"]
        mentions = sorted(
            (
                (span.end, span.start, place)
                for place, span in enumerate(document.spans["mentions"])
            ),
            reverse=True,
        )
        removed: set[int] = set()
        for span in matches:
            if span in pending or any(o.start <= span.start and span.end <= o.end for o in pending):
                continue
            sentence, first, listed = span.sent.start, span.start, False
            for end, start, place in mentions:
                if end > span.start:
                    continue
                if start < sentence:
                    break
                between = {token.lower_ for token in document[end:first]}
                listed = listed or bool(between & self._conjunctions)
                if first == span.start:
                    joined = first - end <= REMOVAL_REACH
                else:
                    joined = end > first or (
                        listed
                        and first - end <= LIST_REACH
                        and bool(between & {",", *self._conjunctions})
                    )
                if not joined:
                    break
                removed.add(place)
                first = min(first, start)
        return removed

    def _patterns(self, phrase: str) -> list[list[dict[str, object]]]:
        """Token patterns of a phrase, in the singular and with a plural s."""
        gap: dict[str, object] = {"LOWER": {"NOT_IN": list(self._known.gap_stops)}, "OP": "{0,4}"}
        patterns = []
        for text in (phrase, f"{phrase}s"):
            parts: list[list[dict[str, object]]] = [
                [{"LOWER": token.lower_} for token in self.nlp.make_doc(part.strip())]
                for part in text.split("…")
            ]
            pattern = parts[0]
            for part in parts[1:]:
                pattern = [*pattern, gap, *part]
            patterns.append(pattern)
        return patterns


COUNTS = ("true_positive", "false_positive", "false_negative")


def claim_counts(
    generated: NDArray[np.int8], reference: NDArray[np.int8], uncertain: str
) -> NDArray[np.int64]:
    """Counts behind F1 of each report and label.

    A label is positive where the text affirms it; denied and unmentioned are both negative. A
    hedged reference follows the study's policy: ignored, positive or negative. A hedged claim of
    the generated report counts as positive unless the policy is 'negative', so that hedging cannot
    hide a claim.

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
