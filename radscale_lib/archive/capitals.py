"""Find person names in report texts by capitalisation alone.

English, French, Spanish and Portuguese write names, and little else within a sentence, with a
capital. Other capitalised words of radiology (eponyms, devices and their makers, words of headings)
are listed in the language's data file. German capitalises every noun, so capitals do not help
there.
"""

import re
from collections.abc import Iterator

from radscale_lib.archive.letters import LOWER, UPPER
from radscale_lib.archive.phrases import all_words
from radscale_lib.languages import Language

_WORD = re.compile(
    rf"(?<![\w’'-])(?:[{UPPER}]['’])?(?:Mc|Mac|De|Di|La|Le|Van|Von)?[{UPPER}][{LOWER}]+"
    rf"(?:-[{UPPER}][{LOWER}]+)*(?![\w-])"
)
_SURNAME_FIRST = re.compile(rf"(?<![\w’'-])[{UPPER}][{UPPER}’'-]+(?=,[ \t]?$)")
_BEFORE_START = re.compile(rf"(?:^|(?<!\b[{UPPER}])\.|[!?:;•*\n\r]|\n\s*-|\d[.)])[\s\"“«(\[¿¡>-]*$")


class CapitalNames:
    """The names of one language's texts."""

    def __init__(self, words: Language) -> None:
        """Take the words that are not names, and the particles within names."""
        told = (words.names["titles"], words.numbers["phones"], words.numbers["records"])
        self._terms = words.terms.union(*map(all_words, told))
        self._starters = words.starters
        particles = "|".join(map(re.escape, words.names["particles"]))
        self._next = re.compile(rf",?[ \t]+(?:[{UPPER}]\.?[ \t]+)?(?:(?:{particles})[ \t]+){{0,2}}")

    def spans(self, text: str) -> Iterator[tuple[int, int]]:
        """Start and end of the words that are names by their capitals, from the left.

        A word within a sentence is a name if it is capitalised and not a term of the language. The
        first word of a sentence, or a word in capitals before a comma, is one if a name follows. A
        possessive s is kept.
        """
        words = [match.span() for match in _WORD.finditer(text)]
        named = set()
        follower: tuple[int, int] | None = None
        for start, end in reversed(words):
            is_name = not self._is_known(text[start:end])
            if _BEFORE_START.search(text, max(0, start - 40), start):
                followed = follower is not None and self._next.fullmatch(text, end, follower[0])
                is_name = is_name and bool(followed or text[end : end + 2] in ("'s", "’s"))
            if is_name:
                named.add((start, end))
                follower = start, end
                before = _SURNAME_FIRST.search(text, max(0, start - 40), start)
                if before:
                    named.add(before.span())
            else:
                follower = None
        yield from sorted(named)

    def _is_known(self, word: str) -> bool:
        lowered = word.lower().replace("’", "'")
        plain = lowered if lowered in self._terms else lowered.removesuffix("s")
        if plain in self._terms or plain in self._starters or lowered in self._starters:
            return True
        return "-" in plain and all(part in self._terms for part in plain.split("-"))
