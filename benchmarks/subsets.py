"""Nested subsets of 3.5 million images: time, memory and balance, vs. pandas and scikit-learn.

Each way of drawing runs in a separate process, over synthetic rows with the columns of a catalog,
and writes its CPU time and peak memory into docs/measured/subsets.md.

    python benchmarks/subsets.py --folder /tmp/subsets --write
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.tables import machine, markdown, write_between_marks
from radscale_lib.study.subsets import Stratified, Subsets, Uniform

ROOT = Path(__file__).resolve().parents[1]
IMAGES = 3_500_000
SIZES = (30_000, 50_000, 100_000, 300_000, 1_000_000, 3_500_000)
FEW = ("view", "scanner")
"""9 strata."""
MANY = ("view", "year", "scanner")
"""45 strata."""


def make_catalog(path: Path) -> None:
    """Synthetic rows: patients of 1 to 60 images, 20 columns, sorted by image_id."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    sizes = np.minimum(rng.geometric(0.25, 1_200_000), 60)
    patient = rng.permutation(np.repeat(np.arange(len(sizes)), sizes)[:IMAGES])
    # Most patients have a single year, scanner and view.
    habit = rng.integers(0, 2**31, len(sizes))[patient]
    draw = np.where(rng.random(IMAGES) < 0.2, rng.integers(0, 2**31, IMAGES), habit)

    def hexes(count: int) -> pa.Array:
        """Ascending ids of 32 hex digits."""
        numbers = np.empty((count, 2), ">u8")
        numbers[:, 0] = np.sort(rng.integers(0, 2**64, count, np.uint64))
        numbers[:, 1] = rng.integers(0, 2**64, count, np.uint64)
        text = numbers.tobytes().hex().encode()
        offsets = np.arange(0, 32 * count + 1, 32, dtype=np.int32)
        return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(text))

    def words(values: list[str], choice: Any) -> pa.Array:
        indices = pa.array(choice.astype(np.int8))
        return pa.DictionaryArray.from_arrays(indices, pa.array(values)).cast(pa.string())

    columns = {
        "image_id": hexes(IMAGES),
        "study_id": hexes(IMAGES // 2).take(pa.array(np.arange(IMAGES) // 2)),
        "patient_id": hexes(len(sizes)).take(pa.array(patient)),
        "digest": hexes(IMAGES),
        "split": words(["pool"], np.zeros(IMAGES)),
        "view": words(["PA", "AP", "LL"], np.minimum(draw % 10 // 4, 2)),
        "year": (2008 + draw // 10 % 5).astype(np.int16),
        "scanner": words(["A", "B", "C"], np.minimum(draw // 100 % 20 // 9, 2)),
        "shard": words([f"part={k}.parquet" for k in range(100)], np.arange(IMAGES) // 35_000),
        "row": np.arange(IMAGES) % 35_000,
    } | {f"finding:{k}": (rng.random(IMAGES) < 0.02 * (k + 1)).astype(np.int8) for k in range(10)}
    pq.write_table(pa.table(columns), path, row_group_size=131_072)


def uniform(path: Path) -> dict[str, Any]:
    """Whole patients by the keyed hash."""
    return drawn(path, Uniform(), FEW)


def few_strata(path: Path) -> dict[str, Any]:
    """The same, in the proportions of view and scanner."""
    return drawn(path, Stratified(kind="stratified", by=FEW), FEW)


def many_strata(path: Path) -> dict[str, Any]:
    """The same, in those of view, year and scanner."""
    return drawn(path, Stratified(kind="stratified", by=MANY), MANY)


def drawn(path: Path, kind: Uniform | Stratified, strata: Sequence[str]) -> dict[str, Any]:
    """All sizes of one seed, as row numbers of the catalog."""
    from radscale_lib.subsets.order import order, prefix
    from radscale_lib.subsets.table import read_units

    settings = Subsets(sizes=SIZES, order=kind)
    catalog = read_units(path, settings)
    ranked = order(catalog, 0, settings)
    sizes = [len(prefix(ranked, catalog, size, settings)) for size in SIZES]
    return {"sizes": sizes, "rows": ranked.head(SIZES[0]).to_list(), "strata": strata}


def script(path: Path) -> dict[str, Any]:
    """scripts/subset.py's work for the largest size, with ids and digests, written."""
    from radscale_lib.subsets.table import write_subset

    write_subset(path, 0, SIZES[-1], Subsets(sizes=SIZES), path.with_name("subset.parquet"))
    return {"sizes": [SIZES[-1]]}


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
    "few": ("stratified by view and scanner (9 strata), all 6 sizes", few_strata),
    "many": ("stratified by view, year and scanner (45), all 6 sizes", many_strata),
    "script": ("uniform, size 3.5M written with ids and digests", script),
    "pandas": ("pandas, the same hash", pandas_hash),
    "sklearn": ("scikit-learn GroupShuffleSplit, 5 sizes", group_shuffle),
}


def measure(way: str, path: Path) -> dict[str, Any]:
    """A way's result, CPU seconds and peak memory of this process, imports included."""
    found = WAYS[way][1](path)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    found |= {"seconds": time.process_time(), "megabytes": peak}
    if "rows" in found:
        found |= balance(path, found.pop("rows"), found.pop("strata"))
    return found


def balance(path: Path, rows: list[int], strata: Sequence[str]) -> dict[str, float]:
    """Largest departure of a stratum's share of images from the whole's.

    `relative` to its share of the whole; `absolute` is the difference of the two.
    """
    import polars as pl

    images = pl.read_parquet(path, columns=list(strata))
    whole = images.group_by(strata).len("all")
    both = whole.join(images[rows].group_by(strata).len("have"), on=strata, how="left")
    expected = both["all"] / len(images)
    off = (both["have"].fill_null(0) / len(rows) - expected).abs()
    return {"relative": (off / expected).max(), "absolute": off.max()}


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
        write_between_marks(ROOT / "docs/measured/subsets.md", "benchmark", text)


def report(runs: dict[str, list[dict[str, Any]]]) -> str:
    """The measurements as Markdown."""
    seconds = {way: statistics.median(run["seconds"] for run in of) for way, of in runs.items()}
    rows = [
        [
            WAYS[way][0],
            f"{seconds[way]:.1f}",
            f"{seconds[way] / seconds['uniform']:.1f}",
            f"{statistics.median(run['megabytes'] for run in of):.0f}",
            f"{of[0]['relative']:.2%}" if "relative" in of[0] else "–",
            f"{of[0]['absolute'] * 100:.3f}" if "absolute" in of[0] else "–",
        ]
        for way, of in runs.items()
    ]
    head = ["way", "CPU s", "ratio", "peak MiB", "worst stratum at 30k", "in points"]
    packages = ("polars", "pandas", "scikit-learn")
    return f"{machine(*packages)}.\n\n{markdown(head, rows)}"


if __name__ == "__main__":
    main()
