"""Mutated DICOM files through ingest: how many, and whether any was more than a file lost.

    python benchmarks/fuzz_ingest.py --mutations 100000 [FOLDER ...]

Files of pydicom (and of the folders given) of up to a size are mutated by a seeded generator and go
through what a partition does with a file: header, selection of everything, decoding in a process of
its own. A mutation fails if ingest ends, gives an outcome that is none, or calls it `unexpected`.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pydicom.data

from radscale_lib.archive.catalog import OUTCOMES
from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.listing import refresh
from radscale_lib.archive.terms import MODALITIES
from radscale_lib.study.archive import Archive, Image, Labels, Select

BATCH = 1000
EXTREMES = (b"\xff" * 4, b"\0" * 4, b"\xfe\xff\xff\xff", b"\xff\xff\xff\x7f", b"\xff\xff\0\0")
EVERYTHING = Select(
    modalities=tuple(sorted(MODALITIES)),
    views=("PA", "AP", "LL", "RL", "unknown"),
    minimum_pixels=1,
    secondary=True,
    for_processing=True,
    burned_in=True,
)


def mutate(data: bytes, rng: random.Random) -> bytes:
    """Change, insert, cut, double or overwrite bytes; half of the time near the start."""
    mutated = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        if len(mutated) < 140:
            break
        end = len(mutated) if rng.random() < 0.5 else min(len(mutated), 1500)
        at = rng.randrange(128, end)
        match rng.randrange(7):
            case 0 | 1:
                mutated[at] = rng.randrange(256)
            case 2:
                del mutated[at : at + rng.randrange(1, 9)]
            case 3:
                mutated[at:at] = rng.randbytes(4)
            case 4:
                mutated[at : at + 4] = rng.choice(EXTREMES)
            case 5:
                mutated[at:at] = mutated[at : at + rng.randrange(1, 200)]
            case 6 if rng.random() < 0.2:
                del mutated[at:]
    return bytes(mutated)


def sources(folders: list[Path], largest: int) -> Iterator[bytes]:
    """Sound and odd files to begin with."""
    bundled = Path(pydicom.data.__file__).parent / "test_files"
    for folder in (bundled, *folders):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and 140 <= path.stat().st_size <= largest:
                yield path.read_bytes()


def run(count: int, seed: int, folders: list[Path], largest: int, processes: int) -> int:
    """Try mutations, in batches; returns how many failed."""
    rng = random.Random(seed)
    seeds = list(sources(folders, largest))
    outcomes, failures, done = Counter[str](), 0, 0
    start = time.process_time()
    while done < count:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "dicom").mkdir()
            size = min(BATCH, count - done)
            for number in range(size):
                mutated = mutate(rng.choice(seeds), rng)
                (folder / "dicom" / f"{number}").write_bytes(mutated)
            refresh(folder / "dicom", folder, 1)
            archive = Archive(dicom=folder, select=EVERYTHING, image=Image(shorter_side=16))
            outputs = Outputs(folder / "index", folder / "ledger", folder / "shard")
            ingest(
                archive, Labels(), b"fuzzing has no patient", "fuzz", folder / "part=0.tsv",
                Sources(folder / "dicom"), outputs, processes,
            )  # fmt: skip
            ledger = pl.read_parquet(outputs.ledger)
            assert ledger.height == size
            for outcome, reason, detail in ledger.select("outcome", "reason", "detail").rows():
                failed = outcome not in OUTCOMES or reason == "unexpected"
                failures += failed
                code = f"{reason}" + (f" {detail}" if failed or "decoder" in str(reason) else "")
                outcomes[f"{outcome}: {code.split(':')[0]}"] += 1
        done += size
        print(f"{done:,} of {count:,}, {failures} failed", file=sys.stderr, flush=True)
    for outcome, files in outcomes.most_common():
        print(f"{files:8,} {outcome}")
    print(f"{count:,} mutations of {len(seeds)} files, seed {seed}: {failures} failed, "
          f"{time.process_time() - start:.0f} s here")  # fmt: skip
    return failures


def main() -> None:
    """Exit with 1 if a mutation failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*", help="more files to begin with")
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--largest", type=int, default=40_000, help="bytes of a file to mutate")
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()
    failures = run(args.mutations, args.seed, args.folders, args.largest, args.processes)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
