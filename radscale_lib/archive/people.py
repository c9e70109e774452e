"""Find person names by the words around them: titles, cues, labels, roles, degrees."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from radscale_lib.archive.letters import LOWER, UPPER
from radscale_lib.archive.phrases import all_words, choice, first_words, last_words
from radscale_lib.languages import Language, eponyms

_NAME = re.compile(rf"(?<![\w’'-])[{UPPER}](?:[\w’'-]*\w\.?|\.)?")
_LOWER_WORD = re.compile(rf"[ \t]*([{LOWER}][{LOWER}’'-]*)(?!\w)")
_BLANKS = re.compile(r"[ \t]*")
_GAP = re.compile(r"[ \t]*,?[ \t]+|,?[ \t]*\n[ \t]*")
_SURNAME = re.compile(rf"(?<![\w’'-])([{UPPER}][\w’'-]+),[ \t]?$")
_LAST_NAME = re.compile(rf"(?<![\w’'-])([{UPPER}][\w’'-]+),?[ \t]+$")
_MOST_PARTS = 4
"""Parts of a name, beside particles."""
_MOST_BETWEEN = 4
"""Words between a cue and the name."""
_NOTHING = "(?!)"


class _Lead(NamedTuple):
    """Words that a name follows."""

    pattern: re.Pattern[str]
    words: frozenset[str]
    is_title: bool = False
    is_cased: bool = False
    """Whether case matters; otherwise it is searched for in lower case."""


class People:
    """The rules of one language."""

    def __init__(self, words: Language) -> None:
        """Compile the rules."""
        names = words.names
        self._words = words
        titles = [*names["titles"], *map(str.upper, names["titles"])]
        further = choice(names["suffixes"]) or _NOTHING
        title = rf"(?:{choice(titles)})(?!\w)\.?(?:[ \t]*(?:{further})(?!\w)\.?)*"
        self._title = re.compile(rf"\b{title}[ \t]*(?:\n[ \t]*)?")
        roles = [*names["roles"], *map(str.upper, names["roles"])]
        self._leads = [
            _Lead(self._title, first_words(titles), is_title=True, is_cased=True),
            _Lead(
                re.compile(rf"(?<!\w)(?:{choice(names['cues'])})(?!\w)[ \t]*[:-]?[ \t\n]*"),
                first_words(names["cues"]),
            ),
            _Lead(
                re.compile(rf"(?<!\w)(?:{choice(names['labels'])})[ \t]*:[ \t\n]*"),
                first_words(names["labels"]),
            ),
            _Lead(
                re.compile(rf"\b(?:{choice(roles) or _NOTHING})[ \t]+"),
                first_words(roles),
                is_cased=True,
            ),
        ]
        lower_titles = choice(names["lower_titles"])
        self._lower_title = re.compile(
            rf"(?<!\w)(?:{lower_titles})\.?[ \t]+(?P<name>[{LOWER}][{LOWER}’'-]+)"
        )
        self._lower_titles = first_words(names["lower_titles"])
        self._given = frozenset(names["given"])
        self._particles = frozenset(names["particles"])
        self._skipped = frozenset(names["articles"]) | all_words(names["roles"])
        self._no_names = words.terms | words.stopwords | words.starters
        self._noun = re.compile(words.nouns or _NOTHING)
        self._own_words = (words.terms - eponyms()) | words.stopwords | words.starters
        self._surnames = frozenset(names.get("surnames", ()))
        self._careful = frozenset(names.get("careful_surnames", ())) | eponyms()
        endings = choice(names.get("surname_endings", ())) or _NOTHING
        self._surname_ending = re.compile(rf"\w(?:{endings})$")
        letters = re.escape("".join(names.get("foreign_letters", ())))
        self._foreign = re.compile(f"[{letters}]" if letters else _NOTHING)
        prepositions = names.get("prepositions", ())
        self._preposition = re.compile(rf"(?<!\w)(?:{choice(prepositions) or _NOTHING})[ \t]+")
        self._prepositions = first_words(prepositions)
        part = rf"(?:[{UPPER}][\w’'-]+|[{UPPER}]\b\.?|(?:{choice(names['particles'])})\b)"
        self._degree = re.compile(
            rf"\b(?P<first>{part})(?:,?[ \t]+{part}){{0,3}},?[ \t]+"
            rf"(?:{choice(names['degrees'])})(?!\w)"
        )
        self._degrees = last_words(names["degrees"])
        self._follower = re.compile(rf"(?:{choice(names['followers']) or _NOTHING})(?!\w)")
        self._followers = first_words(names["followers"])

    def spans(self, text: str, folded: str, words: frozenset[str]) -> Iterator[tuple[int, int]]:
        """Where names are.

        Args:
            text: a report.
            folded: in lower case.
            words: the report's words, in lower case.
        """
        for lead in self._leads:
            if not lead.words.isdisjoint(words):
                for match in lead.pattern.finditer(text if lead.is_cased else folded):
                    found = self._after(text, lead, match)
                    if found is not None:
                        yield found
        if not self._prepositions.isdisjoint(words):
            yield from self._after_prepositions(text, folded)
        if not self._lower_titles.isdisjoint(words):
            yield from self._in_lower_case(text)
        if not self._degrees.isdisjoint(words):
            for match in self._degree.finditer(text):
                if match["first"].lower() not in self._no_names:
                    yield match.span()
        if not self._followers.isdisjoint(words):
            yield from self._before_followers(text)
        if not self._given.isdisjoint(words) or self._foreign.search(folded):
            yield from self._by_themselves(text)

    def _after(self, text: str, lead: _Lead, match: re.Match[str]) -> tuple[int, int] | None:
        """The name after a lead."""
        token = _NAME.match(text, match.end()) if lead.is_title else self._next(text, match.end())
        if token is None:
            return None
        word = token[0].rstrip(".").lower()
        if lead.is_title and word in self._skipped:
            token = self._next(text, token.end())
            if token is None or self._is_no_name(token[0].rstrip(".").lower()):
                return None
        elif lead.is_title:
            stated = text[match.start() : match.end()].rstrip()
            # capitals can mean something else, as DR for digital radiography
            if stated.isupper() and not stated.endswith(".") and self._is_no_name(word):
                return None
            if word in self._words.stopwords and not token[0].isupper():
                return None
        elif self._is_no_name(word):
            return None
        return token.start(), self._end(text, token)

    def _next(self, text: str, start: int) -> re.Match[str] | None:
        """The first capitalised word that is not a role or title, after a few words at most."""
        for _ in range(_MOST_BETWEEN + 1):
            token = _NAME.match(text, start)
            if token is None:
                word = _LOWER_WORD.match(text, start)
                if word is None:
                    return None
                start = word.end()
            elif title := self._title.match(text, start):
                start = title.end()
            elif token[0].lower() in self._skipped:
                start = token.end()
            else:
                return token
            blanks = _BLANKS.match(text, start)
            start = blanks.end() if blanks else start
        return None

    def _end(self, text: str, token: re.Match[str]) -> int:
        """The end of a name that begins with a token, without a sentence's full stop."""
        for _ in range(_MOST_PARTS - 1):
            if _ends_sentence(token[0]):
                break
            follower = self._next_part(text, token.end(), is_surname=self._is_given(token[0]))
            if follower is None:
                break
            token = follower
        return token.end() - _ends_sentence(token[0])

    def _next_part(
        self, text: str, position: int, *, is_surname: bool = False
    ) -> re.Match[str] | None:
        """The next part of a name, past particles; a surname may look like an eponym or noun."""
        for _ in range(3):
            gap = _GAP.match(text, position)
            if gap is None:
                return None
            token = _NAME.match(text, gap.end())
            if token is None:
                small = _LOWER_WORD.match(text, gap.end())
                if small is None or small[1] not in self._particles:
                    return None
                position = small.end()
                continue
            word = token[0].rstrip(".").lower()
            if token[0].isupper() and word in self._particles:
                position = token.end()
                continue
            is_heading = text[token.end() : token.end() + 2].lstrip(" ").startswith((":", "："))
            is_no_name = word in self._own_words if is_surname else self._is_no_name(word)
            if (is_heading and not is_surname) or (len(word) > 1 and is_no_name):
                return None
            return token
        return None

    def _before_followers(self, text: str) -> Iterator[tuple[int, int]]:
        """Names before words such as "was informed"."""
        for match in self._follower.finditer(text):
            start = end = position = match.start()
            while token := _LAST_NAME.search(text, max(0, position - 40), position):
                word = token[1].lower()
                if self._is_no_name(word) or word in self._skipped:
                    break
                end = token.end(1) if start == match.start() else end
                start = position = token.start(1)
            if start < match.start():
                yield start, end

    def _after_prepositions(self, text: str, folded: str) -> Iterator[tuple[int, int]]:
        """Surnames that are not words, after a preposition."""
        for match in self._preposition.finditer(folded):
            token = _NAME.match(text, match.end())
            word = token[0].rstrip(".").lower() if token else ""
            if token and word not in self._careful and self._is_surname(word):
                yield token.start(), token.end() - _ends_sentence(token[0])

    def _in_lower_case(self, text: str) -> Iterator[tuple[int, int]]:
        for match in self._lower_title.finditer(text):
            if match["name"] not in self._no_names:
                end = match.end()
                second = _LOWER_WORD.match(text, end)
                if match["name"] in self._given and second and second[1] not in self._no_names:
                    end = second.end()
                yield match.start("name"), end

    def _by_themselves(self, text: str) -> Iterator[tuple[int, int]]:
        """Names that begin with a common given name, or have letters foreign to the language."""
        for token in _NAME.finditer(text):
            if self._is_given(token[0]) or self._is_foreign(token[0].lower()):
                start = token.start()
                before = _SURNAME.search(text, max(0, start - 40), start)
                if before and not self._is_no_name(before[1].lower()):
                    start = before.start(1)
                yield start, self._end(text, token)

    def _is_given(self, word: str) -> bool:
        parts = word.rstrip(".").lower().split("-")
        return parts[0] in self._given and self._no_names.isdisjoint(parts)

    def _is_surname(self, word: str) -> bool:
        if word in self._own_words:
            return False
        if word in self._surnames or self._surname_ending.search(word) is not None:
            return True
        return self._is_foreign(word)

    def _is_foreign(self, word: str) -> bool:
        return self._foreign.search(word) is not None and word not in self._no_names

    def _is_no_name(self, word: str) -> bool:
        if word in self._skipped:
            return True
        if self._is_surname(word):
            return False
        if word in self._no_names or word.removesuffix("s") in self._words.terms:
            return True
        return self._noun.search(word) is not None


def _ends_sentence(part: str) -> bool:
    """Whether the full stop after a part of a name ends the sentence (is not an initial's)."""
    return part.endswith(".") and len(part) > 2
