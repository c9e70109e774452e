"""Phrases that mention a finding or tube in a radiology report, and words that deny or hedge it.

They are in `<code>.phrases.toml`; an ellipsis stands for up to four words:

- `mentions`: by label. A label of the study takes the entry in which its name, with spaces for
  underscores and hyphens, is a key or a phrase; keys are English in every language.
- `gap_stops`: tokens that an ellipsis does not pass: "heart is not enlarged" mentions no
  enlargement.
- `termset`: list of negspacy that is read first; `dropped` of it ("atelectasis versus
  consolidation" denies neither, and hedges both).
- `negations_before`, `negations_after`: deny a mention that follows, or stands before.
- `removals`: deny the mention before them, and those that `conjunctions` join to it: a drain that
  was removed says nothing of an effusion. `not_removals` hold such a word and deny nothing.
- `not_negations`: hold a negating word and deny nothing.
- `hedges_before`, `hedges_after`: make a mention in their clause uncertain.
- `clause_ends`: end the reach of a hedge, and where there is no termset, of a denial: "possible
  edema with a large effusion" is sure of the effusion.
"""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Phrases:
    """The phrases of a language."""

    mentions: Mapping[str, tuple[str, ...]]
    gap_stops: tuple[str, ...]
    negations_before: tuple[str, ...]
    negations_after: tuple[str, ...]
    not_negations: tuple[str, ...]
    hedges_before: tuple[str, ...]
    hedges_after: tuple[str, ...]
    clause_ends: tuple[str, ...]
    removals: tuple[str, ...] = ()
    not_removals: tuple[str, ...] = ()
    conjunctions: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    termset: str | None = None


def has_phrases(code: str) -> bool:
    """Whether a language has phrases."""
    return _path(code).exists()


@lru_cache
def phrases(code: str) -> Phrases:
    """Read the phrases of a language.

    Raises:
        FileNotFoundError: if it has none.
    """
    data = tomllib.loads(_path(code).read_text(encoding="utf-8"))
    mentions = {label: tuple(listed) for label, listed in data.pop("mentions").items()}
    termset = data.pop("termset", None)
    lists = {key: tuple(listed) for key, listed in data.items()}
    return Phrases(mentions=mentions, termset=termset, **lists)


def digest_of(code: str) -> str:
    """Digest (16 hex digits) of the phrases of a language; empty if it has none."""
    if not has_phrases(code):
        return ""
    return hashlib.sha256(_path(code).read_bytes()).hexdigest()[:16]


def _path(code: str) -> Path:
    return _FOLDER / f"{code}.phrases.toml"
