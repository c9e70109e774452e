"""Put labels into words, and compare texts by their words."""

import re
import unicodedata

ABBREVIATIONS = {
    "ett": "endotracheal tube",
    "ngt": "nasogastric tube",
    "cvc": "central venous catheter",
    "picc": "peripherally inserted central catheter",
}
WORD = re.compile(r"\w+")


def spelt_out(name: str) -> str:
    """A label's name in words: `ett` is an endotracheal tube."""
    words = re.split(r"[\s_-]+", name.strip().lower())
    return " ".join(ABBREVIATIONS.get(word, word) for word in words)


def words_of(text: str) -> list[str]:
    """A text's words, ignoring case, spacing and punctuation."""
    return [plain(word) for word in WORD.findall(text)]


def normalised(text: str) -> str:
    """A text's words, separated by blanks."""
    return " ".join(words_of(text))


def plain(word: str) -> str:
    """A word as a tokenizer reads it."""
    return unicodedata.normalize("NFKC", word).lower()
