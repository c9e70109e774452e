"""Phrases that mention a finding or tube in a radiology report.

They are in `<code>.phrases.toml`; an ellipsis stands for up to four words:

- `mentions`: by label. A label of the study takes the entry in which its name, with spaces for
  underscores and hyphens, is a key or a phrase; keys are English in every language.
- `gap_stops`: words that an ellipsis does not pass: "heart is not enlarged" mentions no
  enlargement.

The cues of `cues.py` determine what a report says about a mention.
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
    mentions = {label: tuple(listed) for label, listed in data["mentions"].items()}
    return Phrases(mentions, tuple(data["gap_stops"]))


def digest_of(code: str) -> str:
    """Digest (16 hex digits) of the phrases of a language; empty if it has none."""
    if not has_phrases(code):
        return ""
    return hashlib.sha256(_path(code).read_bytes()).hexdigest()[:16]


def _path(code: str) -> Path:
    return _FOLDER / f"{code}.phrases.toml"
