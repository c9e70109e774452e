"""Read by rules what a report says about each label: present, absent, uncertain, or nothing.

Phrases mention labels (`radscale_lib.languages.phrases`), and cues around them determine the claim
(`radscale_lib.languages.cues`). This is the method of NegEx and ConText (Chapman et al. 2001,
Harkema et al. 2009), extended by lists, removals, the past, and questions. The scope of a cue ends
at a terminating word, or at a part of the sentence that makes an affirmation of its own.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from radscale_lib.labels.matcher import GAP, Found, Matcher, longest
from radscale_lib.labels.sentences import OPENED, QUESTION, Word, folded, sentences, words
from radscale_lib.labels.states import (
    ABSENT,
    NOT_MENTIONED,
    PRESENT,
    RANK,
    SILENT,
    UNCERTAIN,
    Reading,
)
from radscale_lib.languages import language as words_of
from radscale_lib.languages.cues import Cues, cues
from radscale_lib.languages.phrases import phrases

TUBES = frozenset(
    {"ett", "tracheostomy", "ngt", "cvc", "swan ganz", "chest tube", "pacemaker", "support devices"}
)
"""Phrase entries of things that can be removed."""
KNOWN_SENTENCES = 2**17
"""Number of sentences whose claims are cached, since most sentences in reports recur."""

_ENDS, _KEEP, _ASKED, _PAST, _PAST_AFTER = range(5)
_DENY, _DENY_AFTER, _REMOVED, _REMOVED_AFTER, _HEDGE, _HEDGE_AFTER = range(5, 11)
_QUESTION, _QUESTION_AFTER, _WISHED, _WISHED_AFTER = range(11, 15)
_BACKWARD = {
    _DENY: _DENY_AFTER,
    _REMOVED: _REMOVED_AFTER,
    _HEDGE: _HEDGE_AFTER,
    _QUESTION: _QUESTION_AFTER,
    _PAST: _PAST_AFTER,
}
_AND, _WITH, _OR, _VERB, _SHOWN, _AFFIRMS, _NOW, _PART = range(8)
_HANDLED, _PLACED, _BESIDE, _FAULT, _REMAINING = range(8, 13)
_SIGNS = ("(-)", "(–)", "-ve", "–ve")
"""Symbols for "negative"."""
_MENTION, _DENIAL, _APART = range(3)
_SKIPPED_HEADINGS = ("indication", "other", "record", "signature")
_FIRST_WORDS = 40
"""Maximum number of characters of a heading."""


class Claim(NamedTuple):
    """What a sentence says about a label: its number, the state, and the position of the words."""

    label: int
    state: int
    start: int
    end: int


class RuleReader:
    """Reads what reports in one language say about labels."""

    def __init__(
        self,
        labels: Sequence[str],
        added: Mapping[str, Sequence[str]] | None = None,
        language: str = "en",
    ) -> None:
        """Prepare the phrases.

        Args:
            labels: K names. A name that ends with a position class, such as `ett_abnormal` or `ETT
                - Borderline`, refers to the tube before it.
            added: further phrases by label.
            language: code of the reports' language.

        Raises:
            FileNotFoundError: if the language has no cues.
        """
        self.labels = tuple(labels)
        self._cues = known = cues(language)
        self._headings = _headings(language)
        self._abbreviations = frozenset(map(folded, known.abbreviations))
        self._leading = frozenset(map(folded, known.leading))
        self._plain = frozenset(map(folded, known.plain))
        self._known: dict[str, tuple[Claim, ...]] = {}
        umlauts = language == "de"
        entries = [_entry(label, language) for label in labels]
        self._removable = [entry in TUBES for entry, _ in entries]
        self._classes = [of_class for _, of_class in entries]
        self._entries = [entry for entry, _ in entries]
        stops = frozenset(map(folded, phrases(language).gap_stops))
        self._mentions = Matcher(
            self._phrases(added or {}, language),
            known.endings,
            stops - {folded(word) for word in ("normal", "normale")},
            known.compounds,
            umlauts,
        )
        self._positions = Matcher(
            (
                (phrase, number)
                for number, name in enumerate(known.classes)
                for phrase in known.positions.get(name, ())
            ),
            known.endings,
            umlauts=umlauts,
        )
        self._class_names = list(known.classes)
        self._marks = Matcher(_marks(known), umlauts=umlauts)
        self._around = Matcher(_around(known), umlauts=umlauts)

    def _phrases(
        self, added: Mapping[str, Sequence[str]], language: str
    ) -> Iterator[tuple[str, int]]:
        """Phrases of all labels, each with the label's number times 3 plus the kind of claim."""
        mentions, known = phrases(language).mentions, self._cues
        for number, (label, entry) in enumerate(zip(self.labels, self._entries, strict=True)):
            listed = [
                *mentions.get(entry, (entry,)),
                *known.further.get(entry, ()),
                *added.get(label, ()),
            ]
            for kind, each in (
                (_MENTION, dict.fromkeys(listed)),
                (_DENIAL, known.denials.get(entry, ())),
                (_APART, known.apart.get(entry, ())),
            ):
                for phrase in each:
                    yield phrase, 3 * number + kind
                    if GAP in phrase:  # "Heart: enlarged"
                        yield phrase.replace(f" {GAP}", f" : {GAP}", 1), 3 * number + kind

    def read(self, text: str) -> list[Reading]:
        """What a text says about each label [K]; of several claims the most certain one counts."""
        found = [SILENT] * len(self.labels)
        for start, end in self._sentences(text):
            sentence = text[start:end]
            claims = self._known.get(sentence)
            if claims is None:
                if len(self._known) >= KNOWN_SENTENCES:
                    self._known.clear()
                claims = self._known[sentence] = tuple(self._claims(sentence))
            for claim in claims:
                if RANK[claim.state] > RANK[found[claim.label].state]:
                    found[claim.label] = Reading(
                        claim.state, start + claim.start, start + claim.end
                    )
        return found

    def _sentences(self, text: str) -> Iterator[tuple[int, int]]:
        """Sentences, except under headings of indications, comparisons and techniques."""
        skipping = False
        known = self._cues
        for start, end in sentences(
            text, self._abbreviations, known.spaced_marks, self._leading, known.capital_nouns
        ):
            colon = text.find(":", start, min(end, start + _FIRST_WORDS))
            if colon >= 0:
                kind = self._headings.get(folded(text[start:colon].strip(" \t\n*#-_")))
                if kind is not None:
                    skipping = kind == "indication"
                    if kind in (*_SKIPPED_HEADINGS, "comparison"):
                        continue
            if not skipping:
                yield start, end

    def _claims(self, sentence: str) -> Iterator[Claim]:
        """What a sentence claims."""
        parts = words(sentence)
        found = self._mentions.find(parts)
        if not found:
            return
        mentions = _kept(found)
        marks = [mark for mark in self._marks.find(parts) if not _belongs(mark, mentions)]
        scopes = _Scopes(parts, marks, self._around.find(parts), mentions, self._plain)
        states = [self._state(scopes, mention) for mention in mentions]
        _alternatives(scopes, mentions, states)
        if any(self._classes):
            yield from self._class_claims(parts, scopes, mentions, states)
        for mention, state in zip(mentions, states, strict=True):
            number = mention.meaning // 3
            if state != NOT_MENTIONED and not self._classes[number]:
                yield Claim(number, state, parts[mention.first].start, parts[mention.last - 1].end)

    def _state(self, scopes: "_Scopes", mention: Found) -> int:
        number, kind = divmod(mention.meaning, 3)
        if kind == _APART or scopes.over(_ASKED, mention):
            return NOT_MENTIONED
        if scopes.over(_QUESTION, mention):
            return UNCERTAIN
        denied, hedged = scopes.over(_DENY, mention), scopes.over(_HEDGE, mention)
        if scopes.is_blank(mention):
            return NOT_MENTIONED
        if self._removable[number]:
            if scopes.over(_WISHED, mention):
                return NOT_MENTIONED
            if scopes.of_a_part(mention):
                denied = hedged = False
            denied &= not scopes.is_spared(mention)
            denied |= scopes.over(_REMOVED, mention) and not scopes.some_remain
        if kind == _DENIAL:
            return UNCERTAIN if hedged else NOT_MENTIONED if denied else ABSENT
        if denied:
            return ABSENT
        if scopes.over(_PAST, mention) and not scopes.is_now(mention.first):
            return NOT_MENTIONED
        return UNCERTAIN if hedged else PRESENT

    def _class_claims(
        self, parts: list[Word], scopes: "_Scopes", mentions: list[Found], states: list[int]
    ) -> Iterator[Claim]:
        """Claims about the positions of the tubes that a sentence mentions."""
        tubes = [
            (mention, state)
            for mention, state in zip(mentions, states, strict=True)
            if self._classes[mention.meaning // 3] and mention.meaning % 3 != _APART
        ]
        said = self._positions.find(parts) if tubes else []
        places = sorted({mention.first for mention, _ in tubes})
        for mention, state in tubes:
            number = mention.meaning // 3
            span = parts[mention.first].start, parts[mention.last - 1].end
            if state == ABSENT:
                yield Claim(number, ABSENT, *span)
            if state not in (PRESENT, UNCERTAIN):
                continue
            later = scopes.end_of_list(mention, places)
            about = [
                each for each in said if mention.first <= each.first < later or len(places) == 1
            ]
            about = [each for each in about if not scopes.has(_PAST, each.first)] or about
            class_of = {each: self._class_at(parts, scopes, each) for each in about}
            names = set(class_of.values())
            worst = next((n for n in ("abnormal", "borderline", "normal") if n in names), None)
            names = ({worst} if worst else set()) | (names & {"incomplete"})
            own = self._classes[number]
            if own in names:
                where = next(each for each, of_class in class_of.items() if of_class == own)
                hedged = state == UNCERTAIN or scopes.has(_HEDGE, where.first)
                yield Claim(
                    number,
                    UNCERTAIN if hedged else PRESENT,
                    parts[where.first].start,
                    parts[where.last - 1].end,
                )
            elif names:
                yield Claim(number, ABSENT, *span)

    def _class_at(self, parts: list[Word], scopes: "_Scopes", found: Found) -> str:
        """The class that a position's words state; a denial swaps good and bad."""
        name = self._class_names[found.meaning]
        if name == "normal" and _is_near(parts, found.first):
            return "abnormal"
        denied = any(scopes.has(_DENY, place) for place in range(found.first, found.last))
        return _OPPOSITE.get(name, name) if denied or scopes.denies_in(found) else name


_OPPOSITE = {"normal": "abnormal", "abnormal": "normal"}
_NEAR = {"cm": 2.0, "mm": 20.0}
"""A tip closer to the carina than this is too low."""


def _is_near(parts: Sequence[Word], first: int) -> bool:
    """Whether a distance that is too small precedes words of a position."""
    if first < 2 or parts[first - 1].text not in _NEAR or not parts[first - 2].text[0].isdigit():
        return False
    return float(parts[first - 2].text.replace(",", ".")) < _NEAR[parts[first - 1].text]


class _Scopes:
    """The scopes of the cues in a sentence."""

    def __init__(
        self,
        parts: Sequence[Word],
        marks: Iterable[Found],
        around: Iterable[Found],
        mentions: Sequence[Found],
        plain: Collection[str],
    ) -> None:
        self._parts, self._plain = parts, plain
        self._count = len(parts)
        self._starts: dict[int, set[int]] = {}
        """Kinds of the cues beginning at each position."""
        self._within: set[int] = set()
        self._around: dict[int, set[int]] = {}
        for each in around:
            self._around.setdefault(each.first, set()).add(each.meaning)
        self._mentioned = {mention.first for mention in mentions if mention.meaning % 3 != _APART}
        self._covered = {
            place for mention in mentions for place in range(mention.first, mention.last)
        }
        self._limits = [0] * (self._count + 1)
        """Number of the clause of each position; clauses are divided by terminating cues."""
        self._reach: dict[int, set[int]] = {}
        self._spared: set[int] = set()
        """Positions at which a denial does not refer to a tube."""
        self.some_remain = any(_REMAINING in kinds for kinds in self._around.values())
        self._of_parts: set[int] = set()
        """Positions of tubes of which only a part, such as the tip, is denied or doubted."""
        chosen = list(longest(marks))
        clause = 0
        for group in chosen:
            kinds = {each.meaning for each in group}
            self._starts[group[0].first] = kinds
            self._within.update(range(group[0].first, group[0].last))
        looks_back = False
        for one, other in pairwise(reversed(chosen)):
            # "which has resolved", "but now absent": these refer back across a terminating word.
            looks_back = other[0].last == one[0].first and (looks_back or self._looks_back(one[0]))
            if looks_back:
                self._starts[other[0].first].discard(_ENDS)
        for place in range(self._count):
            if _ENDS in self._starts.get(place, ()):
                clause += 1
            self._limits[place] = clause
        self._limits[self._count] = clause
        for group in chosen:
            self._spread(group[0].first, group[0].last, {each.meaning for each in group})

    def has(self, kind: int, place: int) -> bool:
        """Whether a position is within the scope of a kind of cue."""
        return place in self._reach.get(kind, ())

    def over(self, kind: int, mention: Found) -> bool:
        """Whether a word of a mention is within the scope of a kind of cue."""
        reached = self._reach.get(kind, _NOTHING)
        return any(place in reached for place in range(mention.first, mention.last))

    def of_a_part(self, mention: Found) -> bool:
        """Whether the cues in whose scope a tube is mentioned are about a part of it."""
        return any(place in self._of_parts for place in range(mention.first, mention.last))

    def denies_in(self, found: Found) -> bool:
        """Whether a denying cue is among the words of a phrase."""
        return any(
            not {_DENY, _DENY_AFTER}.isdisjoint(self._starts.get(place, ()))
            for place in range(found.first, found.last)
        )

    def end_of_list(self, mention: Found, places: Sequence[int]) -> int:
        """Where a statement on a tube ends; after a list, it is about all tubes of the list."""
        at = mention.last
        for place in (place for place in places if place > mention.first):
            between = range(at, place)
            if not all(self.mark_at(p) or self._is_plain(p) for p in between):
                return place
            at = next((p for p in range(place, self._count) if p not in self._covered), self._count)
        return self._count

    def is_spared(self, mention: Found) -> bool:
        """Whether a denial with a tube in its scope refers to something else."""
        behind = self._around.get(mention.last, _NOTHING)
        return _FAULT in behind or mention.first in self._spared

    def is_blank(self, mention: Found) -> bool:
        """Whether a mention heads a blank line: "Effusion: ___"."""
        return mention.last == self._count - 1 and self._parts[mention.last].text == ":"

    def is_now(self, place: int) -> bool:
        """Whether the clause of a position says that something is present now."""
        clause = self._limits[place]
        return any(
            _NOW in kinds and self._limits[at] == clause for at, kinds in self._around.items()
        )

    def joined_by_or(self, first: int, last: int) -> bool:
        """Whether "or" or "versus", but no mark, is between two positions of one clause."""
        clause = self._limits[first]
        kept = any(
            _KEEP in kinds and at < first
            for at, kinds in self._starts.items()
            if self._limits[at] == clause
        )  # "no change in A or B"
        return (
            not kept
            and clause == self._limits[last]
            and any(_OR in self._around.get(place, ()) for place in range(first, last))
        )

    def mark_at(self, place: int) -> bool:
        """Whether a new part of the sentence begins after a position."""
        text = self._parts[place].text
        return text in (",", "(", ")") or not self._around.get(place, _NOTHING).isdisjoint(
            (_AND, _WITH)
        )

    def _spread(self, first: int, last: int, kinds: set[int]) -> None:
        if self._parts[first].text == ":" and not self._follows(first):
            # ": no" after a heading denies what follows; after a finding, it denies the finding.
            kinds = {_DENY if kind == _DENY_AFTER else kind for kind in kinds}
        if (
            _DENY in kinds
            and _KEEP not in kinds
            and all(part.text == ")" for part in self._parts[last:])
        ):
            kinds = kinds - {_DENY} | {_DENY_AFTER}  # "Effusion - no"
        if _WISHED in kinds and self._is_handled(self._part_from(last)):
            kinds = kinds - {_WISHED, _HEDGE}
        for before, after in _BACKWARD.items():
            wanted = {before, after} & kinds
            if len(wanted) == 2:  # of both kinds: its neighbours in the same part decide
                back = self._follows(first) or self._ends_a_part(last, before == _HEDGE)
                wanted = {after} if back else {before}
            reached = self._reach.setdefault(before, set()) if wanted else set()
            if before in wanted:
                reached.update(self._forward(last, before))
                if before == _DENY:
                    self._of_parts.update(self._around_a_part(last))
                    self._spared.update(self._beside(last))
            if after in wanted:
                before_it = set(self._backward(first))
                reached.update(before_it)
                if before in (_DENY, _HEDGE):
                    self._of_parts.update(self._of_a_part(first, last, before_it))
        wished = self._reach.setdefault(_WISHED, set())
        if _WISHED in kinds:
            wished.update(self._part_from(last))
        if _WISHED_AFTER in kinds and not self._is_handled(range(self._part_to(first), last)):
            wished.update(range(self._part_to(first), first))
        if _ASKED in kinds:
            self._reach.setdefault(_ASKED, set()).update(self._forward(last, _ASKED))

    def _is_handled(self, places: Iterable[int]) -> bool:
        return any(_HANDLED in self._around.get(place, _NOTHING) for place in places)

    def _beside(self, start: int) -> Iterator[int]:
        """Positions after a word such as "of" that follows what a denial denies."""
        found = False
        for place in range(start, self._count):
            if not {_DENY, _ENDS}.isdisjoint(self._starts.get(place, ())):
                return
            if found:
                yield place
            found = found or (place > start and _BESIDE in self._around.get(place, _NOTHING))

    def _follows(self, first: int) -> bool:
        for place in range(first - 1, -1, -1):
            if place in self._mentioned:
                return True
            if self.mark_at(place) or _ENDS in self._starts.get(place, ()):
                return False
        return False

    def _ends_a_part(self, last: int, with_its_part: bool) -> bool:
        """Whether there is no mention, or no word, from a position to the end of its part."""
        return not any(with_its_part or p in self._mentioned for p in self._part_from(last))

    def _looks_back(self, cue: Found) -> bool:
        kinds = self._starts[cue.first]
        after = not kinds.isdisjoint((_DENY_AFTER, _REMOVED_AFTER, _PAST_AFTER))
        return after and self._ends_a_part(cue.last, False)

    def _part_from(self, start: int) -> Iterator[int]:
        """Positions from one to the end of its part of the sentence."""
        for place in range(start, self._count):
            if self.mark_at(place) or _ENDS in self._starts.get(place, ()):
                return
            yield place

    def _around_a_part(self, start: int) -> Iterator[int]:
        """Positions next to and after a tube's part, in the remaining part of the sentence."""
        found = False
        for place in self._part_from(start):
            part = self._is_part(place)
            if part and place > start:
                yield place - 1
            if found:
                yield place
            found = found or part

    def _of_a_part(self, first: int, last: int, reached: Collection[int]) -> Collection[int]:
        """Positions, among those in a cue's scope before it, at which a part of a tube is meant.

        As in "ETT tip not seen", "ETT, its tip not seen", "ETT with a tip that is not seen", and
        "tips of the ETT and NGT not seen".
        """
        if any(map(self._is_part, self._part_from(last))):
            return reached
        begin, end = self._part_to(first), first
        while not any(map(self._is_part, range(begin, end))):
            if begin == 0 or self._around.get(begin - 1, _NOTHING).isdisjoint((_AND, _OR)):
                return ()
            named = not self._mentioned.isdisjoint(range(begin, end))
            begin, end = self._part_to(begin - 1), begin - 1
            if named and not all(map(self._is_plain, range(begin, end))):
                return ()
        about = range(begin, first)
        return reached if self._mentioned.isdisjoint(about) else about

    def _is_part(self, place: int) -> bool:
        return _PART in self._around.get(place, _NOTHING)

    def _part_to(self, end: int) -> int:
        """Start of the part of the sentence that ends before a position."""
        begin = end
        while begin > 0 and not (
            self.mark_at(begin - 1) or _ENDS in self._starts.get(begin - 1, ())
        ):
            begin -= 1
        return begin

    def _is_plain(self, place: int) -> bool:
        """Whether a word belongs to a mention, or is an article, a side, or a part of a tube."""
        named = place in self._covered or self._is_part(place)
        return named or self._parts[place].text in self._plain

    def _names_alone(self, start: int) -> bool:
        """Whether the part of the sentence from a position on only names things."""
        part = list(self._part_from(start))
        return all(map(self._is_plain, part)) and any(place in self._mentioned for place in part)

    def _forward(self, start: int, kind: int) -> Iterator[int]:
        marks = 0
        for place in range(start, self._count):
            kinds = self._starts.get(place)
            if kinds is not None and self._stops(kinds, place, kind):
                return
            if kind == _REMOVED and self.mark_at(place) and self._names_alone(place + 1):
                yield place
                continue
            if self.mark_at(place):
                marks += 1
            found = kind == _DENY and marks == 1 and self._is_found(place)
            if self.mark_at(place) and (kind == _PAST or found or self._affirms(place + 1)):
                listed = self._parts[place].text == "," and self._closed_by_or(place + 1)
                if kind == _PAST or not listed:
                    return
            yield place

    def _stops(self, kinds: set[int], place: int, kind: int) -> bool:
        if _ENDS in kinds:
            return True
        opens = place > 0 and self.mark_at(place - 1)
        if kind in (_HEDGE, _PAST, _ASKED, _QUESTION):
            return not kinds.isdisjoint((_DENY,)) and (opens or kind != _ASKED)
        return opens and not kinds.isdisjoint((_HEDGE, _KEEP, _PAST))

    def _affirms(self, start: int) -> bool:
        """Whether a part of the sentence affirms something."""
        if _AFFIRMS in self._around.get(start, ()):
            return True
        verb = False
        for place in range(start, self._count):
            if self.mark_at(place) or _ENDS in self._starts.get(place, ()):
                break
            kinds = self._around.get(place, _NOTHING)
            if _NOW in kinds:
                return True
            if _VERB in kinds:
                verb = True
            elif verb and _SHOWN in kinds:
                verb = False
                break
        return verb

    def _is_found(self, mark: int) -> bool:
        """Whether a mention after a comma ends its clause and is said to be seen or located."""
        if self._parts[mark].text != ",":
            return False
        part = list(self._part_from(mark + 1))
        if not part or not (
            part[-1] == self._count - 1 or self._limits[part[-1] + 1] > self._limits[mark]
        ):
            return False
        told = next(
            (p for p in part if not {_SHOWN, _PLACED}.isdisjoint(self._around.get(p, _NOTHING))),
            None,
        )
        return told is not None and any(p in self._mentioned for p in part if p < told)

    def _closed_by_or(self, start: int) -> bool:
        for place in range(start, self._count):
            if _ENDS in self._starts.get(place, ()):
                return False
            if _OR in self._around.get(place, ()):
                return True
        return False

    def _backward(self, first: int) -> Iterator[int]:
        passed, joined = False, False
        for place in range(first - 1, -1, -1):
            kinds, around = self._starts.get(place, _NOTHING), self._around.get(place, _NOTHING)
            if _ENDS in kinds:
                return
            if not around.isdisjoint((_AND, _OR)):
                joined = True
            if passed and self.mark_at(place):
                alone = self._parts[place].text == "," and not joined
                if _WITH in around or (alone and not self._lists(place)):
                    return
                if self._claims_itself(place):
                    return
            passed = passed or place in self._mentioned
            yield place

    def _lists(self, mark: int) -> bool:
        """Whether the part of the sentence that ends at a mark is only a mention."""
        place = mark - 1
        while place >= 0 and place in self._covered:
            place -= 1
        return place < mark - 1 and (place < 0 or self.mark_at(place))

    def _claims_itself(self, mark: int) -> bool:
        """Whether the part of the sentence before a mark has a verb or a cue of its own."""
        for place in range(mark - 1, -1, -1):
            if self.mark_at(place):
                return False
            around = self._around.get(place, _NOTHING)
            if place in self._within or not around.isdisjoint((_VERB, _NOW)):
                return True
        return False


_NOTHING: frozenset[int] = frozenset()


def _belongs(mark: Found, mentions: Iterable[Found]) -> bool:
    """Whether a cue is part of a phrase that itself denies a label."""
    return any(
        mention.meaning % 3 == _DENIAL and mention.first <= mark.first < mention.last
        for mention in mentions
    )


def _kept(found: list[Found]) -> list[Found]:
    """The longest of overlapping phrases of one label."""
    kept: list[Found] = []
    by_label: dict[int, list[Found]] = {}
    for each in sorted(found, key=lambda each: (each.first - each.last, each.first)):
        others = by_label.setdefault(each.meaning // 3, [])
        if all(each.last <= other.first or each.first >= other.last for other in others):
            others.append(each)
            kept.append(each)
    return sorted(kept, key=lambda each: (each.first, each.last, each.meaning))


def _alternatives(scopes: _Scopes, mentions: list[Found], states: list[int]) -> None:
    """Make consecutive affirmed findings that are joined by "or" uncertain."""
    affirmed = [
        place
        for place, (mention, state) in enumerate(zip(mentions, states, strict=True))
        if state == PRESENT and mention.meaning % 3 == _MENTION
    ]
    for one in affirmed:
        for other in affirmed:
            first, second = mentions[one], mentions[other]
            near = first.last <= second.first <= first.last + 4
            if near and scopes.joined_by_or(first.last, second.first):
                states[one] = states[other] = UNCERTAIN


def _entry(label: str, language: str) -> tuple[str, str]:
    """The phrase entry of a label, and its position class."""
    name = " ".join(word.text for word in words(label))
    known, mentions = cues(language), phrases(language).mentions
    for of_class, names in known.classes.items():
        for ending in names:
            if name.endswith(f" {ending}"):
                tube = _named(name.removesuffix(f" {ending}").strip(), mentions)
                if tube in TUBES:
                    return tube, of_class
    return _named(name, mentions), ""


def _named(name: str, mentions: Mapping[str, Sequence[str]]) -> str:
    if name in mentions:
        return name
    english = phrases("en").mentions
    found = next((entry for entry, listed in mentions.items() if name in listed), None)
    return found or next((entry for entry, listed in english.items() if name in listed), name)


def _marks(known: Cues) -> Iterator[tuple[str, int]]:
    """Cues with a scope, and the words that end a scope."""
    for listed, kind in (
        (known.ends, _ENDS),
        (known.keep, _KEEP),
        (known.asked_before, _ASKED),
        (known.past_before, _PAST),
        (known.past_after, _PAST_AFTER),
        (known.deny_before, _DENY),
        (known.deny_after, _DENY_AFTER),
        (known.removed_before, _REMOVED),
        (known.removed_after, _REMOVED_AFTER),
        (known.hedge_before, _HEDGE),
        (known.hedge_after, _HEDGE_AFTER),
        (known.wished_before, _WISHED),
        (known.wished_after, _WISHED_AFTER),
        (_SIGNS, _DENY_AFTER),
        ((OPENED,), _QUESTION),
        ((QUESTION,), _QUESTION_AFTER),
    ):
        for phrase in listed:
            for adverb in ("", *known.adverbs) if "~" in phrase else ("",):
                yield " ".join(phrase.replace("~", adverb).split()), kind


def _around(known: Cues) -> Iterator[tuple[str, int]]:
    """Words that separate and join mentions."""
    for listed, kind in (
        (known.ands, _AND),
        (known.withs, _WITH),
        (known.ors, _OR),
        (known.verbs, _VERB),
        (known.shown, _SHOWN),
        (known.affirming, _AFFIRMS),
        (known.now, _NOW),
        (known.tube_parts, _PART),
        (known.handled, _HANDLED),
        (known.placed, _PLACED),
        (known.beside, _BESIDE),
        (known.faults, _FAULT),
        (known.remaining, _REMAINING),
    ):
        yield from ((phrase, kind) for phrase in listed)


def _headings(code: str) -> dict[str, str]:
    """Kind of each heading by its folded name."""
    headings = words_of(code).headings
    return {
        folded(name): kind
        for kind in (
            *_SKIPPED_HEADINGS,
            "comparison",
            "interpretation",
            "report",
            "impression",
            "findings",
        )
        for name in headings.get(kind, ())
    }
