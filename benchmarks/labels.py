"""Compare label rules with negspacy: speed, and accuracy on gold sentences.

    pip install negspacy
    python benchmarks/labels.py [--reports 2000]

negspacy reads English, with its clinical terms and our phrases.

Reports consist of gold sentences, each made unique so that nothing is cached. Rounds of both
alternate. Accuracy is the share of sentences with everything right, and the share in which exactly
the right labels are affirmed.
"""

import argparse
import hashlib
import json
import random
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from radscale_lib.labels.reports import Report, by_rules
from radscale_lib.labels.rules import RuleReader
from radscale_lib.languages.phrases import phrases

GOLD = Path(__file__).parents[1] / "tests/labels/gold.jsonl"
LABELS = (
    *("cardiomegaly", "effusion", "pneumothorax", "consolidation", "pneumonia", "nodule", "edema"),
    *("atelectasis", "fracture", "emphysema", "ett", "ngt", "cvc", "chest_tube"),
)
STATES = {1: "present", 0: "absent", -1: "uncertain"}
Read = Callable[[Sequence[str]], list[list[int]]]


def rules(language: str) -> Read:
    """The rules of the labels stage, including the check for texts that address a model."""
    reader = RuleReader(LABELS, {}, language)

    def read(texts: Sequence[str]) -> list[list[int]]:
        reports = (Report("", text, "") for text in texts)
        return [[each.reading.state for each in row] for row in by_rules(reader, reports)]

    return read


def negspacy(language: str) -> Read:
    """NegEx as in negspacy: mentions are affirmed or denied, never uncertain."""
    import spacy
    from negspacy import negation  # noqa: F401  (registers the component "negex")

    nlp = spacy.blank(language)
    nlp.add_pipe("sentencizer")
    nlp.add_pipe("span_ruler", config={"spans_key": "mentions"}).add_patterns(  # type: ignore[attr-defined]
        [
            {"label": label, "pattern": [{"LOWER": token.lower_} for token in nlp.make_doc(phrase)]}
            for label in LABELS
            for phrase in phrases(language).mentions[label.replace("_", " ")]
        ]
    )
    nlp.add_pipe("negex", config={"span_keys": ["mentions"]})

    def read(texts: Sequence[str]) -> list[list[int]]:
        rows = []
        for document in nlp.pipe(texts):
            said = dict.fromkeys(LABELS, -2)
            for span in document.spans["mentions"]:
                said[span.label_] = max(said[span.label_], int(not span._.negex))
            rows.append(list(said.values()))
        return rows

    return read


def accuracy(of: Callable[[str], Read]) -> None:
    """Print how many gold sentences a reader gets right, by language and half."""
    gold = [json.loads(line) for line in GOLD.read_text(encoding="utf-8").splitlines()]
    if of is negspacy:
        gold = [each for each in gold if each["language"] == "en"]
    readers = {code: of(code) for code in {each["language"] for each in gold}}
    right: dict[str, list[tuple[bool, bool]]] = {}
    for each in gold:
        (row,) = readers[each["language"]]([each["text"]])
        said = {name: STATES[s] for name, s in zip(LABELS, row, strict=True) if s in STATES}
        half = int(hashlib.sha256(each["text"].encode()).hexdigest(), 16) % 2
        for group in (each["language"], "development" if half else "other half"):
            affirmed = [{n for n, s in x.items() if s == "present"} for x in (said, each["says"])]
            right.setdefault(group, []).append((said == each["says"], affirmed[0] == affirmed[1]))
    for name, pairs in sorted(right.items()):
        everything, affirms = (sum(half) / len(pairs) for half in zip(*pairs, strict=True))
        print(f"{of.__name__} {name}: {everything:.3f}, affirmed {affirms:.3f} of {len(pairs)}")


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reports", type=int, default=2000)
    parser.add_argument("--sentences", type=int, default=8)
    args = parser.parse_args()
    gold = [json.loads(line) for line in GOLD.read_text(encoding="utf-8").splitlines()]
    english = [each["text"].rstrip(".") for each in gold if each["language"] == "en"]
    draw = random.Random(1)
    taken = {"rules": 0.0, "negspacy": 0.0}
    readers = {"rules": rules("en"), "negspacy": negspacy("en")}
    rounds = 4
    for number in range(rounds):
        texts = []
        for i in range(args.reports // rounds):
            chosen = draw.sample(english, args.sentences)
            texts.append(" ".join(f"{s} {number}.{i}.{j}." for j, s in enumerate(chosen)))
        for name, read in readers.items():
            begin = time.process_time()
            read(texts)
            taken[name] += time.process_time() - begin
    for name, seconds in taken.items():
        print(f"{name}: {args.reports / seconds:,.0f} reports a second on a core")
    print(f"ratio {taken['negspacy'] / taken['rules']:.2f}")
    accuracy(rules)
    accuracy(negspacy)


if __name__ == "__main__":
    main()
