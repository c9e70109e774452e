"""Nested subsets of 3.5 million images: time, memory and balance, beside pandas and scikit-learn.

Each way of drawing runs in a process of its own, over synthetic rows with the columns of a catalog,
and writes its CPU time and its largest memory into docs/subsets.md.

    python benchmarks/subsets.py --folder /tmp/subsets --write
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.tables import machine, markdown, write_between_marks
from radscale_lib.study.subsets import Stratified, Subsets, Uniform

ROOT = Path(__file__).resolve().parents[1]
IMAGES = 3_500_000
SIZES = (30_000, 50_000, 100_000, 300_000, 1_000_000, 3_500_000)
STRATA = ("view", "year", "scanner")


def make_catalog(path: Path) -> None:
    """Synthetic rows: patients of 1 to 60 images, 20 columns, sorted by image_id."""
    import numpy as np
    import polars as pl

    rng = np.random.default_rng(0)
    sizes = np.minimum(rng.geometric(0.25, 1_200_000), 60)
    patient = rng.permutation(np.repeat(np.arange(len(sizes)), sizes)[:IMAGES])
    # A patient keeps to few years and one scanner, mostly.
    habit = rng.integers(0, 2**31, len(sizes))[patient]
    stray = rng.random(IMAGES) < 0.2
    draw = np.where(stray, rng.integers(0, 2**31, IMAGES), habit)

    def hexes(numbers: Any, salt: int) -> pl.Series:
        frame = pl.DataFrame({"n": numbers.astype(np.uint64)})
        halves = [frame["n"].hash(salt + side) for side in (0, 1)]
        both = pl.DataFrame({"a": halves[0], "b": halves[1]})
        return both.select(pl.format("{}{}", "a", "b").str.zfill(40).str.tail(32).alias("id"))["id"]

    columns = {
        "image_id": hexes(np.arange(IMAGES), 1),
        "study_id": hexes(np.arange(IMAGES) // 2, 3),
        "patient_id": hexes(patient, 5),
        "digest": hexes(np.arange(IMAGES), 7),
        "split": ["pool"] * IMAGES,
        "view": np.array(["PA", "AP", "LL"])[np.minimum(draw % 10 // 4, 2)],
        "year": (2008 + draw // 10 % 5).astype(np.int16),
        "scanner": np.array(["A", "B", "C"])[np.minimum(draw // 100 % 20 // 9, 2)],
        "shard": np.char.add("part=", (np.arange(IMAGES) // 7000).astype(str)),
        "row": np.arange(IMAGES, dtype=np.int64) % 7000,
    } | {f"finding:{k}": (rng.random(IMAGES) < 0.02 * (k + 1)).astype(np.int8) for k in range(10)}
    pl.DataFrame(columns).sort("image_id").write_parquet(path)


def uniform(path: Path) -> dict[str, Any]:
    """Whole patients by the keyed hash."""
    return drawn(path, Uniform())


def stratified(path: Path) -> dict[str, Any]:
    """The same, in the proportions of view, year and scanner."""
    return drawn(path, Stratified(kind="stratified", by=STRATA), *STRATA)


def drawn(path: Path, kind: Uniform | Stratified, *columns: str) -> dict[str, Any]:
    """All sizes of one seed, as row numbers of the catalog."""
    import polars as pl

    from radscale_lib.subsets.order import order, prefix

    settings = Subsets(sizes=SIZES, order=kind)
    catalog = pl.read_parquet(path, columns=["patient_id", "split", *columns])
    ranked = order(catalog, 0, settings)
    sizes = [len(prefix(ranked, catalog, size, settings)) for size in SIZES]
    return {"sizes": sizes, "rows": ranked.head(SIZES[0]).to_list()}


def script(path: Path) -> dict[str, Any]:
    """scripts/subset.py's work for the largest size, with ids and digests, written."""
    from radscale_lib.shards.parquet import write_table
    from radscale_lib.subsets.order import subset

    table = subset(path, 0, SIZES[-1], Subsets(sizes=SIZES))
    write_table(path.with_name("subset.parquet"), table.to_arrow())
    return {"sizes": [table.height]}


def pandas_hash(path: Path) -> dict[str, Any]:
    """pandas, with the same keyed hash of whole patients."""
    import pandas as pd

    from radscale_lib.subsets.keys import unit_keys

    patients = pd.read_parquet(path, columns=["patient_id"])["patient_id"]
    counts = patients.value_counts(sort=False)
    units = pd.DataFrame({"n": counts.to_numpy(), "key": unit_keys(counts.index, 0)}, counts.index)
    units = units.sort_values("key")
    first = patients.map(units["n"].cumsum() - units["n"])
    return {"sizes": [int((first < size).sum()) for size in SIZES]}


def group_shuffle(path: Path) -> dict[str, Any]:
    """scikit-learn's GroupShuffleSplit, once for each size."""
    import numpy as np
    import pandas as pd
    from sklearn.model_selection import GroupShuffleSplit

    groups = pd.read_parquet(path, columns=["patient_id"])["patient_id"].to_numpy(dtype=object)
    sizes = []
    for size in SIZES[:-1]:
        split = GroupShuffleSplit(1, train_size=size / IMAGES, random_state=0)
        chosen, _ = next(split.split(np.zeros(len(groups), np.int8), groups=groups))
        sizes.append(len(chosen))
    return {"sizes": sizes}


WAYS: dict[str, tuple[str, Callable[[Path], dict[str, Any]]]] = {
    "uniform": ("uniform, all 6 sizes", uniform),
    "stratified": ("stratified by view, year and scanner, all 6 sizes", stratified),
    "script": ("uniform, size 3.5M written with ids and digests", script),
    "pandas": ("pandas, the same hash", pandas_hash),
    "sklearn": ("scikit-learn GroupShuffleSplit, 5 sizes", group_shuffle),
}


def measure(way: str, path: Path) -> dict[str, Any]:
    """A way's result, CPU seconds and peak memory of this process, imports included."""
    found = WAYS[way][1](path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found |= {"seconds": time.process_time(), "megabytes": peak}
    if rows := found.pop("rows", None):
        found |= balance(path, rows)
    return found


def balance(path: Path, rows: list[int]) -> dict[str, float]:
    """Largest relative departure of a stratum's share from the whole's, of images and of units."""
    import polars as pl

    catalog = pl.read_parquet(path, columns=list(STRATA))
    whole = catalog.group_by(STRATA).len()
    part = catalog[rows].group_by(STRATA).len()
    both = whole.join(part, on=STRATA, how="left").fill_null(0)
    share = both["len_right"] / len(rows) / (both["len"] / len(catalog))
    return {"strata": len(whole), "worst": float((share - 1).abs().max() or 0)}


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="folder for the synthetic rows")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved runs (default: 3)")
    parser.add_argument("--write", action="store_true", help="write the table into the document")
    parser.add_argument("--way", choices=sorted(WAYS), help="measure one, and print it")
    args = parser.parse_args(argv)
    path = args.folder / "catalog.parquet"
    if args.way:
        print(json.dumps(measure(args.way, path)))
        return
    if not path.exists():
        args.folder.mkdir(parents=True, exist_ok=True)
        make_catalog(path)
    runs: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
    for number in range(args.rounds):
        for way in WAYS:
            if way == "sklearn" and number:
                continue  # slow, and not close
            command = [sys.executable, __file__, "--folder", str(args.folder), "--way", way]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=ROOT)
            runs[way].append(json.loads(done.stdout))
            print(way, {k: v for k, v in runs[way][-1].items()}, file=sys.stderr)
    text = report(runs)
    print(text)
    if args.write:
        write_between_marks(ROOT / "docs/subsets.md", "benchmark", text)


def report(runs: dict[str, list[dict[str, Any]]]) -> str:
    """The measurements as Markdown."""
    seconds = {way: statistics.median(run["seconds"] for run in of) for way, of in runs.items()}
    rows = [
        [
            WAYS[way][0],
            f"{seconds[way]:.1f}",
            f"{seconds[way] / seconds['uniform']:.1f}",
            f"{statistics.median(run['megabytes'] for run in of):.0f}",
            f"{of[0]['worst']:.2%}" if "worst" in of[0] else "–",
        ]
        for way, of in runs.items()
    ]
    head = ["way", "CPU s", "ratio", "peak MiB", "worst stratum at 30k"]
    packages = ("polars", "pandas", "scikit-learn")
    return f"{machine(*packages)}.\n\n{markdown(head, rows)}"


if __name__ == "__main__":
    main()
