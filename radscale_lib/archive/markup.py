"""Plain text from the exports of report systems: RTF, HTML, HL7 escapes, unusual blanks.

Text that only says that it is missing ("nan", "NULL") counts as missing.
"""

import html
import re
import unicodedata
from collections import Counter
from functools import lru_cache
from html.parser import HTMLParser

from radscale_lib.languages import language

_BLANKS = frozenset({
    "nan", "nan.", "none", "null", "null.", "n/a", "n/a.", "n.a.", "#n/a", "na", "<na>", "nat",
    "nil", "-nan", "#null!", "#value!", "#ref!", "(null)", "<null>", "\\n", "-", "--", "---", "–",
    "—", ".", "..", "...", "?", "/", "undefined", "missing", "[null]", '""', "''", "{}", "[]",
})  # fmt: skip
"""What exports write in place of a missing text, in lower case."""
_RTF = re.compile(r"\s*\{\\rtf\d?\b")
_TAG = re.compile(
    r"</[a-z][\w:.-]*\s*>|<(?:br|p|hr|div|span|table|tr|td|li)\b[^<>]*>|<!doctype|<\?xml",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:[a-z]{2,8}|#\d{1,6}|#x[0-9a-f]{1,5});", re.IGNORECASE)
_HL7 = re.compile(
    r"\\(?:\.(?P<command>br|sp|in|ti|ce|fi|nf|sk)(?P<figure>[+-]?\d*)|(?P<letter>[TFSREPHN])"
    r"|X(?P<hex>(?:[0-9A-Fa-f]{2})+)|[CMZ][0-9A-Fa-f]+)\\"
)
_HL7_LETTERS = {"T": "&", "F": "|", "S": "^", "R": "~", "E": "\\", "P": "#", "H": "", "N": ""}
_LITERAL = re.compile(r"_x000[dDaA]_|(?<!\\)\\r\\n|(?<!\\)\\n(?![a-z])")
_BLOCKS = frozenset({
    "address", "article", "blockquote", "br", "caption", "dd", "div", "dl", "dt", "footer", "h1",
    "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "ol", "p", "paragraph", "pre", "section",
    "table", "tbody", "td", "text", "th", "thead", "title", "tr", "ul",
})  # fmt: skip
_SILENT = frozenset({"head", "script", "style"})
_LINE_ENDS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile("[\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]")
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f\u0080-\u0084\u0086-\u009f\u00ad\u200b-\u200f\u202a-\u202e\u2060\ufeff]"
)
_FULL_WIDTH = {
    code: code - 0xFEE0
    for code in (*range(0xFF10, 0xFF1A), *range(0xFF21, 0xFF3B), *range(0xFF41, 0xFF5B))
} | {ord(wide): narrow for wide, narrow in zip("．／－＋＠＃（）", "./-+@#()", strict=True)}


def plain_text(text: str | None, counts: Counter[str] | None = None) -> str | None:
    """A report without markup; null if there is none.

    Line ends are kept as line feeds; letters are composed (NFC), full-width digits and letters
    become ASCII, and invisible characters are removed.

    Args:
        text: a cell of a table.
        counts: counter to increment for what was found: "RTF", "HTML", "HL7 escapes" or "blank".
    """
    if text is None:
        return None
    found = []
    if _RTF.match(text):
        text = _from_rtf(text)
        found.append("RTF")
    if "\\" in text:
        plain = _LITERAL.sub("\n", _HL7.sub(_hl7, text))
        found += ["HL7 escapes"] if plain != text else []
        text = plain
    if "<" in text and _TAG.search(text):
        text = _from_html(text)
        found.append("HTML")
    elif "&" in text and _ENTITY.search(text):
        text = html.unescape(text)
        found.append("HTML")
        if "<" in text and _TAG.search(text):  # escaped twice
            text = _from_html(text)
    if "_x000" in text:
        text = _LITERAL.sub("\n", text)
    text = _LINE_ENDS.sub("\n", text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", _SPACES.sub(" ", text)).translate(_FULL_WIDTH)
    text = _INVISIBLE.sub("", text)
    if not text.strip() or text.strip().lower() in _BLANKS:
        text = None
        found = ["blank"]
    if counts is not None:
        counts.update(found)
    return text


def _from_rtf(text: str) -> str:
    from striprtf.striprtf import rtf_to_text

    plain: str = rtf_to_text(text, errors="replace")  # type: ignore[no-untyped-call]
    return plain


def _hl7(match: re.Match[str]) -> str:
    """The text that an escape sequence of HL7 v2 stands for (chapter 2.7)."""
    if match["command"]:
        return "\n" * (int(match["figure"] or 1) if match["command"] == "sp" else 1)
    if match["letter"]:
        return _HL7_LETTERS[match["letter"]]
    if match["hex"]:
        data = bytes.fromhex(match["hex"])
        try:
            return data.decode()
        except UnicodeDecodeError:
            return data.decode("cp1252", errors="replace")
    return ""


def _from_html(text: str) -> str:
    reader = _Html(convert_charrefs=True)
    reader.feed(text)
    reader.close()
    return "".join(reader.parts)


@lru_cache
def _section_tags() -> frozenset[str]:
    """XML elements that have the names of sections."""
    kinds = ("findings", "impression", "indication", "comparison")
    headings = language("en").headings
    return frozenset(name for kind in kinds for name in headings[kind] if name.isalpha())


class _Html(HTMLParser):
    """Collects the text of HTML or XML."""

    def __init__(self, *, convert_charrefs: bool) -> None:
        super().__init__(convert_charrefs=convert_charrefs)
        self.parts: list[str] = []
        self._silent = 0

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag in _section_tags():
            self.parts.append(f"\n{tag.upper()}:\n")
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag in _BLOCKS or tag in _section_tags():
            self.parts.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._silent:
            self.parts.append(data)
