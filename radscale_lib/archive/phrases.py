"""Phrases as patterns, and the words that a text must have to contain any of them."""

import re
from collections.abc import Iterable

WORD = re.compile(r"\w+")


def choice(phrases: Iterable[str]) -> str:
    """A pattern that matches any of the phrases, longest first, with any blanks between words."""
    ordered = sorted(set(phrases), key=lambda phrase: (-len(phrase), phrase))
    return "|".join(r"\s+".join(map(re.escape, phrase.split())) for phrase in ordered)


def first_words(phrases: Iterable[str]) -> frozenset[str]:
    """The first word of each phrase, in lower case: a text without any of them has no phrase."""
    return frozenset(found[0] for found in map(WORD.findall, map(str.lower, phrases)) if found)


def last_words(phrases: Iterable[str]) -> frozenset[str]:
    """The last word of each phrase, in lower case."""
    return frozenset(found[-1] for found in map(WORD.findall, map(str.lower, phrases)) if found)


def all_words(phrases: Iterable[str]) -> frozenset[str]:
    """Every word of the phrases, in lower case."""
    return frozenset(word for phrase in phrases for word in WORD.findall(phrase.lower()))
