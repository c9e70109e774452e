"""Measure how many identifiers the scrubbing of report texts finds in synthetic reports.

Identifiers of every kind are planted in sentences of radiology reports. For half of the reports,
the image header has the patient's name and numbers, as in an archive; for the other half nothing is
known. A planted identifier is found if no part of it of three characters or more is left. One set
of names and sentences was available when the rules were made; the other was written afterwards (it
led to two rules: docs/measured/privacy.md has the results before and after). Sentences without
identifiers, with the eponyms and devices of chest radiography, show what is removed needlessly.

    python benchmarks/deidentify.py --reports 2000
    python benchmarks/deidentify.py --templates benchmarks/templates

The second fills templates not written by the rules' author, in several languages
(`benchmarks/report_templates.py` says how).
"""

import argparse
import random
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.report_templates import score
from benchmarks.tables import write_between_marks
from radscale_lib.archive.scrub import scrub

GIVEN = [
    "Aaliyah",
    "Agnieszka",
    "Ahmed",
    "Akiko",
    "Alejandra",
    "Amara",
    "Anna",
    "Babak",
    "Beatriz",
    "Brian",
    "Chidi",
    "Chloe",
    "Dmitri",
    "Elif",
    "Emeka",
    "Fatima",
    "Gabriel",
    "Giulia",
    "Hannah",
    "Hiroshi",
    "Ingrid",
    "Jamal",
    "Joy",
    "Kwame",
    "Lakshmi",
    "Liam",
    "Mei",
    "Mia",
    "Ngozi",
    "Olga",
    "Pablo",
    "Priya",
    "Quentin",
    "Rohan",
    "Sanjay",
    "Siobhan",
    "Tomasz",
    "Uma",
    "Wei",
    "Yusuf",
    "Zoe",
]
FAMILY = [
    "Abdullah",
    "Adeyemi",
    "Andersson",
    "Bauer",
    "Begum",
    "Castillo",
    "Chen",
    "Costa",
    "Dubois",
    "Eriksen",
    "Fitzgerald",
    "Garcia",
    "Green",
    "Haddad",
    "Hoffmann",
    "Ito",
    "Ivanova",
    "Jensen",
    "Kaya",
    "Khan",
    "Kowalski",
    "Lang",
    "Long",
    "Moreau",
    "Nakamura",
    "Nguyen",
    "O'Brien",
    "Okafor",
    "Park",
    "Patel",
    "Quinn",
    "Rossi",
    "Saleh",
    "Schmidt",
    "Silva",
    "Singh",
    "Smith-Jones",
    "Takahashi",
    "Vasquez",
    "Weaver",
    "Wong",
    "Yilmaz",
    "Young",
    "Zhang",
]
MONTHS = "January February March April May June July August September October November December"
PLAIN = (
    "The lungs are clear.",
    "Heart size is at the upper limits of normal, cardiothoracic ratio 0.52.",
    "Endotracheal tube tip 3.5 cm above the carina.",
    "There is a 12 x 8 mm nodule in the right upper lobe, previously 10 x 7 mm.",
    "Degenerative change at T4/5 and L1-L2.",
    "No pneumothorax. Small left effusion.",
    "Right PICC line tip in the SVC.",
    "Mild interstitial oedema, Kerley B lines. Grade 2/6 changes.",
    "Sternal wires and mediastinal clips following CABG.",
    "AP view, patient rotated to the right.",
)


@dataclass
class Patient:
    """The patient of a report."""

    given: str
    family: str
    record: str
    accession: str


@dataclass
class Planted:
    """A report with its planted identifiers."""

    text: str
    identifiers: dict[str, str] = field(default_factory=dict)
    known: tuple[str, ...] = ()


def _date(rng: random.Random) -> str:
    year, month, day = rng.randrange(1995, 2026), rng.randrange(1, 13), rng.randrange(1, 29)
    name = MONTHS.split()[month - 1]
    return rng.choice(
        [
            f"{day}/{month}/{year}",
            f"{month:02}/{day:02}/{year % 100:02}",
            f"{year}-{month:02}-{day:02}",
            f"{day}.{month}.{year}",
            f"{day} {name} {year}",
            f"{name} {day}, {year}",
            f"{name[:3]} {day}",
            f"{day}{('th', 'st')[day == 1]} of {name} {year}",
            f"{name} {year}",
            f"{day}-{name[:3]}-{year}",
        ]
    )


def _digits(rng: random.Random, count: int) -> str:
    return "".join(rng.choice("0123456789") for _ in range(count))


def _phone(rng: random.Random) -> str:
    a, b, c = _digits(rng, 3), _digits(rng, 3), _digits(rng, 4)
    return rng.choice(
        [
            f"({a}) {b}-{c}",
            f"{a}-{b}-{c}",
            f"+44 {a} {b} {c}",
            f"{a}.{b}.{c}",
            f"ext. {c}",
            f"pager {c}5",
        ]
    )


Plant = Callable[[random.Random, Patient], tuple[str, str]]


def _person(rng: random.Random) -> str:
    return f"{rng.choice(GIVEN)} {rng.choice(FAMILY)}"


SENTENCES: dict[str, tuple[Plant, ...]] = {
    "patient's name": (
        lambda r, p: (f"{p.given} {p.family} reports cough.", f"{p.given} {p.family}"),
        lambda r, p: (f"Follow-up of {p.family.upper()}, {p.given}.", f"{p.family} {p.given}"),
        lambda r, p: (f"Mr {p.family} has a new line.", p.family),
        lambda r, p: (f"Compared with {p.family}'s last film.", p.family),
    ),
    "clinician's name": (
        lambda r, p: (lambda n: (f"Discussed with Dr. {n}.", n))(_person(r)),
        lambda r, p: (lambda n: (f"Reported by: {n}, MD", n))(_person(r)),
        lambda r, p: (lambda n: (f"Findings were telephoned to {n}.", n))(_person(r)),
        lambda r, p: (lambda n: (f"Attending: {n}.", n))(_person(r)),
        lambda r, p: (lambda n: (f"Seen in clinic by colleague {n}.", n))(_person(r)),
    ),
    "date": (
        lambda r, p: (lambda d: (f"Comparison: {d}.", d))(_date(r)),
        lambda r, p: (lambda d: (f"Unchanged since {d}.", d))(_date(r)),
        lambda r, p: (lambda d: (f"Film of {d} at 14:35.", d))(_date(r)),
    ),
    "accession number": (
        lambda r, p: (f"Accession {p.accession}.", p.accession),
        lambda r, p: (f"See study {p.accession} for details.", p.accession),
    ),
    "telephone": (
        lambda r, p: (lambda n: (f"Questions: {n}.", n))(_phone(r)),
        lambda r, p: (lambda n: (f"Results called to the ward, {n}.", n))(_phone(r)),
    ),
    "record number": (
        lambda r, p: (f"MRN: {p.record}.", p.record),
        lambda r, p: (f"Patient ID {p.record}.", p.record),
        lambda r, p: (f"({p.record}) Portable film.", p.record),
    ),
}


HELD_GIVEN = [
    "Oluwaseun", "Katarzyna", "Thandiwe", "Bjorn", "Maeve", "Xiomara", "Ravi", "Nadia", "Leopold",
    "Hyejin", "Tariq", "Solveig", "Ines", "Grace", "Rose", "Summer", "Mark", "Faith", "Drew",
    "Anneliese",
]  # fmt: skip
HELD_FAMILY = [
    "Okonkwo", "Wisniewska", "Dlamini", "Lindqvist", "McAllister", "Villanueva", "Krishnamurthy",
    "Petrova", "Achterberg", "Yoon", "Al-Rashid", "D'Angelo", "Fonseca", "Underwood", "Marsh",
    "Stone", "Wells", "Winters", "Black", "Bell",
]  # fmt: skip
HELD_OUT: dict[str, tuple[Plant, ...]] = {
    "patient's name": (
        lambda r, p: (f"{p.family} has a known mass in the left lobe.", p.family),
        lambda r, p: (
            f"Prior films of {p.given} {p.family} are not at hand.",
            f"{p.given} {p.family}",
        ),
        lambda r, p: (f"Patient: {p.family.upper()}, {p.given.upper()}", f"{p.family} {p.given}"),
        lambda r, p: (f"Tube in good position in baby {p.given}.", p.given),
        lambda r, p: (f"As in {p.given}'s study, no effusion.", p.given),
        lambda r, p: (f"{p.given} {p.family} was imaged supine.", f"{p.given} {p.family}"),
    ),
    "clinician's name": (
        lambda r, p: (lambda n: (f"Electronically signed by {n}, M.D.", n))(_held(r)),
        lambda r, p: (lambda n: (f"d/w {n} in the ICU.", n))(_held(r)),
        lambda r, p: (lambda n: (f"{n} was informed at once.", n))(_held(r)),
        lambda r, p: (lambda n: (f"Findings texted to the intern, {n}.", n))(_held(r)),
        lambda r, p: (lambda n: (f"DICTATED BY: {n.upper()}", n))(_held(r)),
        lambda r, p: (lambda n: (f"called to np {n.lower()} on the ward", n))(_held(r)),
    ),
    "relative or place": (
        lambda r, p: (lambda n: (f"His wife {n} was told.", n))(r.choice(HELD_GIVEN)),
        lambda r, p: (lambda n: (f"Transferred from {n} General.", n))(r.choice(HELD_FAMILY)),
        lambda r, p: (lambda n: (f"Outside films from the {n} Clinic.", n))(r.choice(HELD_FAMILY)),
    ),
    "date": (
        lambda r, p: (lambda d: (f"Compared with the radiograph dated {d}.", d))(_date(r)),
        lambda r, p: (lambda d: (f"Line placed {d}, unchanged.", d))(_date(r)),
        lambda r, p: (lambda d: (f"[{d}] Stable.", d))(_date(r)),
    ),
    "accession number": (
        lambda r, p: (f"acc# {p.accession}", p.accession),
        lambda r, p: (f"Compared with exam {p.accession}.", p.accession),
    ),
    "telephone": (
        lambda r, p: (lambda n: (f"Contact {n} with questions.", n))(_phone(r)),
        lambda r, p: (lambda n: (f"Radiology reading room ({n})", n))(_phone(r)),
    ),
    "record number": (
        lambda r, p: (f"Hospital no. {p.record}", p.record),
        lambda r, p: (f"MR# {p.record}", p.record),
    ),
}
CLINICAL = (
    "Swan-Ganz catheter tip in the right pulmonary artery.",
    "Dobbhoff tube courses below the diaphragm.",
    "Left Port-A-Cath and right Hickman line unchanged.",
    "Foley catheter projects over the pelvis.",
    "Hilar contours are normal. Bilateral hilar adenopathy, as in Hodgkin disease.",
    "Kerley B lines and a Hampton hump; no Westermark sign.",
    "Impression: No acute process. Heart: Normal.",
    "Status post Nissen fundoplication and Ivor Lewis oesophagectomy.",
    "Right Mediport tip in the SVC. Watchman device in place.",
    "Micra pacemaker and Amplatzer plug are unchanged.",
    "History of Wegener granulomatosis and COPD.",
    "Bentall procedure, Harrington rods, Blalock shunt.",
    "Chest: PA and Lateral. The Cobb angle is 24 degrees.",
    "Pancoast tumour of the right apex. ETT 4.5 cm above the carina.",
    "Eloesser flap. Bochdalek hernia on the left.",
    "Grade 3/4 oedema, level L2/3, 1.5 x 2 cm, 14 French tube.",
    "FINDINGS: THE LUNGS ARE CLEAR. NO EFFUSION.",
    "Morgagni hernia. Chilaiditi sign below the right hemidiaphragm.",
    "A 64-year-old man with cough; rule out TB.",
    "Haller index 3.2 after a Ravitch repair.",
)


def _held(rng: random.Random) -> str:
    return f"{rng.choice(HELD_GIVEN)} {rng.choice(HELD_FAMILY)}"


@dataclass(frozen=True)
class Material:
    """Names and sentences."""

    given: list[str]
    family: list[str]
    sentences: dict[str, tuple[Plant, ...]]


MATERIAL = {
    "made with the rules": Material(GIVEN, FAMILY, SENTENCES),
    "held out": Material(HELD_GIVEN, HELD_FAMILY, HELD_OUT),
}


def reports(
    count: int, seed: int, known: bool, material: Material = MATERIAL["made with the rules"]
) -> list[Planted]:
    """Synthetic reports with one identifier of each kind."""
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        patient = Patient(
            rng.choice(material.given),
            rng.choice(material.family),
            _digits(rng, rng.choice([6, 7, 8, 10])),
            rng.choice(["ACC", "A", "", "XR-"]) + _digits(rng, rng.choice([6, 8, 9])),
        )
        sentences = rng.sample(PLAIN, 5)
        identifiers = {}
        for kind, plants in material.sentences.items():
            sentence, identifier = rng.choice(plants)(rng, patient)
            sentences.append(sentence)
            identifiers[kind] = identifier
        rng.shuffle(sentences)
        header = (
            (f"{patient.family}^{patient.given}", patient.record, patient.accession)
            if known
            else ()
        )
        made.append(Planted(" ".join(sentences), identifiers, header))
    return made


def is_found(identifier: str, scrubbed: str) -> bool:
    """Whether no word or number of an identifier with three or more characters is left."""
    left = {word.lower() for word in re.findall(r"[\w']+", scrubbed)}
    parts = [part.lower() for part in re.findall(r"[\w']+", identifier) if len(part) > 2]
    return not any(part in left for part in parts if part not in {"ext", "pager", "xr"})


def recall(made: list[Planted]) -> dict[str, tuple[int, int]]:
    """Found and planted identifiers, by kind."""
    found, planted = Counter[str](), Counter[str]()
    for report in made:
        scrubbed = scrub(report.text, report.known)
        for kind, identifier in report.identifiers.items():
            planted[kind] += 1
            found[kind] += is_found(identifier, scrubbed)
    return {kind: (found[kind], planted[kind]) for kind in planted}


def kept() -> tuple[int, int, list[str]]:
    """Words of sentences without identifiers: kept, total, and the sentences that changed."""
    left, words, changed = 0, 0, []
    for sentence in PLAIN + CLINICAL:
        scrubbed = scrub(sentence, ())
        words += len(sentence.split())
        left += sum((Counter(sentence.split()) & Counter(scrubbed.split())).values())
        if scrubbed != sentence:
            changed.append(scrubbed)
    return left, words, changed


def templates_table(folder: Path, seeds: int) -> str:
    """A table of the recall on a folder of templates, each filled several times."""
    kinds = ("header", "other names", "dates and times", "telephones", "record numbers")
    lines = [
        f"| templates | {' | '.join(kinds)} | words kept |",
        "|---|" + "---|" * (len(kinds) + 1),
    ]
    for path in sorted(folder.glob("*.jsonl")):
        scores = [score(path, seed) for seed in range(seeds)]
        shares = [
            _share(sum(s.found[kind] for s in scores), sum(s.planted[kind] for s in scores))
            for kind in kinds
        ]
        kept = _share(sum(s.kept for s in scores), sum(s.words for s in scores))
        lines.append(f"| {path.stem} | {' | '.join([*shares, kept])} |")
    return "\n".join(lines)


def _share(found: int, planted: int) -> str:
    """A share that is shown as 100 % only if complete."""
    return f"{found / planted:.2%} of {planted:,}" if planted else "–"


def main() -> None:
    """Print recall by kind of identifier, and what else is removed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--reports", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--templates", type=Path, help="folder of templates, <language>.jsonl each")
    parser.add_argument("--seeds", type=int, default=5, help="how often each template is filled")
    parser.add_argument(
        "--write", action="store_true", help="put the table into docs/measured/privacy.md"
    )
    args = parser.parse_args()
    if args.templates:
        table = templates_table(args.templates, args.seeds)
        print(table)
        if args.write:
            marks = "second templates" if args.templates.name == "second" else "templates"
            write_between_marks(Path("docs/measured/privacy.md"), marks, table)
        return
    for title, material in MATERIAL.items():
        tables = [
            recall(reports(args.reports, args.seed, known, material)) for known in (True, False)
        ]
        print(f"| {title} | in the header | unknown |\n|---|---|---|")
        for kind in tables[0]:
            shares = [f"{table[kind][0] / table[kind][1]:.1%}" for table in tables]
            print(f"| {kind} | {' | '.join(shares)} |")
    left, words, changed = kept()
    print(
        f"words of {len(PLAIN + CLINICAL)} sentences without identifier that stay: "
        f"{left / words:.1%}; sentences that change:"
    )
    print("\n".join(changed))


if __name__ == "__main__":
    main()
