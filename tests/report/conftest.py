"""A whole example study with known laws: scores, fits, cards, ledgers, figures and the report."""

import fcntl
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import yaml

from radscale_lib.archive.joins import SCHEMA
from radscale_lib.archive.texts import write_counts
from radscale_lib.files import write_json
from radscale_lib.report.figures import Tables
from radscale_lib.report.finished import together
from radscale_lib.report.schema import (
    FILMS_SCHEMA,
    SIMILARITY_SCHEMA,
    TEXTS_SCHEMA,
    TIPS_SCHEMA,
)
from radscale_lib.scaling.simulate import simulate_scores
from radscale_lib.study import Run, Study, parse_study
from radscale_lib.subsets.card import describe
from radscale_lib.subsets.splits import SCHEMA as SCHEMA_OF_SPLITS
from radscale_lib.tasks.masks import encode_mask
from scripts import figures, fit, report

LAWS = {
    "mi2-reports": (0.9, 0.25, 0.03),
    "mi2-reports-labels": (1.1, 0.38, 0.05),
    "rad-dino": (0.30, 0.0, 0.0),
}
BASELINES = {"mi2-open": 0.24, "rad-dino-open": 0.29}
SCALE = {"findings": 1.0, "tubes": 1.15, "segmentation": 1.9, "reports": 2.2}
MISSING = Run("mi2-reports", 400, 1)


@dataclass
class Example:
    """A study on disk."""

    folder: Path
    study: Study

    @property
    def study_file(self) -> Path:
        return self.folder / "study.yaml"

    @property
    def scores(self) -> Path:
        return self.folder / "scores.parquet"

    @property
    def html(self) -> str:
        return (self.folder / "report.html").read_text()

    def table(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.folder / f"{name}.parquet")

    def all_tables(self, **others: Any) -> Tables:
        names = ("scores", "fits", "crossovers", "comparisons", "verdicts")
        tables = {name: self.table(name) for name in names}
        tables |= {name: self.table(name) for name in ("reliability", "label_fits")}
        tables |= {"subsets": self.table("subsets/card")}
        tables |= {"films": [self.table("examples/segmentation")]}
        tables |= {"tips": together(sorted(self.folder.glob("tips/*.parquet")))}
        return Tables(**(tables | others))

    @property
    def tables(self) -> list[object]:
        return [
            *("--study", self.study_file, "--scores", self.scores),
            *("--fits", self.folder / "fits.parquet"),
            *("--crossovers", self.folder / "crossovers.parquet"),
        ]

    @property
    def judged(self) -> list[object]:
        return [
            *("--comparisons", self.folder / "comparisons.parquet"),
            *("--verdicts", self.folder / "verdicts.parquet"),
        ]

    def fit(self) -> "Example":
        labels = ("--label-fits", self.folder / "label_fits.parquet")
        call(fit.main, *self.tables, *self.judged, *labels)
        return self

    def draw(self) -> "Example":
        maps = sorted(self.folder.glob("similarity/*.parquet"))
        card = ("--subsets", self.folder / "subsets/card.parquet")
        call(
            figures.main,
            *self.tables,
            *self.judged,
            *card,
            *(f"--reliability={path}" for path in self.folder.glob("reliability.parquet")),
            *("--label-fits", self.folder / "label_fits.parquet"),
            *("--examples", *self.folder.glob("examples/segmentation.parquet")),
            *("--tips", *sorted(self.folder.glob("tips/*.parquet"))),
            "--similarity",
            *maps,
            "--out",
            self.folder,
        )
        return self

    def report(self) -> "Example":
        call(
            report.main,
            *self.tables,
            *self.judged,
            *("--ledgers", *sorted(self.folder.glob("data/*/ledger.parquet"))),
            *("--joins", *sorted(self.folder.glob("data/*/joins.parquet"))),
            *("--texts", *sorted(self.folder.glob("data/*/texts.parquet"))),
            *("--cards", *sorted(self.folder.glob("encoders/**/encoder.json"))),
            *("--subsets", self.folder / "subsets/card.parquet"),
            *("--splits", self.folder / "subsets/splits.parquet"),
            *("--figures", self.folder / "figures"),
            *("--examples", *self.folder.glob("examples/reports.parquet")),
            *("--out", self.folder / "report.html"),
        )
        return self


def call(main: Callable[[list[str]], None], *args: object) -> None:
    main([str(arg) for arg in args])


def study_values() -> dict[str, Any]:
    """The demo study with two seeds for every arm, and base weights that are trained in it."""
    values: dict[str, Any] = yaml.safe_load(Path("config/config.yaml").read_text())
    smoke = yaml.safe_load(Path("config/smoke.yaml").read_text())
    values |= {"public": smoke["public"], "bases": smoke["bases"]}
    for encoder in values["encoders"].values():
        del encoder["weights"]
    values["subsets"]["sizes"] = [50, 100, 200, 400, 1200]
    values["evaluation"]["floors"] = False
    values["report"] = {"formats": ["svg"]}
    for arm in values["arms"].values():
        arm["seeds"] = [0, 1]
    return values


def truth(run: Run, task: str) -> float:
    if run.size == 0:
        return BASELINES[run.arm] * SCALE[task]
    a, b, c = LAWS[run.arm]
    if task == "tubes" and run.arm == "rad-dino":
        a, b, c = 0.8, 0.35, 0.02
    return min((a * run.size**-b + c) * SCALE[task], 0.95)


def write_card(folder: Path, study: Study, run: Run, status: str, reason: str | None) -> None:
    section = study.bases[run.arm] if run.size == 0 else study.arms[run.arm]
    samples = section.recipe.optimiser.samples
    write_json(
        folder / "encoders" / run.path / "encoder.json",
        {
            "arm": run.arm, "size": run.size, "seed": run.seed, "encoder": section.encoder,
            "paradigm": section.recipe.paradigm, "supervision": list(section.supervision),
            "status": status, "reason": reason, "samples_budget": samples,
            "samples_seen": samples, "steps": section.recipe.optimiser.steps,
            "images": min(run.size or 900, samples),
            "repeats_per_image": samples / (run.size or 900), "flops_per_sample": 2.1e8,
            "images_per_second": 412.3, "seconds": samples / 412.3, "device": "cpu",
            "hardware": "2 cores", "versions": {"torch": "2.14.1", "radscale": "0.1.0"},
            "stage_id": "0" * 16, "subset_digest": "0" * 32, "base_digest": "0" * 32,
            "resumed": 1 if run.size == 200 else 0, "started": "2026-01-01T00:00:00Z",
            "finished": "2026-01-01T00:01:00Z", "final_loss": 1.0,
        },
    )  # fmt: skip


STAGE_OF = {"excluded": "selection", "quarantined": "pixels", "duplicate": "duplicates"}


def write_ledger(path: Path, accepted: int) -> None:
    outcomes = (
        [("accepted", "")] * accepted
        + [("excluded", "view")] * 412
        + [("excluded", "modality")] * 3
        + [("quarantined", "truncated")] * 5
        + [("quarantined", "no-pixels")] * 2
        + [("duplicate", "same-instance")] * 7
    )
    path.parent.mkdir(parents=True)
    pl.DataFrame(
        {
            "path_digest": [f"{i:032x}" for i in range(len(outcomes))],
            "outcome": [outcome for outcome, _ in outcomes],
            "stage": [STAGE_OF.get(outcome) for outcome, _ in outcomes],
            "reason": [reason or None for _, reason in outcomes],
            "detail": pl.Series([None] * len(outcomes), dtype=pl.String),
            "partition": [i % 4 for i in range(len(outcomes))],
        }
    ).write_parquet(path)


def similarity_table(arm: str, sizes: tuple[int, int], sides: tuple[int, ...]) -> pl.DataFrame:
    """A picture and maps that fall off with the distance to the tip."""
    x, y = 0.62, 0.41
    shared = {"arm": arm, "label": "chest_tube", "tip_x": x, "tip_y": y}
    down, across = np.mgrid[0:64, 0:64] / 64
    picture = 255 * np.exp(-((down - 0.5) ** 2) * 4) * (0.4 + 0.6 * np.abs(np.sin(9 * across)))
    rows: list[dict[str, Any]] = [
        shared | {"height": 64, "width": 64, "image": picture.astype(np.uint8).ravel().tolist()}
    ]
    for size in sizes:
        for level, side in enumerate(sides, start=1):
            down, across = (np.mgrid[0:side, 0:side] + 0.5) / side
            distance = np.hypot(down - y, across - x) * (1 + 3 * (size == sizes[-1]))
            values = 2 * np.exp(-(distance**2) * level * 3) - 1
            rows.append(
                shared
                | {"size": size, "level": level, "height": side, "width": side}
                | {"similarity": values.astype(np.float32).ravel().tolist()}
            )
    return pl.DataFrame(rows, schema=SIMILARITY_SCHEMA)


def subset_card(study: Study) -> pl.DataFrame:
    """The card of uniform subsets of 2,000 images of 1,000 patients."""
    rng = np.random.default_rng(0)
    number = np.arange(2000)
    catalog = pl.DataFrame(
        {
            "image_id": [f"{i:032x}" for i in number],
            "study_id": [f"{i // 2:032x}" for i in number],
            "patient_id": [f"{i // 2:032x}" for i in number],
            "split": ["pool"] * len(number),
            "view": rng.choice(["PA", "AP"], len(number)),
            "labelled": [True] * len(number),
        }
        | {f"finding:{name}": rng.integers(0, 2, len(number)) for name in study.labels.findings}
        | {f"tube:{name}": rng.integers(0, 2, len(number)) for name in study.labels.tubes}
    )
    subsets = {
        (seed, size): catalog[rng.permutation(len(number))[:size]]
        for seed in (0, 1)
        for size in study.subsets.sizes
    }
    return describe(catalog, subsets, study.labels)


def split_counts(study: Study) -> pl.DataFrame:
    """Counts of two splits."""
    rows: list[tuple[object, ...]] = []
    for split, images in (("pool", 2000), ("test", 400)):
        rows.append((split, "all", "", images, images, images // 2, images - 40))
        halves = (("view", "AP"), ("view", "PA"), ("year", "2011"), ("year", "2019"))
        rows += [(split, *half, images // 2, images, None, None) for half in halves]
        rows += [
            (split, "finding", name, images // 10, images - 20, None, None)
            for name in study.labels.findings
        ]
    return pl.DataFrame(rows, SCHEMA_OF_SPLITS, orient="row")


SHOWN = (
    ("mi2-open", 0),
    ("rad-dino-open", 0),
    *((arm, size) for arm in LAWS for size in (50, 1200)),
)
"""Runs shown in examples: open weights, smallest and largest size."""


def films_table() -> pl.DataFrame:
    """Three films of two tubes, the more alike the larger the subset; of one arm."""
    down, across = np.mgrid[0:96, 0:80] / 96
    rows: list[dict[str, Any]] = []
    for place, rank in enumerate(("best", "median", "worst")):
        shared = {"task": "segmentation", "rank": rank, "rows": 96, "columns": 80}
        light = 40 + 170 * np.exp(-((across - 0.4) ** 2) * 9) * np.abs(np.sin(14 * down + place))
        rows.append(shared | {"image": light.astype(np.uint8).ravel().tolist()})
        for arm, size in (("rad-dino-open", 0), ("rad-dino", 50), ("rad-dino", 1200)):
            shift = 0.02 * (place + 1) * (3 - (size > 0) - (size > 50))
            run = {"arm": arm, "size": size, "dice": 0.9 - 4 * shift}
            for tube, where in (("ett", 0.38), ("cvc", 0.55)):
                true = (np.abs(across - where - 0.06 * np.sin(5 * down)) < 0.02) & (down < 0.7)
                marked = np.roll(true, round(96 * shift), axis=1)
                masks = {"true": encode_mask(true), "predicted": encode_mask(marked)}
                rows.append(shared | run | {"tube": tube} | masks)
    return pl.DataFrame(rows, schema=FILMS_SCHEMA)


def texts_table() -> pl.DataFrame:
    """Three reports as each encoder shown wrote them."""
    rows = [
        {
            "task": "reports", "rank": rank, "arm": arm, "size": size,
            "reference": f"Large effusion. <b>Tube</b> in place. ({rank})",
            "generated": "Effusion." if size else "Heart enlarged.",
            "rouge_l": 0.9 - 0.3 * place, "both": ["effusion"] if size else [],
            "missed": [] if size else ["effusion"],
            "invented": [] if size else ["cardiomegaly"],
        }
        for place, rank in enumerate(("best", "median", "worst"))
        for arm, size in SHOWN
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=TEXTS_SCHEMA)


def tips_table(arm: str) -> pl.DataFrame:
    """Tips found by an arm's encoders, more at deeper layers and larger sizes."""
    rows = [
        {
            "arm": arm, "size": size, "level": level, "label": label, "tips": 80, "patients": 60,
            "found": found, "lower": found - 0.1, "upper": found + 0.1, "error": 0.12,
            "by_place": 0.3,
        }
        for place, size in enumerate((0, 50, 1200))
        for level in (1, 2, 3, 4)
        for label in ("all", "ett")
        for found in [0.1 + 0.1 * level + 0.1 * place]
    ]  # fmt: skip
    return pl.DataFrame(rows, schema=TIPS_SCHEMA)


def reliability_table(study: Study) -> pl.DataFrame:
    """Bins of two labels of each classification task, by all runs, under-confident ones."""
    rng = np.random.default_rng(1)
    rows = []
    for task, labels in (("findings", study.labels.findings), ("tubes", study.labels.tubes)):
        for run in study.runs:
            for k, target in enumerate(labels[:2]):
                for lower in np.arange(0, 1, 0.2):
                    mean = lower + 0.2 * rng.random()
                    cases = 40 - 15 * k
                    there = int(rng.binomial(cases, mean**0.5))
                    names = (run.arm, run.size, run.seed, task, study.head_of(task), target)
                    rows.append((*names, lower, lower + 0.2, mean, cases, there))
    names = ("arm", "size", "seed", "task", "head", "target")
    return pl.DataFrame(
        rows, [*names, "lower", "upper", "mean", "cases", "positives"], orient="row"
    )


def write_manifest(
    folder: Path, job: str, commit: str | None, reads: tuple[str, ...], makes: str
) -> None:
    write_json(
        folder / "provenance" / f"{job}.json",
        {
            "id": "a1" * 8, "settings": "b2" * 8, "run": {"commit": commit},
            "inputs": {name: {"digest": "c3" * 16} for name in reads},
            "outputs": {makes: {"digest": "d4" * 16}},
        },
    )  # fmt: skip


def write_joins_table(path: Path) -> None:
    """Reports: some share a key, some lost zeros, and some are blank."""
    counts = {name: 0 for name, kind in SCHEMA.items() if kind == pl.Int64}
    reports = {
        "rows": 2000,
        "rows_matched": 1950,
        "rows_shared": 8,
        "rows_unmatched": 42,
        "images": 3104,
        "images_matched": 3080,
        "images_shared": 16,
        "images_unmatched": 8,
        "images_without_text": 7,
    }
    near = [{"difference": "leading_zeros:8", "rows": 40}]
    rows = [
        {**counts, **reports, "table": "reports", "keys": "accession_number", "near": near},
        {**counts, "table": "tubes", "keys": "sop_instance_uid", "near": [], "images": 3104},
    ]
    pl.DataFrame(rows, SCHEMA).write_parquet(path)


def build(
    folder: Path,
    values: dict[str, Any] | None = None,
    missing: frozenset[Run] = frozenset({MISSING}),
) -> Example:
    """A study of three arms, five sizes, two seeds and four tasks, with one failed run.

    Args:
        folder: of its results.
        values: another study file.
        missing: runs that failed.
    """
    values = values or study_values()
    study = parse_study(values)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "study.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    scores = simulate_scores(study, truth, missing=missing, seed=3)
    scores.write_parquet(folder / "scores.parquet")
    for run in study.runs:
        failed = run in missing
        reason = "loss became NaN at step 120, twice" if failed else None
        write_card(folder, study, run, "failed" if failed else "ok", reason)
    for name in ("examples", "subsets", "tips"):
        (folder / name).mkdir()
    subset_card(study).write_parquet(folder / "subsets/card.parquet")
    films_table().write_parquet(folder / "examples" / "segmentation.parquet")
    texts_table().write_parquet(folder / "examples" / "reports.parquet")
    for arm in study.arms:
        tips_table(arm).write_parquet(folder / f"tips/{arm}.parquet")
    reliability_table(study).write_parquet(folder / "reliability.parquet")
    split_counts(study).write_parquet(folder / "subsets/splits.parquet")
    write_manifest(folder, "scores", "0123456789abcdef0123", ("x",), "scores.parquet")
    read = ("scores.parquet", "verdicts.parquet", "similarity/mi2-reports.parquet")
    write_manifest(folder, "figures", None, read, "figures/forest.svg")
    for key, version in (("e5", "2.0"), ("f6", "2.1")):
        path = folder / "provenance" / "ids" / f"packages-{key}.json"
        write_json(path, [f"numpy {version}", "polars 1.0"])
    write_ledger(folder / "data" / "institution" / "ledger.parquet", 3104)
    write_ledger(folder / "data" / "public" / "ledger.parquet", 1180)
    write_joins_table(folder / "data" / "institution" / "joins.parquet")
    counts = Counter({("language", "en"): 3000, ("language", "de"): 80, ("marks", "dates"): 41})
    write_counts(folder / "data" / "institution" / "texts.parquet", counts)
    for arm, sides in (("mi2-reports", (16, 8, 4, 2)), ("rad-dino", (8, 8, 8, 8))):
        path = folder / "similarity" / f"{arm}.parquet"
        path.parent.mkdir(exist_ok=True)
        similarity_table(arm, (50, 1200), sides).write_parquet(path)
    return Example(folder, study)


@pytest.fixture(scope="session")
def example(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Example:
    """The study, fitted, drawn and reported by the first worker that needs it, for all to read."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "example"
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = build(tmp_path_factory.mktemp("example")).fit().draw().report()
            made.folder.rename(folder)
    return Example(folder, parse_study(study_values()))
