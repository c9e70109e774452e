"""Compare the loader with its peers and its limits, on the same images and with the same decoder.

Each measurement runs in a separate process; those of one case follow each other, and rounds are
interleaved, so that a busy machine slows all equally. Warm cases count images per second of CPU
time; cold ones images per second of wall time, after the files were evicted from the page cache. A
peer that is not installed is skipped and named.

    pip install webdataset datasets litdata pylance
    pip install --no-deps mosaicml-streaming   # its pins exclude current numpy and transformers
    python benchmarks/loader.py --folder /tmp/loader --write

Measurements are kept in the folder, so a second call continues after an interruption.
"""

import argparse
import importlib
import io
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tables import machine, markdown, write_between_marks

ROOT = Path(__file__).resolve().parents[1]
SHARDS = 4
SEED = 0
STEP = 256
"""Number of images per step, which are requested together."""

Fetch = Callable[[Sequence[int]], Iterator[bytes]]
"""Returns the encoded images with the given numbers, in that order."""


# The same images in every format.


def image(number: int) -> np.ndarray:
    """A synthetic film, 518 x 630: soft shapes, and noise like a radiograph's."""
    import cv2

    rng = np.random.default_rng(number)
    coarse = rng.normal(120, 60, (12, 10)).astype(np.float32)
    film = cv2.resize(coarse, (518, 630), interpolation=cv2.INTER_CUBIC)
    film += rng.normal(0, 2, film.shape).astype(np.float32)
    return film.clip(0, 255).astype(np.uint8)


def make(folder: Path, images: int) -> None:
    """Write `images` images in every format whose library is installed."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from radscale_lib.shards import png
    from radscale_lib.shards.ranges import write_ranges

    kinds = [image(number) for number in range(60)]
    encoded = [png.encode(kind) for kind in kinds]
    # Sixty images under different names: content does not matter, and noise does not compress.
    data = [encoded[number % len(encoded)] for number in range(images)]
    per = -(-images // SHARDS)
    (folder / "shards").mkdir(parents=True, exist_ok=True)
    for shard in range(SHARDS):
        part = data[shard * per : (shard + 1) * per]
        schema = pa.schema([pa.field("image", pa.binary(), nullable=False)])
        pq.write_table(
            pa.table({"image": part}, schema=schema), folder / f"shards/part={shard}.parquet",
            compression="none", use_dictionary=False, write_page_checksum=True, row_group_size=64,
        )  # fmt: skip
    names = [f"part={shard}.parquet" for shard in range(SHARDS)]
    write_ranges(folder / "shards", names, folder / "ranges.arrow")
    np.save(folder / "lengths.npy", [len(value) for value in data])
    (folder / "flat").write_bytes(b"".join(data))
    (folder / "files").mkdir(exist_ok=True)
    for number, value in enumerate(data):
        (folder / f"files/{number:06}.png").write_bytes(value)
    for name, write in PEER_FORMATS.items():
        if find_spec(name):
            write(folder, data)
    _make_codings(folder, kinds)


def _make_codings(folder: Path, kinds: list[np.ndarray]) -> None:
    """The same images as PNG of level 6, as Pillow writes it by default."""
    from PIL import Image

    level6 = []
    for kind in kinds:
        file = io.BytesIO()
        Image.fromarray(kind).save(file, "PNG")
        level6.append(file.getvalue())
    np.save(folder / "level6.npy", np.array(level6, dtype=object), allow_pickle=True)


def _write_webdataset(folder: Path, data: list[bytes]) -> None:
    module = importlib.import_module("webdataset")
    (folder / "webdataset").mkdir(exist_ok=True)
    per = -(-len(data) // SHARDS)
    for shard in range(SHARDS):
        with module.TarWriter(str(folder / f"webdataset/{shard}.tar")) as tar:
            for number in range(shard * per, min((shard + 1) * per, len(data))):
                tar.write({"__key__": f"{number:06}", "png": data[number]})


def _write_datasets(folder: Path, data: list[bytes]) -> None:
    module = importlib.import_module("datasets")
    module.Dataset.from_dict({"image": data}).save_to_disk(folder / "datasets", num_shards=SHARDS)


def _write_litdata(folder: Path, data: list[bytes]) -> None:
    writer = importlib.import_module("litdata.streaming").Cache(
        str(folder / "litdata"), chunk_bytes="64MB"
    )
    for number, value in enumerate(data):
        writer[number] = value
    writer.done()
    writer.merge()


def _write_streaming(folder: Path, data: list[bytes]) -> None:
    module = importlib.import_module("streaming")
    with module.MDSWriter(out=str(folder / "streaming"), columns={"image": "bytes"}) as writer:
        for value in data:
            writer.write({"image": value})


def _write_lance(folder: Path, data: list[bytes]) -> None:
    import pyarrow as pa

    importlib.import_module("lance").write_dataset(
        pa.table({"image": data}), str(folder / "lance"), mode="overwrite"
    )


PEER_FORMATS: dict[str, Callable[[Path, list[bytes]], None]] = {
    "webdataset": _write_webdataset,
    "datasets": _write_datasets,
    "litdata": _write_litdata,
    "streaming": _write_streaming,
    "lance": _write_lance,
}


# Ways of reading them.


def ours(folder: Path, images: int, views: bool = True) -> Fetch:
    """Shards with the index of byte ranges, checksums verified, a step fetched ahead."""
    from radscale_lib.shards.reader import ShardReader

    reader = ShardReader(folder / "shards", folder / "ranges.arrow")
    per = -(-images // SHARDS)
    names = [f"part={shard}.parquet" for shard in range(SHARDS)]
    reader.check({names[0]: 0})

    def request(numbers: Sequence[int]) -> Any:
        return reader.request([names[n // per] for n in numbers], [n % per for n in numbers])

    def fetch(numbers: Sequence[int]) -> Iterator[bytes]:
        ahead = None
        for start in range(0, len(numbers), STEP):
            here = ahead or request(numbers[start : start + STEP])
            ahead = request(numbers[start + STEP : start + 2 * STEP])
            if not views:
                here = here._replace(ahead=[False] * len(here.rows))
            for data in reader.encoded_or_defects(here):
                if isinstance(data, Exception):
                    raise data
                yield data

    return fetch


def ours_read(folder: Path, images: int) -> Fetch:
    """The same, with all images read and none viewed in the page cache."""
    return ours(folder, images, views=False)


def by_row_group(folder: Path, images: int) -> Fetch:
    """The same shards without the index: row groups of 64."""
    from radscale_lib.shards.reader import ShardReader

    reader = ShardReader(folder / "shards")
    per = -(-images // SHARDS)

    def fetch(numbers: Sequence[int]) -> Iterator[bytes]:
        for start in range(0, len(numbers), 32):
            batch = numbers[start : start + 32]
            shards = [f"part={number // per}.parquet" for number in batch]
            yield from reader.encoded(shards, [number % per for number in batch])

    return fetch


def flat_mmap(folder: Path, images: int) -> Fetch:
    """One mapped file with all images end to end: the limit."""
    import mmap

    ends = np.cumsum(np.load(folder / "lengths.npy"))
    starts = np.concatenate([[0], ends[:-1]])
    with (folder / "flat").open("rb") as file:
        content = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    return lambda numbers: (content[starts[n] : ends[n]] for n in numbers)


def files(folder: Path, images: int) -> Fetch:
    """One file per image."""
    return lambda numbers: ((folder / f"files/{n:06}.png").read_bytes() for n in numbers)


def hf_map(folder: Path, images: int) -> Fetch:
    """Hugging Face datasets, map-style."""
    data = importlib.import_module("datasets").load_from_disk(str(folder / "datasets"))
    return lambda numbers: (data[int(n)]["image"] for n in numbers)


def hf_streaming(folder: Path, images: int) -> Fetch:
    """Hugging Face datasets, streaming; in its own order, with a buffer of 1,000 if shuffled."""
    module = importlib.import_module("datasets")
    stored = module.load_from_disk(str(folder / "datasets")).to_iterable_dataset(num_shards=SHARDS)

    def fetch(numbers: Sequence[int]) -> Iterator[bytes]:
        stream = stored if _is_sequence(numbers) else stored.shuffle(SEED, buffer_size=1000)
        wanted = set(numbers) if len(numbers) < images else None
        for number, row in enumerate(stream):
            if wanted is None or number in wanted:
                yield row["image"]

    return fetch


def webdataset(folder: Path, images: int) -> Fetch:
    """WebDataset; in its own order, with a buffer of 1,000 if shuffled; a subset reads all."""
    module = importlib.import_module("webdataset")
    paths = [str(folder / f"webdataset/{shard}.tar") for shard in range(SHARDS)]

    def fetch(numbers: Sequence[int]) -> Iterator[bytes]:
        stream = module.WebDataset(paths, shardshuffle=False)
        if not _is_sequence(numbers):
            stream = stream.shuffle(1000)
        wanted = {f"{n:06}" for n in numbers} if len(numbers) < images else None
        for sample in stream:
            if wanted is None or sample["__key__"] in wanted:
                yield sample["png"]

    return fetch


def litdata(folder: Path, images: int) -> Fetch:
    """LitData: its own order over all images; single items of a subset."""
    module = importlib.import_module("litdata")

    def fetch(numbers: Sequence[int]) -> Iterator[bytes]:
        shuffled = not _is_sequence(numbers)
        data = module.StreamingDataset(str(folder / "litdata"), shuffle=shuffled, seed=SEED)
        if len(numbers) == images:
            yield from data
        else:
            yield from (data[int(n)] for n in numbers)

    return fetch


def streaming(folder: Path, images: int) -> Fetch:
    """MosaicML Streaming: single items, in any order."""
    module = importlib.import_module("streaming")
    data = module.StreamingDataset(local=str(folder / "streaming"), batch_size=32)
    return lambda numbers: (data[int(n)]["image"] for n in numbers)


def lance(folder: Path, images: int) -> Fetch:
    """Lance: 64 rows at a time, in any order."""
    data = importlib.import_module("lance").dataset(str(folder / "lance"))

    def fetch(numbers: Sequence[int]) -> Iterator[bytes]:
        for start in range(0, len(numbers), 64):
            rows = data.take([int(n) for n in numbers[start : start + 64]], columns=["image"])
            yield from (value.as_py() for value in rows["image"])

    return fetch


WAYS: dict[str, tuple[str, Callable[[Path, int], Fetch], str, str]] = {
    "flat": ("limit: flat file, mapped", flat_mmap, "", "flat"),
    "ours": ("**shards, index, checksums**", ours, "", "shards"),
    "read": ("the same, pread only", ours_read, "", "shards"),
    "groups": ("shards by row group", by_row_group, "", "shards"),
    "files": ("file per image", files, "", "files"),
    "hf-map": ("HF datasets, map", hf_map, "datasets", "datasets"),
    "hf-stream": ("HF datasets, streaming*", hf_streaming, "datasets", "datasets"),
    "litdata": ("LitData*", litdata, "litdata", "litdata"),
    "streaming": ("MosaicML Streaming", streaming, "streaming", "streaming"),
    "lance": ("Lance", lance, "lance", "lance"),
    "webdataset": ("WebDataset*", webdataset, "webdataset", "webdataset"),
}
"""Title, how it is opened, the module it needs, and what it reads."""
OWN = ("flat", "ours", "read", "groups")
"""Ways that are not peers."""
PACKAGES = {
    "webdataset": "webdataset",
    "datasets": "datasets",
    "litdata": "litdata",
    "streaming": "mosaicml-streaming",
    "lance": "pylance",
}
"""The packages of the peers' modules."""


def _is_sequence(numbers: Sequence[int]) -> bool:
    """Whether the images are requested in storage order."""
    return list(numbers[:9]) == list(range(9))


# Measurements, each in a process of its own.

CASES = ("sequential", "shuffled", "subset", "decoded", "cold sequential", "cold subset")


def chosen(case: str, images: int) -> list[int]:
    """Numbers of the images of a case, in order."""
    order = np.random.default_rng(SEED).permutation(images).tolist()
    if case.endswith("sequential"):
        return list(range(images))
    if case.endswith("subset"):
        return order[: images // 10]
    return order if case == "shuffled" else order[: images // 10]


def measure(way: str, case: str, folder: Path) -> dict[str, float]:
    """Rate of a case, bytes read from disk over those of the images, seconds to the first image."""
    images = len(np.load(folder / "lengths.npy"))
    _, open_, _, stored = WAYS[way]
    path = folder / stored
    paths = [path] if path.is_file() else [p for p in path.rglob("*") if p.is_file()]
    cold = case.startswith("cold")
    if not cold:
        for file in paths:
            _warm(file)
    # LitData's items one by one read whole chunks.
    numbers = chosen("shuffled" if (way, case) == ("litdata", "decoded") else case, images)
    began = time.perf_counter()
    fetch = open_(folder, images)
    next(iter(fetch(range(9))))
    opened = time.perf_counter() - began
    if cold:  # now, since opening some formats reads much
        for file in paths:
            _evict(file)
    if case == "decoded":
        from radscale_lib.shards.png import decode

        consume: Callable[[bytes], int] = lambda data: int(decode(data)[0, 0])  # noqa: E731
    else:
        consume = lambda data: int(np.frombuffer(data, np.uint8)[::64].sum())  # noqa: E731
    read, cpu, wall = _disk_bytes(), time.process_time(), time.perf_counter()
    count = payload = 0
    for data in fetch(numbers):
        consume(data)
        count += 1
        payload += len(data)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    return {
        "rate": count / (wall if cold else max(cpu, 1e-9)),
        "amplification": (_disk_bytes() - read) / payload,
        "open": opened,
        "megabytes": _own_megabytes(),
    }


def _own_megabytes() -> float:
    """Memory of this process without files that it maps, MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("RssAnon"))) / 1024


def _warm(path: Path) -> None:
    """Read a file into the page cache, from the beginning to the end.

    It is evicted first, since pages that were read one by one are slower than those of a long read.
    """
    _evict(path)
    with path.open("rb", buffering=0) as file:
        while file.read(2**20):
            pass


def _evict(path: Path) -> None:
    """Drop a file's pages from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def _disk_bytes() -> int:
    """Bytes that this process had read from disk, read-ahead included."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("read_bytes")))


# Decoding and augmentation, in one process, interleaved.


def crops(folder: Path, rounds: int) -> str:
    """Milliseconds of CPU per image: PNG, and PNG with multi-crop, beside torchvision's chain."""
    import cv2
    import torch
    from PIL import Image
    from torchvision.transforms import InterpolationMode, v2

    from radscale_lib.pretrain.dinov2_data import multi_crop
    from radscale_lib.shards import png
    from radscale_lib.study.paradigms.dinov2 import Dinov2

    torch.set_num_threads(1)
    level6 = np.load(folder / "level6.npy", allow_pickle=True).tolist()[:12]
    stored = [png.encode(image(number)) for number in range(12)]
    recipe = Dinov2(paradigm="dinov2", optimiser={"samples": 2, "batch": 2, "lr": 1.0})

    def opencv(data: bytes) -> object:
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)

    def ours(side: int) -> Callable[[bytes], object]:
        rng = np.random.default_rng(SEED)
        return lambda data: multi_crop(rng, png.decode(data), side, recipe, 0.5)

    def usual(side: int) -> Callable[[bytes], object]:
        def view(size: int, area: tuple[float, float]) -> v2.Compose:
            return v2.Compose(
                [
                    v2.RandomResizedCrop(size, area, interpolation=InterpolationMode.BICUBIC),
                    v2.RandomApply([v2.ColorJitter(0.4, 0.4)], 0.8),
                    v2.RandomApply([v2.GaussianBlur(9, (0.1, 2.0))], 0.5),
                    v2.ToImage(),
                    v2.ToDtype(torch.float32, scale=True),
                    v2.Normalize([0.5] * 3, [0.25] * 3),
                ]
            )

        wide = view(side, recipe.global_scale)
        narrow = view(recipe.local_size, recipe.local_scale)

        def chain(data: bytes) -> object:
            picture = Image.open(io.BytesIO(data)).convert("RGB")
            return [wide(picture) for _ in range(2)] + [narrow(picture) for _ in range(8)]

        return chain

    ways: dict[str, tuple[Callable[[bytes], object], list[bytes]]] = {
        "PNG level 6, OpenCV": (opencv, level6),
        "PNG of the shards": (png.decode, stored),
        "PNG of the shards, OpenCV": (opencv, stored),
        "518: Pillow, RGB, torchvision": (usual(518), level6),
        "518: shards and crops of this project": (ours(518), stored),
        "224: Pillow, RGB, torchvision": (usual(224), level6),
        "224: shards and crops of this project": (ours(224), stored),
    }
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, (work, data) in ways.items():
            count = 2 if "torchvision" in name else len(data)
            began = time.process_time()
            for value in data[:count]:
                work(value)
            spent[name].append((time.process_time() - began) / count * 1e3)
    middle = {name: statistics.median(of) for name, of in spent.items()}
    bases = (
        "PNG level 6, OpenCV",
        "518: Pillow, RGB, torchvision",
        "224: Pillow, RGB, torchvision",
    )
    rows = []
    for name, of in middle.items():
        base = next(b for b in bases if b[:3] == name[:3])
        rows.append([name, f"{of:.2f}", f"{middle[base] / of:.1f}"])
    size = sum(map(len, stored)) / sum(map(len, level6)) - 1
    note = f"Size of the shards' PNG against level 6: {size:+.1%}."
    return f"{markdown(['chain', 'CPU ms per image', 'times as fast'], rows)}\n\n{note}"


def resume(rounds: int) -> str:
    """CPU seconds until a resumed run knows its first step, wherever it was interrupted."""
    from radscale_lib.pretrain.data import Share
    from radscale_lib.pretrain.sampler import permutation

    share = Share(SEED, batch=STEP, images=3_500_000)
    epoch = share.images // share.batch
    seconds: dict[str, list[float]] = {}
    for _ in range(rounds):
        for done in (0, epoch // 2, epoch - 1, 10 * epoch + epoch // 2):
            permutation.cache_clear()
            start = time.process_time()
            share.of_step(done)
            taken = time.process_time() - start
            seconds.setdefault(f"{done * STEP:,}", []).append(taken)
    rows = [[done, f"{statistics.median(taken):.2f}"] for done, taken in seconds.items()]
    return markdown(["samples done, of 3.5 million images", "CPU s to the next step"], rows)


def report(found: dict[tuple[str, str], list[dict[str, float]]], absent: list[str]) -> str:
    """The measurements as Markdown."""
    ways = list(dict.fromkeys(way for way, _ in found))

    def middle(way: str, case: str, key: str = "rate") -> float:
        return statistics.median(run[key] for run in found[way, case])

    rows = []
    for way in ways:
        row = [WAYS[way][0]]
        for case in CASES:
            rate = middle(way, case)
            limit = middle("flat", "cold sequential" if case.startswith("cold") else case)
            text = f"{rate:,.0f} ({rate / limit:.2f})"
            if case.startswith("cold"):
                text += f" ×{middle(way, case, 'amplification'):.2f}"
            row.append(text)
        row += [
            f"{middle(way, 'shuffled', 'open'):.2f}",
            f"{middle(way, 'shuffled', 'megabytes'):.0f}",
        ]
        rows.append(row)
    head = ["loader", *CASES, "first image s", "own MiB"]
    notes = [_against_peers(case, found) for case in ("shuffled", "cold subset")]
    if absent:
        notes.append(f"Not installed: {', '.join(absent)}.")
    return "\n\n".join([markdown(head, rows), *filter(None, notes)])


def _against_peers(case: str, found: dict[tuple[str, str], list[dict[str, float]]]) -> str:
    """The ratio to the best peer that returns images in the requested order; median of rounds."""
    ours = found.get(("ours", case), [])
    ratios = {
        way: statistics.median(
            mine["rate"] / its["rate"] for mine, its in zip(ours, found[way, case], strict=True)
        )
        for way in WAYS
        if (way, case) in found and way not in OWN and not WAYS[way][0].endswith("*")
    }
    if not ours or not ratios:
        return ""
    best = min(ratios, key=lambda way: ratios[way])
    title = WAYS[best][0]
    return f"{case.capitalize()}: {ratios[best]:.1f} times {title}, the best peer in that order."


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="folder for the images")
    parser.add_argument("--images", type=int, default=6000, help="number of images")
    parser.add_argument("--rounds", type=int, default=3, help="interleaved rounds (default: 3)")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--write", action="store_true", help="write the tables into the document")
    parser.add_argument("--one", nargs=2, metavar=("WAY", "CASE"), help="measure one, and print it")
    parser.add_argument("--crops", action="store_true", help="measure decoding and crops only")
    parser.add_argument("--resume", action="store_true", help="measure resuming only")
    args = parser.parse_args(argv)
    page = ROOT / "docs/measured/loader.md"
    if args.resume:
        text = f"{machine('numpy')}.\n\n{resume(args.rounds)}"
        print(text)
        if args.write:
            write_between_marks(page, "resume", text)
        return
    if args.one:
        print("RESULT " + json.dumps(measure(*args.one, args.folder)))
        return
    if not (args.folder / "level6.npy").exists():
        make(args.folder, args.images)
    if args.crops:
        about = machine("opencv-python-headless", "imagecodecs", "torchvision")
        text = f"{about}.\n\n{crops(args.folder, args.rounds)}"
        print(text)
        if args.write:
            write_between_marks(page, "crops", text)
        return
    absent = sorted(
        {WAYS[way][2] for way in args.ways if WAYS[way][2] and not find_spec(WAYS[way][2])}
    )
    ways = [way for way in args.ways if WAYS[way][2] not in absent]
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    record = args.folder / "measurements.jsonl"
    done = iter(record.read_text().splitlines() if record.exists() else [])
    for number in range(args.rounds):
        for case in CASES:
            for way in ways:
                line = next(done, None) or _run(way, case, args.folder, number, record)
                result = json.loads(line)
                if [way, case, number] != [result[key] for key in ("way", "case", "round")]:
                    raise SystemExit(f"{record} is of other options: delete it to measure anew")
                found.setdefault((way, case), []).append(result)
    present = [package for module, package in PACKAGES.items() if module not in absent]
    about = machine(*present, "pyarrow", "imagecodecs")
    text = f"{about}.\n\n{report(found, absent)}"
    print(text)
    if args.write:
        write_between_marks(page, "benchmark", text)


def _run(way: str, case: str, folder: Path, number: int, record: Path) -> str:
    """Measure once; the line with the result is kept, so that an interrupted run continues."""
    command = [sys.executable, __file__, "--folder", str(folder), "--one", way, case]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    result = next(line for line in done.stdout.splitlines() if line.startswith("RESULT "))
    line = json.dumps({"way": way, "case": case, "round": number, **json.loads(result[7:])})
    print(line, file=sys.stderr, flush=True)
    with record.open("a") as file:
        file.write(line + "\n")
    return line


if __name__ == "__main__":
    main()
