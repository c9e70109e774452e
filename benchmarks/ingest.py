"""Speed and memory of ingest, as ratios to other ways in the same run.

    python benchmarks/ingest.py images FILM.dcm ... [--synthetic]   # file to encoded row
    python benchmarks/ingest.py headers FOLDER ...                  # header scan, values compared
    python benchmarks/ingest.py rows --rows 3500000                 # index, ledger, catalog

The peer of `images` is pydicom's pixel_array, SimpleITK's cubic B-spline and Pillow's PNG, with the
same pixels. The lower limit consists only of reading, the best decoder, and PNG encoding of an
image of the stored size, by zlib's fast level 1 or as radscale writes it. Each file is rewritten in
every transfer syntax. Times are processor times; the smallest of the interleaved rounds counts.
"""

import argparse
import io
import resource
import tempfile
import time
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import polars as pl
import pyarrow as pa
import pydicom
from numpy.typing import NDArray
from pydicom import uid
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames

from benchmarks.timing import fastest
from radscale_lib.archive import catalog, header
from radscale_lib.archive.elements import KEYWORDS
from radscale_lib.archive.header import quiet_pydicom, read_header
from radscale_lib.archive.ingest import image_columns
from radscale_lib.archive.instance import instance_of
from radscale_lib.archive.ledger import Account, write_index, write_ledger
from radscale_lib.archive.listing import Entry
from radscale_lib.archive.resize import stored_size
from radscale_lib.archive.rle import decode_rle
from radscale_lib.archive.selection import Facts, facts_of
from radscale_lib.archive.workers import keep_freed_memory
from radscale_lib.pseudonyms import pseudonym
from radscale_lib.shards import codec
from radscale_lib.shards.schema import shard_schema
from radscale_lib.study.archive import Image, Labels, Splits

SIDE = 518
MANY = 200
"""Minimum number of files in each round of the header scan."""
ENCODERS: dict[str, tuple[str, Callable[[Any, int], bytes] | None]] = {
    "uncompressed": (uid.ExplicitVRLittleEndian, None),
    "RLE": (uid.RLELossless, None),
    "JPEG lossless": (
        uid.JPEGLosslessSV1,
        lambda x, b: imagecodecs.jpeg_encode(x, lossless=True, predictor=1, bitspersample=b),
    ),
    "JPEG-LS": (uid.JPEGLSLossless, lambda x, _: imagecodecs.jpegls_encode(x)),
    "HTJ2K": (uid.HTJ2KLossless, lambda x, _: imagecodecs.htj2k_encode(x, reversible=True)),
    "JPEG 2000": (
        uid.JPEG2000Lossless,
        lambda x, b: imagecodecs.jpeg2k_encode(
            x, codecformat="j2k", reversible=True, level=0, bitspersample=b
        ),
    ),
}


def write_as(film: Dataset, path: Path, syntax: str) -> None:
    """Write a film in another transfer syntax."""
    target, encoder = ENCODERS[syntax]
    copy = deepcopy(film)
    pixels = film.pixel_array
    copy.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    copy.PixelData = pixels.tobytes() + b"\0" * (pixels.nbytes % 2)
    copy["PixelData"].VR = "OW"
    if encoder is not None:
        copy.file_meta.TransferSyntaxUID = target
        copy.PixelData = encapsulate([bytes(encoder(pixels, film.BitsStored))])
        copy["PixelData"].is_undefined_length = True
        copy["PixelData"].VR = "OB"
    elif target == uid.RLELossless:
        copy.compress(target, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    copy.save_as(path, implicit_vr=False, little_endian=True, enforce_file_format=True)


def synthetic(film: Dataset, height: int = 2500, width: int = 2048) -> Dataset:
    """The film enlarged, at 12 bits, with its original noise."""
    pixels = film.pixel_array.astype(np.float32)
    noise = np.std(pixels - cv2.GaussianBlur(pixels, (0, 0), 1.5))
    large = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC)
    large += np.random.default_rng(0).normal(0, noise, large.shape)
    large = np.rint((large - large.min()) / np.ptp(large) * 4095).astype(np.uint16)
    made = deepcopy(film)
    made.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
    made.Rows, made.Columns, made.BitsAllocated = height, width, 16
    made.BitsStored, made.HighBit, made.PixelRepresentation = 12, 11, 0
    made.PixelData = large.tobytes()
    made["PixelData"].VR = "OW"
    return made


def by_radscale(path: Path) -> bytes:
    """The work of an ingest worker."""
    encoded: bytes = image_columns(instance_of(read_header(path), "PA"), Image(alignment="origin"))[
        "image"
    ]
    return encoded


def by_peer(path: Path) -> bytes:
    """The same pixels by pydicom, SimpleITK and Pillow."""
    import PIL.Image
    import SimpleITK as sitk

    dataset = pydicom.dcmread(path)
    grey = dataset.pixel_array.astype(np.float32)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        grey = grey.max() - grey
    low, high = grey.min(), grey.max()
    image = sitk.GetImageFromArray((grey - low) * (255 / (high - low)))
    height, width = stored_size(*grey.shape, SIDE)
    spacing = grey.shape[1] / width, grey.shape[0] / height
    resized = sitk.Resample(
        image, (width, height), sitk.Transform(), sitk.sitkBSpline, image.GetOrigin(), spacing,
        image.GetDirection(), 0.0, sitk.sitkFloat32,
    )  # fmt: skip
    shown = (sitk.GetArrayFromImage(resized).clip(0, 255) + 0.5).astype(np.uint8)
    buffer = io.BytesIO()
    PIL.Image.fromarray(shown).save(buffer, "PNG")
    return buffer.getvalue()


def level_1(pixels: NDArray[np.uint8]) -> bytes:
    """PNG by Pillow at zlib's fastest level."""
    import PIL.Image

    buffer = io.BytesIO()
    PIL.Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def floor_of(
    path: Path, syntax: str, encode: Callable[[NDArray[np.uint8]], bytes]
) -> Callable[[Path], bytes]:
    """Read the file, decode its frame, encode a picture of the stored size."""
    stored = codec.decode(by_radscale(path))
    dataset = pydicom.dcmread(path)
    shape = dataset.Rows, dataset.Columns
    decoders: dict[str, Callable[[bytes], Any]] = {
        "uncompressed": lambda frame: np.frombuffer(frame, np.uint16),
        "RLE": lambda frame: decode_rle(frame, shape, 2),
        "JPEG lossless": imagecodecs.jpeg_decode,
        "JPEG-LS": imagecodecs.jpegls_decode,
        "HTJ2K": imagecodecs.htj2k_decode,
        "JPEG 2000": imagecodecs.jpeg2k_decode,
    }
    frame = dataset.PixelData
    if syntax != "uncompressed":
        frame = next(generate_frames(frame, number_of_frames=1))

    def floor(path: Path) -> bytes:
        path.read_bytes()
        decoders[syntax](frame)
        return encode(stored)

    return floor


def images(films: list[Path], rounds: int, with_synthetic: bool) -> None:
    """Print ratios to the peer and to the floor, and how many pixels differ."""
    import SimpleITK as sitk

    keep_freed_memory()  # as in a worker of ingest
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    cv2.setNumThreads(1)
    sources = {path.stem: pydicom.dcmread(path) for path in films}
    if with_synthetic:
        sources["synthetic"] = synthetic(next(iter(sources.values())))
    print(
        "| film | syntax | peer / ours | ours / floor at level 1 | ours / floor by our PNG "
        "| pixels that differ | by at most |"
    )
    print("|---" * 7 + "|")
    with tempfile.TemporaryDirectory() as folder:
        for name, film in sources.items():
            for syntax in ENCODERS:
                path = Path(folder) / "film.dcm"
                write_as(film, path, syntax)
                ways = {
                    "ours": by_radscale,
                    "peer": by_peer,
                    "level 1": floor_of(path, syntax, level_1),
                    "our PNG": floor_of(path, syntax, codec.encode),
                }
                seconds = fastest(ways, rounds, path)
                ours, peer = (codec.decode(way(path)).astype(int) for way in (by_radscale, by_peer))
                apart = np.abs(ours - peer)
                print(
                    f"| {name} | {syntax} | {seconds['peer'] / seconds['ours']:.1f} | "
                    f"{seconds['ours'] / seconds['level 1']:.2f} | "
                    f"{seconds['ours'] / seconds['our PNG']:.2f} | {(apart > 0).mean():.4%} | "
                    f"{apart.max()} |",
                    flush=True,
                )


def headers(folders: list[Path], rounds: int) -> None:
    """Print the ratio of the header scan to pydicom's, and compare every value."""
    files = sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())
    with quiet_pydicom():
        compared = sum(compare(path) for path in files)
        quick = [path for path in files if _is_quick(path)]
        print(f"{len(files)} files, {len(quick)} by the quick parser, {compared} values equal")
        quick *= -(-MANY // len(quick))  # as in a scan, with caches warm for one of the ways
        ways: dict[str, Callable[[Path], Any]] = {
            "read_header": lambda _: [read_header(path) for path in quick],
            "read_header and facts": lambda _: [facts_of(read_header(path)) for path in quick],
            "dcmread(stop_before_pixels)": lambda _: [
                pydicom.dcmread(path, stop_before_pixels=True) for path in quick
            ],
            "dcmread and the values": lambda _: [_values(path) for path in quick],
        }
        seconds = fastest(ways, rounds, Path())
    for name, taken in seconds.items():
        ratio = seconds["dcmread and the values"] / taken
        print(f"{name}: {len(quick) / taken:,.0f} files/s, {ratio:.1f} x")


def _values(path: Path) -> list[Any]:
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    return [dataset.get(keyword) for keyword in KEYWORDS]


def _is_quick(path: Path) -> bool:
    return path.stat().st_size > 0 and header.read_quickly(path) is not None


def compare(path: Path) -> int:
    """Compare every value of the quick parser with pydicom's; return their number."""
    if not _is_quick(path):
        return 0
    quick = header.read_quickly(path)
    with path.open("rb") as file:
        slow = header.read_by_pydicom(path, file)
    assert quick is not None
    assert quick[2:] == slow[2:], path
    for keyword in KEYWORDS:
        assert quick.elements.text(keyword) == slow.elements.text(keyword), (path, keyword)
        assert _plain(quick.elements.values(keyword)) == _plain(slow.elements.values(keyword))
    return len(KEYWORDS)


def _plain(values: list[Any]) -> list[str]:
    return [
        str(float(value)) if isinstance(value, float) else str(value).strip() for value in values
    ]


def rows(count: int, partitions: int) -> None:
    """Write the index and the ledger of synthetic files, and merge them; print time and memory."""
    labels = Labels(findings=tuple(f"finding {i}" for i in range(7)), tubes=("ett", "cvc"))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = time.process_time()
        for number in range(partitions):
            _partition(folder, number, range(number, count, partitions), labels)
        made = time.process_time()
        parts = catalog.partitions_of(
            *(
                sorted((folder / kind).iterdir(), key=lambda path: int(path.stem[5:]))
                for kind in ("listing", "ledger", "shards")
            )
        )
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        catalog.merge(
            parts,
            Splits(),
            1.0,
            folder / "ledger.parquet",
            folder / "catalog.parquet",
            joins=folder / "joins.parquet",
        )
        merged = time.process_time()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(
        f"{count:,} rows: partitions {made - start:.1f} s ({before / 2**20:.2f} GiB), "
        f"catalog {merged - made:.1f} s ({peak / 2**20:.2f} GiB)"
    )


def _partition(folder: Path, number: int, files: range, labels: Labels) -> None:
    """A partition as written by ingest, with empty images."""
    key = b"benchmark, nobody"
    accounts = []
    listing = folder / "listing" / f"part={number}.tsv"
    listing.parent.mkdir(exist_ok=True)
    with listing.open("w") as file:
        for n in files:
            entry = Entry(f"{n % 997}/{n}.dcm", 8_000_000, n)
            file.write(f"{entry.path}\t{entry.size}\t{entry.mtime_ns}\n")
            facts = Facts("CR", "PA", 2500, 2048, "MONOCHROME2", 12, "Explicit VR Little Endian")
            accounts.append(Account(entry, facts, "accepted", row=len(accounts)))
    write_index(folder / "index" / f"part={number}.parquet", accounts)
    write_ledger(
        folder / "ledger" / f"part={number}.parquet", accounts, f"part={number}.parquet", key
    )
    shard = folder / "shards" / f"part={number}.parquet"
    shard.parent.mkdir(exist_ok=True)
    ids = [pseudonym(key, "image", str(n)) for n in files]
    columns: dict[str, Any] = {
        "image_id": ids,
        "study_id": [pseudonym(key, "study", str(n // 2)) for n in files],
        "patient_id": [pseudonym(key, "patient", str(n // 5)) for n in files],
        "image": [b""] * len(ids),
        "image_digest": ids[::-1],
        "view": ["PA"] * len(ids),
        "findings": [f"The lungs are clear. Heart size is normal. Line {n}. " * 5 for n in files],
        "impression": [f"No acute process in film {n}." for n in files],
        "labelled": [True] * len(ids),
        "digest": ids,
    }
    schema = shard_schema(labels)
    for field in schema:
        if field.name not in columns:
            fill: Any = None if field.nullable else 1
            columns[field.name] = [fill] * len(ids)
    pl.from_arrow(pa.table({name: columns[name] for name in schema.names}, schema)).write_parquet(
        shard
    )


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("images", help="from file to encoded row")
    command.add_argument("films", type=Path, nargs="+", help="chest radiographs as DICOM")
    command.add_argument("--synthetic", action="store_true", help="enlarge the first to 5 MP too")
    command.add_argument("--rounds", type=int, default=5)
    command = commands.add_parser("headers", help="the header scan")
    command.add_argument("folders", type=Path, nargs="+")
    command.add_argument("--rounds", type=int, default=5)
    command = commands.add_parser("rows", help="index, ledger and catalog")
    command.add_argument("--rows", type=int, default=35_000)
    command.add_argument("--partitions", type=int, default=350)
    return parser.parse_args()


def main() -> None:
    """Run one of the three."""
    args = _parsed()
    match args.command:
        case "images":
            images(args.films, args.rounds, args.synthetic)
        case "headers":
            headers(args.folders, args.rounds)
        case "rows":
            rows(args.rows, args.partitions)


if __name__ == "__main__":
    main()
