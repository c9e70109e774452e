"""What ingest knows about a language: headings, dates, names, numbers; one data file each.

`<code>.toml` holds a language's words, `eponyms.toml` names common to all languages of Latin
script, and `stopwords.toml` the frequent words of every language, by which languages are
distinguished.

Keys:

- `script`: letters of its reports. Without word boundaries (`han`, `kana`)
  rules look for figures and forms alone, and header identifiers match anywhere.
- `capitals_tell_names`: whether a capital within a sentence makes a word a name.
- `terms`: words that are not names although they have a capital. `starters`: words that begin
  a sentence before a name. `nouns`: a pattern of such words (German endings).
- `headings`: of the sections. `report` and `interpretation` hold the body where nothing else does;
  `record` and `signature` are lines about the patient, the order and the author; the first of
  `addendum` may have words behind it (an author, a date); `no_comparison` stands in place of one;
  `organs` begin a line of the body, as in "Lungs: clear".
- `dates`, `numbers`: words in and before dates, telephones and numbers of records.
- `names`: titles (as written) and cues (in any case) that a name follows, labels (with a colon),
  roles, degrees and followers after a name, particles within one, given names, and frequent words
  that a header can have as a name. Where they are of help: surnames and their endings,
  `careful_surnames` (words too), letters that only foreign names have, prepositions before a
  surname; in Chinese, where a surname is one letter, the words that begin with such a letter.
- `places`: words of institutions and streets, after or before their name.
- `patterns`: further regular expressions; a group `lead` stays.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent
_SHARED = "eponyms", "stopwords"

Lists = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, eq=False)
class Language:
    """The words of a language, as in its data file."""

    code: str
    name: str
    script: str
    capitals_tell_names: bool
    terms: frozenset[str]
    """In lower case, including eponyms."""
    starters: frozenset[str]
    stopwords: frozenset[str]
    nouns: str
    headings: Lists
    dates: Lists
    numbers: Lists
    names: Lists
    places: Lists
    patterns: Lists

    @property
    def has_word_boundaries(self) -> bool:
        """Whether words are separated by blanks."""
        return self.script not in ("han", "kana")


def codes() -> list[str]:
    """Codes of the languages that have a data file (ISO 639-1), sorted."""
    stems = {path.stem for path in _FOLDER.glob("*.toml")}
    return sorted(stem for stem in stems - set(_SHARED) if "." not in stem)


@lru_cache
def language(code: str) -> Language:
    """Read a language.

    Raises:
        FileNotFoundError: if it has no data file.
    """
    data = _read(code)
    latin = data["script"] == "latin"
    return Language(
        code=code,
        name=data["name"],
        script=data["script"],
        capitals_tell_names=data["capitals_tell_names"],
        terms=frozenset(data["terms"].split()) | (eponyms() if latin else frozenset()),
        starters=frozenset(data["starters"].split()),
        stopwords=stopwords()[code],
        nouns=data.get("nouns", ""),
        **{key: _lists(data[key]) for key in ("headings", "dates", "numbers", "names", "places")},
        patterns=_lists(data["patterns"]),
    )


@lru_cache
def eponyms() -> frozenset[str]:
    """Names of signs, devices and germs in lower case."""
    return frozenset(_read("eponyms")["words"].split())


@lru_cache
def stopwords() -> Mapping[str, frozenset[str]]:
    """Frequent words of each language, in lower case, also of some without a data file."""
    return {code: frozenset(words.split()) for code, words in _read("stopwords").items()}


def digest_of(code: str) -> str:
    """Digest (16 hex digits) of the files that the rules of a language read."""
    digest = hashlib.sha256()
    for name in (code, *_SHARED):
        digest.update((_FOLDER / f"{name}.toml").read_bytes())
    return digest.hexdigest()[:16]


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((_FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def _lists(table: Mapping[str, Any]) -> Lists:
    return {
        key: tuple(value.split()) if isinstance(value, str) else tuple(value)
        for key, value in table.items()
    }
