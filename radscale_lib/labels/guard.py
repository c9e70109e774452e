"""Texts that address a model instead of describing a film: nothing is read from them."""

import re

INSTRUCTS = "addresses a model"
"""Why the labels of such a text are missing."""

_INSTRUCTIONS = re.compile(
    r"""
    \b(?:ignore|disregard|forget|override)\s+(?:\w+\s+){0,3}?
        (?:above|previous|preceding|prior|earlier|instructions?|prompts?|rules?)\b
    | \b(?:system|developer)\s+(?:prompt|message|instruction)
    | \b(?:language\s+model|chatgpt|gpt-?\d|chatbot|ai\s+assistant)\b
    | \b(?:you\s+are|act\s+as|pretend\s+to\s+be)\s+(?:now\s+)?an?\s+(?:\w+\s+)?
        (?:ai|model|assistant|chatbot|labell?er)\b
    | \b(?:answer|respond|reply|output|return)\s+(?:only\s+)?(?:with|in|as)\s+(?:\w+\s+)?
        (?:json|yaml|xml)\b
    | \b(?:label|mark|classify|report|flag)\s+(?:\w+\s+){0,4}?as\s+
        (?:present|absent|positive|negative|true|false|uncertain)\b
    | \b(?:ignorieren?|vergiss|missachte)\s+(?:sie\s+)?(?:\w+\s+){0,3}?
        (?:obige\w*|vorherige\w*|anweisung\w*)
    | \b(?:ignora|olvida|ignore|oublie)\s+(?:\w+\s+){0,4}?
        (?:instruc\w+|instruç\w+|anterior\w*|précédent\w*)
    | <\|[a-z_]+\|> | \[/?INST\] | <</?SYS>> | </?(?:system|assistant|report|user)>
    | ^[^\S\n]*(?:system|assistant|user)\s*:
    | ["'](?:state|labels?)["']\s*:
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_HIDDEN = re.compile(
    "[\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)


def instructs(text: str) -> bool:
    """Whether a text addresses a model, be it with letters that do not show between its own."""
    return bool(_INSTRUCTIONS.search(_HIDDEN.sub("", text)))
