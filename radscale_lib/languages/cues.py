"""Words by which a report's claims are recognised: denials, doubts, past findings, questions.

They are in `<code>.cues.toml`, beside the phrases of `phrases.py` that mention a finding or tube:

- `endings` that a phrase's last word may have; `compounds`: whether a word that ends with a phrase
  of one word mentions it, too (German).
- `abbreviations`: words whose full stop ends no sentence; `spaced_marks`: whether a question mark
  stands behind a space (French).
- `leading`: words that end no sentence: a line that ends with one goes on; `capital_nouns`: whether
  capitals are of nouns, too (German).
- `deny_before`, `hedge_before`: deny, or make uncertain, what is mentioned after them;
  `deny_after`, `hedge_after` what stands before. They reach to one of `ends`, or to the next part
  of the sentence that affirms something: one that begins with a word of `affirming`, or before them
  has a word of `verbs`.
- `removed_before`, `removed_after`: the same for tubes only.
- `keep`: phrases with a denying word that deny nothing.
- `~` in a phrase that denies, doubts or keeps stands for one of `adverbs`, or for nothing: "not ~
  excluded".
- `wished_before`, `wished_after`: tubes that are planned, advised or were tried in vain are not
  mentioned, unless a word of `handled` (repositioning, removal) stands beside them.
- `placed`: places; "no A, B on the left" affirms B, as "no A, B seen" does.
- `beside`: behind them a denial means no tube ("no kink in the ETT"); nor does it before one of
  `faults` ("no ETT malposition").
- `remaining`: say that some of several tubes are left after others were removed.
- `past_before`, `past_after`: mark a mention as past, unless a word of `now` says that it is still
  there.
- `asked_before`: ask for a finding and claim nothing.
- `and`, `with`, `or`: join mentions. What "or" joins and nothing denies is uncertain. `shown`:
  what may stand behind a verb without affirming anything ("no A and B are seen").
- `plain`: articles, sides, and other words that a list of things that were removed may have between
  their names. `tube_parts`: parts whose not being seen says nothing about the tube's presence.
- `further` phrases that mention a label; `apart`: phrases that hold one and mean something else
  (pericardial effusion); `denials`: phrases that deny a label without naming it (normal heart).
- `positions`: words for how a tube lies, by class; `classes`: names of these in labels.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent

Phrases = tuple[str, ...]
ByLabel = Mapping[str, Phrases]


@dataclass(frozen=True)
class Cues:
    """The cues of a language, as in its data file."""

    abbreviations: Phrases
    ands: Phrases
    withs: Phrases
    ors: Phrases
    shown: Phrases
    verbs: Phrases
    affirming: Phrases
    deny_before: Phrases
    deny_after: Phrases
    removed_before: Phrases
    removed_after: Phrases
    keep: Phrases
    hedge_before: Phrases
    hedge_after: Phrases
    past_before: Phrases
    past_after: Phrases
    now: Phrases
    asked_before: Phrases
    ends: Phrases
    plain: Phrases
    tube_parts: Phrases
    classes: ByLabel
    positions: ByLabel
    denials: ByLabel
    further: ByLabel
    apart: ByLabel
    leading: Phrases
    adverbs: Phrases
    wished_before: Phrases
    wished_after: Phrases
    handled: Phrases
    placed: Phrases
    beside: Phrases
    faults: Phrases
    remaining: Phrases
    endings: Phrases = ()
    compounds: bool = field(default=False)
    spaced_marks: bool = field(default=False)
    capital_nouns: bool = field(default=False)


def has_cues(code: str) -> bool:
    """Whether a language has cues."""
    return _path(code).exists()


@lru_cache
def cues(code: str) -> Cues:
    """Read the cues of a language.

    Raises:
        FileNotFoundError: if it has none.
    """
    data = tomllib.loads(_path(code).read_text(encoding="utf-8"))
    for word in ("and", "with", "or"):
        data[f"{word}s"] = data.pop(word)
    return Cues(**{key: _frozen(value) for key, value in data.items()})


def digest_of(code: str) -> str:
    """Digest (16 hex digits) of the cues of a language; empty if it has none."""
    if not has_cues(code):
        return ""
    return hashlib.sha256(_path(code).read_bytes()).hexdigest()[:16]


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: tuple(listed) for key, listed in value.items()}
    return tuple(value) if isinstance(value, list) else value


def _path(code: str) -> Path:
    return _FOLDER / f"{code}.cues.toml"
