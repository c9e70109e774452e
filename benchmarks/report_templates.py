"""Fill report templates with names, dates and numbers of each language.

A template is a line of JSON, {"id": …, "text": …}; its placeholders are

    {header:name|family|given|id|accession|birthdate|referrer}   what the DICOM header has
    {other:name|full}, {other:name|family}, {other:name|titled}  persons that it has not
    {date}, {date|words}, {date|short}, {date|iso}, {time}
    {phone}, {phone|intl}, {pager}, {number:record}

{header:name} may be followed by |comma, |natural or |upper. Everything else should be kept.

Names are drawn from those below, or from a `names.json` beside the templates,
{"<language>": {"given": […], "family": […]}}.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from radscale_lib.archive.scrub import MARK, scrubber

PLACEHOLDER = re.compile(r"\{([a-z]+(?::[a-z]+)?(?:\|[a-z]+)*)\}")

GIVEN = {
    "en": "Oluwaseun Katarzyna Thandiwe Maeve Xiomara Ravi Solveig Ines Tariq Leopold Eleanor "
    "Marcus Priscilla Dmitri Hyejin Anneliese Desmond Yolanda Rupert Nadia",
    "de": "Jürgen Käthe Ansgar Friederike Mehmet Svetlana Hans-Jörg Annegret Björn Ayşe Wolfram "
    "Mechthild Tjark Elfriede Zoran Gerlinde Bartosz Heidrun Lennart Roswitha",
    "es": "María José Ramón Begoña Íñigo Yolanda Aurelio Encarnación Wilfredo Nieves Joaquín "
    "Ximena Plácido Rosario Facundo Maite Eulalia Octavio Leire Baltasar",
    "fr": "Amélie Jean-Baptiste Océane Thibault Fatoumata Loïc Ghislaine Maël Bérengère Youssef "
    "Anne-Lise Gaspard Solenne Cédric Odile Armand Noémie Régis Clotilde Hippolyte",
    "pt": "João Iracema Thiago Conceição Valdemar Luzia Estêvão Jussara Gonçalo Dulce Everton "
    "Mafalda Ubirajara Inês Raimundo Benedita Caetano Ivonete Tomé Florbela",
    "zh": "小明 丽华 建国 秀英 志强 婷 海燕 子轩 雪 文博",
}
FAMILY = {
    "en": "Okonkwo Wisniewska Dlamini Lindqvist McAllister Villanueva Krishnamurthy Petrova "
    "Achterberg Al-Rashid D'Angelo Fonseca Underwood O'Sullivan Featherstone Nakagawa Haverford "
    "Pettigrew Szymanski Abernathy",
    "de": "Kowalczyk Großmann Schäuble Özdemir Weißenborn Fürstenau Brüggemann Lüttich Petersen "
    "Zillmann Abel-Horn Jankowski Thießen Hückelhoven Morgenroth Szabo Dudek Krämer-Voss "
    "Löwenstein Quandt",
    "es": "Echeverría Ordóñez Villalobos Zubizarreta Quintanilla Peñalver Ibáñez Arrizabalaga "
    "Montesinos Cárdenas Urrutia Benavides Saldívar Escudero Larrañaga Céspedes Bustamante "
    "Iglesias Valverde Zurita",
    "fr": "Lefèvre Beauchêne Delacroix Guéguen Benhaddou Charpentier Vasseur Le-Goff Thévenin "
    "Marchand Ouédraogo Desrosiers Faucher Lemoine Pélissier Arsenault Kerbrat Bourgeois Sauvage "
    "Chevallier",
    "pt": "Albuquerque Figueiredo Nascimento Guimarães Cavalcanti Assunção Bittencourt Magalhães "
    "Quaresma Vasconcelos Sepúlveda Brandão Noronha Teixeira Portela Meireles Camargo Fagundes "
    "Tavares Queiroz",
    "zh": "王 李 张 刘 陈 欧阳 赵 周 徐 孙",
}
ALPHABETIC = {"zh": ("Wang", "Xiaoming")}
TITLES = {
    "en": ["Dr. {}", "Dr {}", "Mrs. {}", "Mr. {}", "Ms. {}", "Prof. {}"],
    "de": ["Dr. {}", "Frau Dr. {}", "Herr {}", "Frau {}", "Prof. Dr. {}", "Dr. med. {}"],
    "es": ["Dr. {}", "Dra. {}", "Sra. {}", "Sr. {}", "Dña. {}"],
    "fr": ["Dr {}", "Docteur {}", "Mme {}", "M. {}", "Pr {}"],
    "pt": ["Dr. {}", "Dra. {}", "Sra. {}", "Sr. {}", "Enf. {}"],
    "zh": ["{}医生", "{}主任", "{}医师", "{}护士"],
}
MONTHS = {
    "en": "January February March April May June July August September October November December",
    "de": "Januar Februar März April Mai Juni Juli August September Oktober November Dezember",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre "
    "diciembre",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "pt": "janeiro fevereiro março abril maio junho julho agosto setembro outubro novembro "
    "dezembro",
}
DATES = {
    "en": ["{m}/{d}/{y}", "{m:02}/{d:02}/{y}", "{d:02}/{m:02}/{y}", "{m}-{d}-{y}", "{d}.{m}.{y}"],
    "de": ["{d:02}.{m:02}.{y}", "{d}.{m}.{y}", "{d}. {m}. {y}"],
    "es": ["{d:02}/{m:02}/{y}", "{d}/{m}/{y}", "{d:02}-{m:02}-{y}"],
    "fr": ["{d:02}/{m:02}/{y}", "{d}/{m}/{y}", "{d:02}.{m:02}.{y}"],
    "pt": ["{d:02}/{m:02}/{y}", "{d}/{m}/{y}", "{d:02}-{m:02}-{y}"],
    "zh": ["{y}年{m}月{d}日", "{y}-{m:02}-{d:02}", "{y}/{m}/{d}", "{y}.{m:02}.{d:02}"],
}
WORDS = {
    "en": ["{d} {month} {y}", "{month} {d}, {y}", "{month} {y}", "{d} {mon} {y}", "{mon} {d}, {y}",
           "{month} {d}", "the {d}th of {month} {y}"],
    "de": ["{d}. {month} {y}", "{d}. {mon}. {y}", "{month} {y}", "{d}. {month}"],
    "es": ["{d} de {month} de {y}", "{d} de {month} del {y}", "{month} de {y}", "{d} {mon} {y}",
           "{d} de {month}"],
    "fr": ["{d} {month} {y}", "{month} {y}", "{d} {month}", "1er {month} {y}"],
    "pt": ["{d} de {month} de {y}", "{month} de {y}", "{d} de {month}", "{d}/{mon}/{y}"],
    "zh": ["二〇一九年三月五日", "{y}年{m}月", "二零二一年十二月二十日"],
}  # fmt: skip
SPELT = {
    "en": ["third of May two thousand nineteen", "twenty-first of March, 2020"],
    "de": ["dritten Mai zweitausendneunzehn", "einundzwanzigsten März zweitausendzwanzig"],
    "es": ["tres de mayo de dos mil diecinueve", "veintiuno de marzo de dos mil veinte"],
    "fr": ["trois mai deux mille dix-neuf", "vingt et un mars deux mille vingt"],
    "pt": ["três de maio de dois mil e dezenove", "vinte e um de março de dois mil e vinte"],
    "zh": ["二〇二〇年三月二十一日"],
}
SHORT = {
    "en": ["{m}/{d}/{s:02}", "{m:02}/{d:02}/{s:02}"],
    "de": ["{d}.{m}.{s:02}", "{d:02}.{m:02}.{s:02}", "{d}.{m}.", "{d:02}.{m:02}."],
    "es": ["{d}/{m}/{s:02}", "{d:02}-{m:02}-{s:02}"],
    "fr": ["{d:02}/{m:02}/{s:02}", "{d}.{m}.{s:02}"],
    "pt": ["{d:02}/{m:02}/{s:02}", "{d}/{m}/{s:02}"],
    "zh": ["{m}月{d}日", "{y}年{m}月"],
}
TIMES = {
    "en": ["{h}:{n:02}", "{h:02}:{n:02}", "{q}:{n:02} pm", "{q} PM"],
    "de": ["{h}:{n:02}", "{h:02}:{n:02} Uhr", "{h}.{n:02} Uhr", "{h} Uhr"],
    "es": ["{h:02}:{n:02}", "{h}:{n:02} h", "{h:02}:{n:02} horas"],
    "fr": ["{h}h{n:02}", "{h} h {n:02}", "{h:02}:{n:02}", "{h}h"],
    "pt": ["{h}h{n:02}", "{h:02}:{n:02}", "{h}:{n:02}h", "{h}h"],
    "zh": ["{h}:{n:02}", "{h}时{n}分", "{h}点{n:02}分"],
}
PHONES = {
    "en": ["(###) ###-####", "###-###-####", "###.###.####", "020 7### ####", "0161 ### ####"],
    "de": ["089/###-####", "0#### ######", "030 ########", "0171-#######", "(0221) ###-###"],
    "es": ["9# ### ## ##", "6## ### ###", "9########", "6## ## ## ##", "9##-###-###"],
    "fr": ["01 ## ## ## ##", "06.##.##.##.##", "04########", "02-##-##-##-##"],
    "pt": ["(11) 9####-####", "(21) ####-####", "21# ### ###", "9## ### ###", "11 ####-####"],
    "zh": ["138########", "010-########", "021-#######", "139 #### ####"],
}
INTERNATIONAL = {
    "en": ["+1 ###-###-####", "+44 20 7### ####", "+1 (###) ###-####"],
    "de": ["+49 89 ######", "+49 (0)221 ###-##", "0049 171 #######", "+43 1 #######"],
    "es": ["+34 6## ### ###", "+34 9# ### ## ##", "0034 9## ## ## ##", "+52 55 #### ####"],
    "fr": ["+33 1 ## ## ## ##", "+33 (0)6 ## ## ## ##", "0033 4 ## ## ## ##", "+32 2 ### ## ##"],
    "pt": ["+55 11 9####-####", "+351 21# ### ###", "+55 (21) ####-####"],
    "zh": ["+86 138 #### ####", "+86-10-########"],
}
KINDS = {
    "header": "header",
    "other": "other names",
    "date": "dates and times",
    "time": "dates and times",
    "phone": "telephones",
    "pager": "telephones",
    "number": "record numbers",
}


@dataclass
class Filled:
    """A report made from a template."""

    template: str
    text: str = ""
    identifiers: tuple[str, ...] = ()
    """As the header has them."""
    planted: list[tuple[str, int, int]] = field(default_factory=list)
    """Kind, start and end of each planted identifier."""


@dataclass
class _Person:
    given: str
    family: str


class _Names(NamedTuple):
    """Names with which reports are filled."""

    given: list[str]
    family: list[str]


def _names_beside(path: Path) -> _Names:
    code, own = path.stem, path.with_name("names.json")
    if own.exists():
        return _Names(**json.loads(own.read_text(encoding="utf-8"))[code])
    return _Names(GIVEN[code].split(), FAMILY[code].split())


class _Filler:
    """The values of one report."""

    def __init__(self, code: str, rng: random.Random, names: _Names) -> None:
        self._code, self._rng, self._names = code, rng, names
        self.patient, self.referrer = self._person(), self._person()
        self.id = self._digits(rng.choice(["######", "########", "0#######", "P######"]))
        self.accession = self._digits(
            rng.choice(["########", "A#######", "XR-######", "##########"])
        )
        self._day = rng.randrange(1, 29), rng.randrange(1, 13), rng.randrange(1930, 2020)
        day, month, year = self._day
        self.birthdate = f"{year}{month:02}{day:02}"

    def identifiers(self) -> tuple[str, ...]:
        """The identifiers in the header, in DICOM's form."""
        return (
            self._dicom(self.patient),
            self.id,
            self.accession,
            self._dicom(self.referrer),
            self.birthdate,
        )

    def value(self, placeholder: str) -> str:
        """What stands for a placeholder; between null characters, if not all of it is planted."""
        name, *forms = placeholder.split("|")
        match name.split(":"):
            case ["header", what]:
                return self._header(what, forms)
            case ["other", "name"]:
                person = self._person()
                full = self._natural(person)
                if "titled" in forms:
                    name = person.family if self._rng.random() < 0.6 else full
                    return self._rng.choice(TITLES[self._code]).format(f"\0{name}\0")
                return person.family if "family" in forms else full
            case ["date"]:
                return self._date(forms)
            case ["time"]:
                hour, minute = self._rng.randrange(1, 24), self._rng.randrange(60)
                return self._rng.choice(TIMES[self._code]).format(
                    h=hour, n=minute, q=(hour - 1) % 12 + 1
                )
            case ["phone"]:
                table = INTERNATIONAL if "intl" in forms else PHONES
                return self._digits(self._rng.choice(table[self._code]))
            case ["pager"]:
                return self._digits(self._rng.choice(["####", "#####", "##-####"]))
            case ["number", _]:
                return self._digits(
                    self._rng.choice(["######", "########", "##/######", "##########"])
                )
        raise ValueError(f"unknown placeholder {placeholder!r}")

    def _header(self, what: str, forms: list[str]) -> str:
        patient = self.patient
        if what == "birthdate":
            return self._date(forms, self._day)
        if what == "referrer":
            return (
                self.referrer.family if self._rng.random() < 0.5 else self._natural(self.referrer)
            )
        value = {
            "id": self.id,
            "accession": self.accession,
            "family": patient.family,
            "given": patient.given,
        }.get(what)
        if value is None:
            comma = f"{patient.family}, {patient.given}"
            natural = self._natural(patient)
            value = comma if "comma" in forms and self._code != "zh" else natural
        return value.upper() if "upper" in forms else value

    def _date(self, forms: list[str], day: tuple[int, int, int] | None = None) -> str:
        rng, code = self._rng, self._code
        d, m, y = day or (rng.randrange(1, 29), rng.randrange(1, 13), rng.randrange(2005, 2026))
        if "iso" in forms:
            return f"{y}-{m:02}-{d:02}"
        if "words" in forms and day is None and rng.random() < 0.15:
            return rng.choice(SPELT[code])
        table = WORDS if "words" in forms else SHORT if "short" in forms else DATES
        month = MONTHS[code].split()[m - 1] if code in MONTHS else ""
        if "words" in forms:
            d += d in (1, 2, 3, 21, 22, 23) and code == "en"
        return rng.choice(table[code]).format(d=d, m=m, y=y, s=y % 100, month=month, mon=month[:3])

    def _person(self) -> _Person:
        return _Person(self._rng.choice(self._names.given), self._rng.choice(self._names.family))

    def _natural(self, person: _Person) -> str:
        if self._code == "zh":
            return person.family + person.given
        return f"{person.given} {person.family}"

    def _dicom(self, person: _Person) -> str:
        if self._code in ALPHABETIC:
            family, given = ALPHABETIC[self._code]
            return f"{family}^{given}={person.family}^{person.given}"
        return f"{person.family}^{person.given}"

    def _digits(self, pattern: str) -> str:
        return re.sub("#", lambda _: self._rng.choice("0123456789"), pattern)


def fill(path: Path, seed: int = 1) -> Iterator[Filled]:
    """The reports made of a file of templates, whose name is its language's code."""
    code, names = path.stem, _names_beside(path)
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines()):
        if not line.strip():
            continue
        row = json.loads(line)
        filler = _Filler(code, random.Random(f"{seed} {code} {number}"), names)
        report = Filled(row["id"], identifiers=filler.identifiers())
        end = 0
        for match in PLACEHOLDER.finditer(row["text"]):
            report.text += row["text"][end : match.start()]
            value = filler.value(match[1])
            kind = KINDS[re.split(r"[:|]", match[1])[0]]
            before, planted, after = value.split("\0") if "\0" in value else ("", value, "")
            start = len(report.text) + len(before)
            report.planted.append((kind, start, start + len(planted)))
            report.text += before + planted + after
            end = match.end()
        report.text += row["text"][end:]
        yield report


@dataclass
class Score:
    """The results of scrubbing the templates of a language."""

    found: Counter[str] = field(default_factory=Counter)
    planted: Counter[str] = field(default_factory=Counter)
    kept: int = 0
    words: int = 0
    """Words (of Chinese, letters) that are not part of an identifier."""
    missed: list[str] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def score(path: Path, seed: int = 1) -> Score:
    """Scrub the reports made of a file of templates.

    A name is found if none of its words of three letters or more is left, all else if none of its
    letters and figures is.
    """
    total = Score()
    chinese = path.stem == "zh"
    word = re.compile(r"[\u4e00-\u9fff]|[A-Za-z0-9]+" if chinese else r"\S+")
    for report in fill(path, seed):
        scrubbed = scrubber(path.stem).scrub(report.text, report.identifiers)
        gone = removed(report.text, scrubbed, MARK)
        planted = [False] * len(report.text)
        for kind, start, end in report.planted:
            planted[start:end] = [True] * (end - start)
            is_name = kind in ("header", "other names") and not chinese
            fewest = 3 if is_name else 1
            parts = re.finditer(r"[^\W_]+", report.text[start:end])
            whole = all(
                all(gone[start + part.start() : start + part.end()])
                for part in parts
                if part.end() - part.start() >= fewest
            )
            total.planted[kind] += 1
            total.found[kind] += whole
            if not whole:
                total.missed.append(f"{report.template} {kind}")
        for match in word.finditer(report.text):
            start, end = match.span()
            if any(planted[start:end]) or not any(map(str.isalnum, match[0])):
                continue
            total.words += 1
            total.kept += not any(gone[start:end])
            if any(gone[start:end]):
                total.lost.append(match[0])
    return total


def removed(text: str, scrubbed: str, mark: str) -> list[bool]:
    """For each letter of a text, whether scrubbing removed it."""
    pieces = [re.escape(piece) for piece in scrubbed.split(mark)]
    match = re.fullmatch("(.+?)".join(pieces), text, re.DOTALL)
    assert match, "scrubbing only replaces"
    gone = [False] * len(text)
    for group in range(1, len(pieces)):
        start, end = match.span(group)
        gone[start:end] = [True] * (end - start)
    return gone
