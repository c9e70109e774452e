"""Find phrases among a sentence's words."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from radscale_lib.labels.sentences import OPENED, QUESTION, Word, words

GAP = "…"
"""Stands in a phrase for up to `GAP_WORDS` words."""
GAP_WORDS = 4
_SHORTEST_HEAD = 5
"""Minimum length of a word with which a compound can end."""


class Found(NamedTuple):
    """A phrase found in a sentence: its meaning, and its words from `first` to before `last`."""

    meaning: int
    first: int
    last: int


class Matcher:
    """Finds phrases, each of which represents a number."""

    def __init__(
        self,
        phrases: Iterable[tuple[str, int]],
        endings: Sequence[str] = (),
        stops: Iterable[str] = (),
        compounds: bool = False,
        umlauts: bool = False,
    ) -> None:
        """Index phrases by their first word.

        Args:
            phrases: phrases with their meanings; `GAP` stands for up to four words.
            endings: optional endings of a phrase's last word.
            stops: folded words that a gap does not span.
            compounds: whether a word that ends with a one-word phrase counts as that phrase.
            umlauts: whether ä, ö and ü may be written ae, oe and ue.
        """
        self._stops = {*stops, ",", ":", "(", ")", QUESTION, OPENED}
        self._first: dict[str, list[tuple[tuple[tuple[str, ...], ...], int]]] = {}
        self._heads: dict[str, list[int]] = {}
        self._compounds = compounds
        self._compound_of: dict[str, list[int]] = {}
        seen = set()
        for phrase, meaning in phrases:
            for spelling in _spellings(phrase, umlauts):
                parts = tuple(
                    tuple(word.text for word in words(part)) for part in spelling.split(GAP)
                )
                if not all(parts):
                    raise ValueError(f"{phrase!r} is not a phrase: it has no word")
                for ending in ("", *endings):
                    last = (*parts[-1][:-1], parts[-1][-1] + ending)
                    varied = (*parts[:-1], last)
                    if (varied, meaning) in seen:
                        continue
                    seen.add((varied, meaning))
                    self._first.setdefault(varied[0][0], []).append((varied, meaning))
                    one_word = len(varied) == 1 and len(last) == 1
                    if compounds and one_word and len(last[0]) >= _SHORTEST_HEAD:
                        self._heads.setdefault(last[0], []).append(meaning)

    def find(self, sentence: Sequence[Word]) -> list[Found]:
        """All phrases in a sentence, including overlapping ones, in order of their first word."""
        found = []
        for place, word in enumerate(sentence):
            listed = self._first.get(word.text)
            if listed is not None:
                for parts, meaning in listed:
                    last = self._match(sentence, place, parts)
                    if last:
                        found.append(Found(meaning, place, last))
            elif self._compounds and len(word.text) > _SHORTEST_HEAD + 2:
                found += [
                    Found(meaning, place, place + 1) for meaning in self._as_compound(word.text)
                ]
        return found

    def _match(
        self, sentence: Sequence[Word], place: int, parts: tuple[tuple[str, ...], ...]
    ) -> int:
        """End of a phrase that begins at a position; 0 if it is not there."""
        last = _run(sentence, place, parts[0])
        for part in parts[1:]:
            if not last:
                return 0
            begin, last = last, 0
            for start in range(begin, min(begin + GAP_WORDS, len(sentence) - 1) + 1):
                last = _run(sentence, start, part)
                if last or start == len(sentence) or sentence[start].text in self._stops:
                    break
        return last

    def _as_compound(self, word: str) -> list[int]:
        known = self._compound_of.get(word)
        if known is None:
            ends = (word[start:] for start in range(2, len(word) - _SHORTEST_HEAD + 1))
            known = next((self._heads[end] for end in ends if end in self._heads), [])
            self._compound_of[word] = known
        return known


def longest(found: Iterable[Found]) -> Iterator[list[Found]]:
    """Select from ordered phrases those that begin first and are longest there.

    Yields:
        All meanings of one phrase; yielded phrases do not overlap.
    """
    end, same = 0, list[Found]()
    for each in sorted(found, key=lambda each: (each.first, -each.last)):
        if same and (each.first, each.last) == (same[0].first, same[0].last):
            same.append(each)
        elif each.first >= end:
            if same:
                yield same
            same, end = [each], each.last
    if same:
        yield same


def _run(sentence: Sequence[Word], place: int, part: tuple[str, ...]) -> int:
    end = place + len(part)
    if end > len(sentence):
        return 0
    for offset, text in enumerate(part):
        if sentence[place + offset].text != text:
            return 0
    return end


def _spellings(phrase: str, umlauts: bool) -> list[str]:
    if not umlauts:
        return [phrase]
    spelt = phrase.replace("ä", "ae").replace("ö", "oe").replace("ü", "ue")
    return list(dict.fromkeys([phrase, spelt]))
