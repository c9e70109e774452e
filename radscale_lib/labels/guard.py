"""Detect texts that address a model instead of describing a film; they are not read.

The patterns need both an order, such as "ignore", and an object that only a model would be told to
ignore, such as "the above". A report to be disregarded, a model that drew a box, or a film that
"was read as negative" does not match. They cover all languages with cues, whatever the archive's,
and plain orders in Chinese, Japanese and Russian, and are applied to folded text.
"""

import re
import unicodedata

INSTRUCTS = "addresses a model"
"""The reason for the missing labels of such a text."""

_GAP = r"[^.!?;:]{0,50}?\b"
"""A few words of the same sentence."""
_START = r"(?:^|[.!?;:,]\s*|\b(?:and|then|please|now|to|und|bitte|et|puis|y|e|luego|depois)\s+)"
"""The beginning of an order."""
_ALONE = r"(?=\s*(?:[.,;:!?)]|$)|\s+(?:and|or|then|und|et|y|e)\b)"
"""Follows words that are not part of a longer phrase, as "the above" is in "the above finding"."""

_LEAVE = (
    "(?:ignore|disregard|forget|override|bypass|do not follow|don t follow|do not obey"
    "|pay no attention to|ignorier(?:e|en sie)|vergiss|vergessen sie|missachte|missachten sie"
    "|befolgen? (?:sie )?nicht|ignorez|oublie|oubliez|neglige[rz]?|tiens pas compte"
    "|tenez pas compte|pas tenir compte|fais abstraction|faites abstraction|ignora"
    "|ignor[ae]r|ignoren"
    "|olvid[ae]|olviden|caso omiso|no tengas? en cuenta|(?:no|nao) sigas?|ignorem|esqueca"
    "|esquece|esquecam"
    "|desconsidere|desconsidera|desconsiderem|desconsiderar)"
)
_TO_OTHERS = (
    r"(?!\s+(?:to|for|from)\s+(?:the\s+)?(?:nurs|patient|staff|team|ward|physician|clinician|doctor"
    r"|technolog|surgeon|resident|icu|family))"
)
"""Excludes instructions to people."""
_WHAT = (
    r"(?:(?:previous|prior|preceding|earlier|above|all|any|the|your|these|those) instructions?"
    rf"{_TO_OTHERS}"
    r"|instructions? above|prompts?|(?:the|your|all|any|these|labell?ing) (?:rules|definitions)"
    rf"|(?:prior|previous) rules|(?:the|all|everything|text|of) above{_ALONE}"
    r"|everything (?:above|before|you)|what you were told|all (?:of )?(?:that|this) came before"
    r"|anweisung(?:en)?|instruktion(?:en)?|(?:die|alle|obigen|bisherigen|vorherigen) (?:regeln|"
    r"vorgaben|definitionen)|text oben|obige[nr]? text|das (?:obige|vorherige|vorangehende)"
    r"|alles,? (?:was|oben|obige|bisherige|vorherige|davor|vorher)"
    rf"|instructions\b{_TO_OTHERS}|consignes?|ce qui precede|tout ce qui"
    r"|texte (?:ci dessus|precedent)|les regles"
    rf"|(?:tout|le texte) ci dessus|ci dessus{_ALONE}"
    r"|instruccion(?:es)?|(?:todo )?lo (?:anterior|de arriba|dicho|previo)|texto (?:de arriba|"
    rf"anterior|previo)|las reglas|las ordenes|(?:todo|de) arriba{_ALONE}"
    r"|instruc(?:ao|oes)|tudo (?:acima|o que|que|isso)|texto (?:acima|anterior)|o que precede"
    rf"|o que vem|as regras|todas as regras|(?:o|tudo) acima{_ALONE})"
)
_MODEL = (
    r"(?:ai|ki|ia|llms?|gpt\w*|chatgpt|chatbot|assistant|assistent|asistente|assistente|pirat[ae]"
    r"|language model|sprachmodell|modele(?: de langage)?|modelo(?: de l\w+)?|model|modell"
    r"|labell?er|annotator|inteligencia artificial|intelligence artificielle)"
)
_KIND = (
    r"(?:\s+(?:now|just|no longer|not|an?|the|my|helpful|new|honest|medical|radiology|large|expert"
    r"|ai|ki|ia|jetzt|nun|eine?|kein|hilfreicher|maintenant|desormais|une?|ahora|agora|uma?|el|o"
    r"|usted))*"
)
_BE = (
    "(?:you (?:now )?are|you re|act as|pretend to be|pretend you are|behave as|du bist"
    "|sie sind|handle als|verhalte dich wie|agiere als|tu es|vous etes|agis(?:sez)? comme"
    "|comporte toi comme|eres"
    "|usted (?:ahora )?es|es usted|actua como|actue como|voce (?:agora )?e|aja como|atue como"
    "|haja como)"
)
_SAY = (
    "(?:answer|respond|reply|output|return|print|write|antworte|antworten sie|gib|geben sie"
    "|repond[sz]?|repondez|ecris|ecrivez|responde|responda|contesta|conteste|escribe|escreva)"
)
_ONLY = (
    "(?:only|just|exactly|nur|ausschliesslich|uniquement|seulement|solo|solamente|unicamente"
    "|apenas|somente|so)"
)
_BY = "(?:with|in|as|the word|mit|als|in|par|avec|en|con|com|em)"
_FORMAT = r"(?:valid |the |ein |du |un |um )?(?:json|yaml|xml)\b"
_STATE = (
    "(?:present|absent|positive|negative|true|false|uncertain|normal|not mentioned|vorhanden"
    "|abwesend|fehlend|nicht vorhanden|positiv|negativ|unsicher|presente?s?|absente?s?"
    "|positi[fv]e?s?|negati[fv]e?s?|ausentes?|positiv[oa]s?|negativ[oa]s?|incert[oa]s?"
    "|inciert[oa]s?)"
)
_LABEL = (
    "(?:label|mark|classify|annotate|tag|(?:report|flag|set|rate) (?:all|every|each|everything|any)"
    "|markier(?:e|en sie)|kennzeichne(?:n sie)?|klassifizier(?:e|en sie)|labe?le(?:n sie)?"
    "|etiquetez?|marquez?|classez?|etiqueta|etiquete|marca|marque|clasifica|clasifique"
    "|classifique|classifica|rotule|rotula)"
)
_SET = "(?:set|change|setze(?:n sie)?|mets|mettez|pon|ponga|establece|defina|coloque)"
_EVERYTHING = (
    "(?:all|every|everything|each|alle|alles|jedes|tout(?:es)?|tous|chaque|todos|todas|todo|cada"
    "|tudo)"
)

_WORDS = (
    rf"{_LEAVE}\b{_GAP}{_WHAT}\b",
    rf"{_LEAVE}\s+(?:tudo )?(?:o que|lo que|ce qui|was|what)\b{_GAP}(?:above|before|oben|plus haut"
    r"|ci dessus|avant|arriba|antes|acima|anteriormente)\b",
    rf"{_BE}{_KIND}\s+{_MODEL}\b(?!\s+on duty)",
    rf"(?:if you are|as|als|en tant qu|como){_KIND}\s+(?:ai|ki|ia|llm|language model|sprachmodell"
    r"|modele de langage|modelo de lengua\w+|modelo de lingua\w+)\b"
    rf"(?=,| you\b| must\b| please\b| {_SAY})",
    r"(?:dear|hey|hello|hi|attention|attn|note to|message to|instructions? (?:to|for)|hinweis an"
    r"|nachricht an|an|note (?:au|a l|pour)|nota (?:al|para))"
    rf"(?:\s+(?:any|the|this|our|das|die|den|le|la|el|o|all))?\s+{_MODEL}s?\s*[,:!]",
    rf"you\s+(?:must|should|shall|will|have to|need to)\s+(?:{_SAY}|{_LABEL}|{_LEAVE}|say)\b",
    r"(?:new|updated|real|neue|nouvelles?|nuevas?|novas?)\s+(?:instructions?|anweisung(?:en)?"
    r"|consignes?|instruccion(?:es)?|instruc(?:ao|oes)|task|aufgabe)\s*:",
    r"(?:your|deine|ihre|ta|votre|tu|su|sua)\s+(?:new |real |only |neue |nouvelle |nueva |nova )?"
    r"(?:task|instructions?|aufgabe|tache|tarea|tarefa)\s+(?:is|are|ist|lautet|est|es|e)\b",
    r"(?:from now on|ab jetzt|ab sofort|desormais|dorenavant|a partir de (?:ahora|agora|maintenant)"
    r"|(?:de ahora|de agora|daqui) (?:en|em) (?:adelante|diante)),?\s+"
    rf"(?:you|bist|antworte|tu|vous|voce|eres|{_SAY})\b",
    r"the correct (?:answer|label|state)s?\b(?!\s+is\s+[lr]\b)",
    r"(?:ai|llm|language model|assistant|chatbot|model)s?\s+(?:that |who |which )?"
    r"(?:read|process|see|label|pars)\w*\s+(?:this|the)\b[^.!?;:]{0,20}?"
    r"\b(?:should|must|shall|will|has to|is to)\b",
    r"(?:system|admin|administrator|developer)\s+(?:override|message|mode)\s*:",
    r"json\s+(?:output\s+|answer\s+|response\s+)?(?:must|should|shall|has to)\b",
    r"(?:print|show|reveal|repeat|display)\s+(?:me\s+)?(?:your|the system)\s+"
    r"(?:instructions?|prompt|rules)\b",
    r"(?:system|developer)\s+(?:prompt|instructions?)\b",
    r"(?:jailbreak|prompt injection)\b",
)
_ORDERS = (
    rf"{_SAY}\s+(?:sie\s+)?(?:{_ONLY}\s+)?(?:{_BY}\s+)?{_FORMAT}",
    rf"(?:you\s+)?{_SAY}\s+(?:sie\s+)?{_ONLY}\s+(?:{_BY}|yes|no)\b",
    rf"{_SAY}\s+(?:{_ONLY}\s+)?(?:{_BY}\s+)?(?:the word|das wort|le mot|la palabra|a palavra)\b",
    r"(?:answer|antworte(?:n sie)?|repond[sz]?|repondez)\s+(?:with|mit|par)\s+"
    r"(?:yes|no|the word|ja|nein|oui|non|json)\b",
    rf"{_LABEL}\s+(?!as\b|als\b|comme\b|como\b)\w{_GAP}(?:as|to be|als|comme|como)\s+{_STATE}\b",
    rf"{_LABEL}\s+{_EVERYTHING}\b{_GAP}{_STATE}\b",
    rf"{_SET}\s+(?:the\s+)?{_EVERYTHING}\b{_GAP}(?:to|as|auf|als|a|en|como|para)\s+{_STATE}\b",
    rf"output\s+{_STATE}\s+(?:for\s+(?:all|every|each|the|this)|everywhere|only)\b",
)
_LINES = (
    r"#+[^\S\n]*(?:system|assistant|instructions?|response|prompt)\b",
    r"(?:system|assistant|user|human)\s*:\s*(?:you\b|the labels?\b|sure\b|ok\b|\{"
    rf"|{_LEAVE}\b|{_LABEL}\b|{_SAY}\b)",
)
_MARKS = (
    r"<\|[a-z ]{1,40}\|>",
    r"(?:忽略|无视|無視|忘记|不要理会)[^。\n]{0,12}(?:指令|指示|说明|提示|规则|要求|命令)",
    r"(?:指示|命令|指令)[^。\n]{0,4}(?:無視|忘れ)",
    r"(?:全部|所有)[^。\n]{0,6}(?:标为|标记为|标注为|输出)[^。\n]{0,4}(?:阳性|阴性|存在)",
    r"(?:игнорируи|забудь|не обращаи)(?:те)?[^.\n]{0,30}(?:инструкци|указани|команд|правил)",
    r"\[/?inst\]",
    r"<</?sys>>",
    r"</?(?:system|assistant|report|user|instructions?)>",
    r"(?:\"|\{\s*\"?)(?:states?|labels?|evidence)\"?\s*:",
)
_INSTRUCTIONS = re.compile(
    rf"\b(?:{'|'.join(_WORDS)})|{_START}(?:{'|'.join(_ORDERS)})"
    rf"|^[^\S\n]*(?:{'|'.join(_LINES)})|{'|'.join(_MARKS)}",
    re.MULTILINE,
)
_HIDDEN = re.compile(
    "[\u00ad\u0300-\u036f\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f"
    "]"
)
_LOOKALIKES = str.maketrans("авеікмнорстухјѕԁαβεικνορτυχ", "abeikmhopctyxjsdabeikvoptux")
"""Cyrillic and Greek letters, in lower case, that look like Latin ones."""
_DIGITS = str.maketrans("013457@$", "oieastas")
_MIXED = re.compile(r"(?=[\d@$]*[a-z])(?=[a-z]*[\d@$])[a-z\d@$]{3,20}")
"""Words with letters and digits, such as "ign0re"."""
_APOSTROPHES = str.maketrans(dict.fromkeys("_'`-\u2019\u00b4\u2010\u2011\u2013", " ") | {"ß": "ss"})


def instructs(text: str) -> bool:
    """Whether a text addresses a model, even with hidden letters, lookalikes or digits."""
    folded = _folded(text)
    forms = {folded, folded.translate(_LOOKALIKES)}
    forms |= {_MIXED.sub(lambda word: word[0].translate(_DIGITS), form) for form in forms}
    return any(_INSTRUCTIONS.search(form) for form in forms)


def _folded(text: str) -> str:
    """Lower case, without accents and hidden letters; marks within words become blanks."""
    if not text.isascii():
        text = _HIDDEN.sub("", unicodedata.normalize("NFKD", text))
    return text.lower().translate(_APOSTROPHES)
