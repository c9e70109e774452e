"""Find person names in Chinese texts by surnames and the words around names.

Chinese has neither word boundaries nor capitals. A name is one of some 400 surnames and one or two
characters. It counts if a title follows it, if a role, label or cue precedes it and its end is
clear, or if it stands alone between punctuation marks and is not a word.
"""

import re
from collections.abc import Iterator

from radscale_lib.archive.phrases import choice
from radscale_lib.languages import Language

_HAN = "\u3400-\u9fff"
_END = rf"(?![{_HAN}])"
_BLANK = r"[ \t\u3000]*"
_LINK = r"(?:[、，,/／;；和与與及 \t\u3000]|以及){1,4}"


class HanPeople:
    """The rules of one language."""

    def __init__(self, words: Language) -> None:
        """Compile the rules."""
        names = words.names
        singles = "".join(name for name in names["surnames"] if len(name) == 1)
        doubles = choice(name for name in names["surnames"] if len(name) == 2)
        self._words = frozenset(names["words"])
        self._openings = re.compile(choice(names["openings"]))
        titles, roles = choice(names["titles"]), choice(names["roles"])
        soft = choice([*names["followers"], *names["titles"], *names["links"]])
        surname = rf"(?:{doubles}|[{singles}])"
        careful = "".join(names["careful_surnames"])
        plain = rf"(?:{doubles}|(?![{careful}])[{singles}])"
        before, prepositions = "".join(names["no_name_after"]), "".join(names["prepositions"])
        before_title = rf"(?<![{before}])(?:{doubles}|(?![{prepositions}])[{singles}])"

        given = rf"(?:(?!{titles})[{_HAN}])"

        def name(surname: str) -> str:
            """A name with a clear end: no letter follows, or a word that follows names."""
            return rf"{surname}(?:{given}{{1,2}}{_END}|{given}{{1,2}}?(?={soft}))"

        further = rf"(?:{_LINK}(?:{roles})?{name(surname)})*"
        label = rf"(?:{choice(names['labels'])})[^\w\s:：]?(?:签名|签字|簽名|签章)?[^\w\s:：]?"
        cues = choice(names["cues"])
        followers = choice(names["followers"])
        open_end = rf"(?P<lead>(?:{roles}))(?P<name>{plain}{given}{{1,2}})"
        rules = [
            # after a label any letters are a name
            rf"(?P<lead>{label}{_BLANK}[:：】\]]{_BLANK})(?P<name>[{_HAN}]{{2,4}}){_END}{further}",
            rf"(?P<lead>)(?P<name>{before_title}|{surname}{given}{{1,2}})(?={titles})",
            rf"(?P<lead>(?:{roles})[:：]?{_BLANK})(?P<name>{name(surname)}){further}",
            rf"(?P<lead>(?:{cues})[:：]?{_BLANK})(?P<name>{name(plain)}){further}",
            # alone between marks
            rf"(?P<lead>(?<![{_HAN}]))(?P<name>{plain}{given}{{1,2}}){_END}{further}",
            rf"(?P<lead>(?<![{_HAN}]))(?P<name>{plain}{given}{{1,2}}?)(?={followers})",
            rf"(?P<lead>)(?P<name>[{_HAN}]{{1,8}}(?:[·•‧][{_HAN}]{{1,8}})+)",
        ]
        self._patterns = [re.compile(rule) for rule in rules]
        self._open_end = re.compile(open_end)

    def spans(self, text: str, folded: str, words: frozenset[str]) -> Iterator[tuple[int, int]]:
        """Where names are (as `People.spans`)."""
        for pattern in (*self._patterns, self._open_end):
            position = 0
            while match := pattern.search(folded, position):
                found = match["name"]
                if self._is_word(found) or (pattern is self._open_end and self._is_word(found[:2])):
                    position = match.start("name") + 1
                else:
                    yield match.start("name"), match.end()
                    position = match.end()

    def _is_word(self, found: str) -> bool:
        return found in self._words or self._openings.match(found) is not None
