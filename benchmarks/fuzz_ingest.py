"""Fuzz ingest with mutated DICOM files: their outcomes, and whether any affects other files.

    python benchmarks/fuzz_ingest.py --mutations 100000 --results fuzz.json [FOLDER ...]

Half of the mutations start from a file of pydicom (or of the given folders) up to a size, a quarter
each from a small radiograph and from a small colour picture, in every transfer syntax. A seeded
generator changes one of three things: bytes anywhere; values of the header that decoders rely on,
which leave it parseable; the encoded pixels and their lengths. They go through the steps of a
partition: header, selection of everything, decoding in a separate process. A mutation counts as a
failure if ingest crashes, or returns an invalid outcome or the reason `unexpected`. With
`--results`, the same command continues where it was stopped.
"""

import argparse
import json
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import imagecodecs
import numpy as np
import polars as pl
import pydicom.data
from pydicom import uid
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate

from radscale_lib.archive.ingest import Outputs, Sources, ingest
from radscale_lib.archive.listing import refresh
from radscale_lib.archive.outcomes import OUTCOMES
from radscale_lib.archive.terms import MODALITIES
from radscale_lib.study.archive import Archive, Image, Labels, Select

BATCH = 1000
NUMBERS = (0, 1, 2, 3, 7, 8, 9, 12, 15, 16, 17, 31, 32, 64, 255, 4096, 32767, 65535)
EXTREMES = (b"\xff" * 4, b"\0" * 4, b"\xfe\xff\xff\xff", b"\xff\xff\xff\x7f", b"\xff\xff\0\0")
EVERYTHING = Select(
    modalities=tuple(sorted(MODALITIES)),
    views=("PA", "AP", "LL", "RL", "unknown"),
    minimum_pixels=1,
    secondary=True,
    for_processing=True,
    burned_in=True,
    colour=True,
)
NUMBER = re.compile(
    rb"\x28\0(?:\x02\0|\x06\0|\x08\0|\x10\0|\x11\0|\x00\x01|\x01\x01|\x02\x01|\x03\x01|\x06\x01)US\x02\0"
)
"""Samples per Pixel to Pixel Representation, explicit little endian."""
PALETTE = re.compile(rb"\x28\0[\1-\3]\x11US\x06\0")
"""Palette descriptors: entries, first mapped value, bits."""
SYNTAX = re.compile(rb"\x02\0\x10\0UI(..)", re.DOTALL)
PIXELS = re.compile(rb"\xe0\x7f\x10\0(?:O[BW]\0\0)?")
SYNTAXES = [
    "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2",
    "1.2.840.10008.1.2.5",
    *(f"1.2.840.10008.1.2.4.{n}" for n in (50, 51, 57, 70, 80, 81, 90, 91, 201, 202, 203)),
]  # fmt: skip
DECODED = ("accepted", "constant", "decode_failed", "decoder_crashed", "decoder_hung", "duplicate")
"""Outcomes and reasons of files whose pixels reached a decoder."""
KINDS = ("bytes", "header", "pixels")


def mutate(data: bytes, rng: random.Random, kind: str | None = None) -> bytes:
    """A file mutated in one of the `KINDS`."""
    kind = kind or rng.choice(KINDS)
    pixels = list(PIXELS.finditer(data))
    if kind == "header":
        return _header_altered(data, rng)
    if kind == "pixels" and pixels:
        start = pixels[-1].end()
        if rng.random() < 0.6:  # within the stream, keeping lengths and the end marker
            return _overwritten(data, rng, min(start + 16, len(data) - 20), len(data) - 12)
        return _bytes_altered(data, rng, start)
    return _bytes_altered(data, rng, 128)


def _overwritten(data: bytes, rng: random.Random, first: int, last: int) -> bytes:
    mutated = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        at = rng.randrange(first, last if rng.random() < 0.5 else min(last, first + 120))
        new = rng.choice([rng.randbytes(1), rng.randbytes(3), rng.choice(EXTREMES)])
        mutated[at : at + len(new)] = new
    return bytes(mutated)


def _bytes_altered(data: bytes, rng: random.Random, first: int) -> bytes:
    """Change, insert, cut, double or overwrite bytes, half of the time near the first one."""
    mutated = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 20])):
        end = len(mutated) if rng.random() < 0.5 else min(len(mutated), first + 1400)
        if end - first < 12:
            break
        at = rng.randrange(first, end)
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


def _header_altered(data: bytes, rng: random.Random) -> bytes:
    """Give one to three numbers, or the transfer syntax, another value; no length changes."""
    mutated = bytearray(data)
    places = [match.end() for match in NUMBER.finditer(data)]
    places += [match.end() + at for match in PALETTE.finditer(data) for at in (0, 2, 4)]
    stated = SYNTAX.search(data)
    if stated and rng.random() < 0.3:
        room = int.from_bytes(stated[1], "little")
        fitting = [name.encode() for name in SYNTAXES if len(name) <= room]
        if fitting and room < 64:
            mutated[stated.end() : stated.end() + room] = rng.choice(fitting).ljust(room, b"\0")
    for at in rng.sample(places, min(len(places), rng.randrange(1, 4))):
        old = int.from_bytes(mutated[at : at + 2], "little")
        near = (old + 1, old - 1, 2 * old, old // 2, rng.randrange(65536))
        value = rng.choice(NUMBERS + near)
        mutated[at : at + 2] = (value % 65536).to_bytes(2, "little")
    return bytes(mutated)


def radiographs() -> Iterator[bytes]:
    """A small radiograph in every transfer syntax that has an encoder here, at 8 and 12 bits."""
    y, x = np.mgrid[:62, :70]
    noise = np.random.default_rng(0).normal(0, 0.02, x.shape)
    waves = (np.sin(x / 20) + np.cos(y / 15) + noise + 2.1) / 4.2
    for bits in (8, 12):
        image = np.rint(waves * ((1 << bits) - 1)).astype(np.uint8 if bits == 8 else np.uint16)
        encoders = {
            uid.ImplicitVRLittleEndian: None,
            uid.ExplicitVRLittleEndian: None,
            uid.ExplicitVRBigEndian: None,
            uid.DeflatedExplicitVRLittleEndian: None,
            uid.RLELossless: None,
            uid.JPEGLosslessSV1: imagecodecs.jpeg_encode(image, lossless=True, bitspersample=bits),
            uid.JPEGLossless: imagecodecs.jpeg_encode(
                image, lossless=True, predictor=4, bitspersample=bits
            ),
            uid.JPEGExtended12Bit if bits == 12 else uid.JPEGBaseline8Bit: imagecodecs.jpeg_encode(
                image, bitspersample=bits
            ),
            uid.JPEGLSLossless: imagecodecs.jpegls_encode(image),
            uid.JPEGLSNearLossless: imagecodecs.jpegls_encode(image, level=2),
            uid.JPEG2000Lossless: imagecodecs.jpeg2k_encode(image, codecformat="j2k", level=0),
            uid.JPEG2000: imagecodecs.jpeg2k_encode(image, codecformat="j2k", level=40),
            uid.HTJ2KLossless: imagecodecs.htj2k_encode(image, reversible=True),
        }
        for syntax, frame in encoders.items():
            yield _file(image, bits, syntax, frame)


def pictures() -> Iterator[bytes]:
    """A small colour picture in every transfer syntax, and with palettes."""
    y, x = np.mgrid[:62, :70]
    noise = np.random.default_rng(0).normal(0, 3, (*x.shape, 3))
    waves = np.stack([np.sin(x / 20), np.cos(y / 15), np.sin((x + y) / 25)], 2)
    image = np.clip(127 + 100 * waves + noise, 0, 255).astype(np.uint8)
    ycbcr = cv2.cvtColor(image, cv2.COLOR_RGB2YCrCb)[..., [0, 2, 1]]
    yield _file(image, 8, uid.ImplicitVRLittleEndian, photometric="RGB")
    yield _file(image.astype(np.uint16) * 257, 16, uid.ExplicitVRLittleEndian, photometric="RGB")
    for syntax in (
        uid.ExplicitVRLittleEndian,
        uid.DeflatedExplicitVRLittleEndian,
        uid.ExplicitVRBigEndian,
        uid.RLELossless,
    ):
        yield _file(image, 8, syntax, photometric="RGB")
        yield _file(ycbcr, 8, syntax, photometric="YBR_FULL")
        yield _file(image[..., 0], 8, syntax, photometric="PALETTE COLOR", **_palettes())
    planes = np.ascontiguousarray(image.transpose(2, 0, 1)).reshape(image.shape)
    yield _file(planes, 8, uid.ExplicitVRLittleEndian, photometric="RGB", PlanarConfiguration=1)
    pairs = np.stack([ycbcr[:, ::2, 0], ycbcr[:, 1::2, 0], *ycbcr[:, ::2, 1:].transpose(2, 0, 1)])
    yield _file(
        ycbcr, 8, uid.ExplicitVRLittleEndian, photometric="YBR_FULL_422",
        PixelData=pairs.transpose(1, 2, 0).tobytes(),
    )  # fmt: skip
    lossless = {
        uid.JPEGLosslessSV1: imagecodecs.jpeg_encode(image, lossless=True),
        uid.JPEGLossless: imagecodecs.jpeg_encode(image, lossless=True, predictor=4),
        uid.JPEGLSLossless: imagecodecs.jpegls_encode(image),
        uid.JPEGLSNearLossless: imagecodecs.jpegls_encode(image, level=2),
    }
    for syntax, frame in lossless.items():
        yield _file(image, 8, syntax, frame, "RGB")
    transformed = {
        uid.JPEGBaseline8Bit: (imagecodecs.jpeg_encode(image), "YBR_FULL_422"),
        uid.JPEG2000Lossless: (
            imagecodecs.jpeg2k_encode(image, codecformat="j2k", level=0, reversible=True),
            "YBR_RCT",
        ),
        uid.JPEG2000: (imagecodecs.jpeg2k_encode(image, codecformat="j2k", level=40), "YBR_ICT"),
        uid.HTJ2KLossless: (imagecodecs.htj2k_encode(image, reversible=True), "YBR_RCT"),
    }
    for syntax, (frame, photometric) in transformed.items():
        yield _file(image, 8, syntax, frame, photometric)


def _palettes() -> dict[str, Any]:
    tags: dict[str, Any] = {}
    for name, power in (("Red", 1.0), ("Green", 0.7), ("Blue", 1.5)):
        entries = np.rint(np.linspace(0, 1, 256) ** power * 65535).astype("<u2")
        tags[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        tags[f"{name}PaletteColorLookupTableData"] = entries.tobytes()
    return tags


def _file(
    image: np.ndarray,
    bits: int,
    syntax: uid.UID,
    frame: bytes | None = None,
    photometric: str = "MONOCHROME2",
    **tags: Any,
) -> bytes:
    """A DICOM file of an image; `frame`: its pixels as they are encoded."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.SOPClassUID = uid.ComputedRadiographyImageStorage
    dataset.SOPInstanceUID = dataset.StudyInstanceUID = "1.2.3"
    dataset.PatientID, dataset.Modality, dataset.ViewPosition = "1", "CR", "PA"
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, photometric
    if image.ndim == 3:
        dataset.SamplesPerPixel, dataset.PlanarConfiguration = 3, 0
    dataset.Rows, dataset.Columns = image.shape[:2]
    dataset.BitsAllocated, dataset.BitsStored = 8 * image.itemsize, bits
    dataset.HighBit, dataset.PixelRepresentation = bits - 1, 0
    order = ">" if syntax == uid.ExplicitVRBigEndian else "<"
    dataset.PixelData = image.astype(image.dtype.newbyteorder(order)).tobytes()
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    if syntax == uid.RLELossless:
        dataset.file_meta.TransferSyntaxUID = uid.ExplicitVRLittleEndian
        dataset.compress(syntax, encoding_plugin="pylibjpeg", generate_instance_uid=False)
    elif frame is not None:
        dataset.PixelData = encapsulate([bytes(frame)])
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
    with tempfile.TemporaryFile() as file:
        dataset.save_as(file, enforce_file_format=True)
        file.seek(0)
        return file.read()


def sources(folders: list[Path], largest: int) -> Iterator[bytes]:
    """Intact and unusual files from which mutations start."""
    bundled = Path(pydicom.data.__file__).parent / "test_files"
    for folder in (bundled, *folders):
        for path in sorted(folder.rglob("*")):
            if path.is_file() and 140 <= path.stat().st_size <= largest:
                yield path.read_bytes()


class Tally:
    """The outcomes of the mutations, kept in a file if one is given."""

    def __init__(self, path: Path | None) -> None:
        """Continue from the file."""
        self._path = path
        self.done = self.failures = 0
        self.outcomes = Counter[str]()
        if path and path.exists():
            saved = json.loads(path.read_text())
            self.done, self.failures = saved["done"], saved["failures"]
            self.outcomes.update(saved["outcomes"])

    def add(self, kind: str, outcome: str, reason: str | None, detail: str | None) -> None:
        """Count one mutation."""
        failed = outcome not in OUTCOMES or reason == "unexpected"
        self.failures += failed
        code = str(reason).split(":")[0] if reason else ""
        if failed or code.startswith("decoder_"):
            code += f" {detail}"
        self.outcomes[f"{kind}|{outcome}|{code}"] += 1

    def save(self, mutations: int) -> None:
        """Record the number of further mutations done."""
        self.done += mutations
        if self._path:
            state = {"done": self.done, "failures": self.failures, "outcomes": self.outcomes}
            self._path.write_text(json.dumps(state))

    def print(self) -> None:
        """The table of outcomes by kind of mutation, and how many reached a decoder."""
        totals = Counter[tuple[str, str]]()
        for key, files in self.outcomes.items():
            kind, outcome, reason = key.split("|")
            totals[f"{outcome}: {reason}".rstrip(": "), kind] += files
        rows = sorted(
            {row for row, _ in totals}, key=lambda row: -sum(totals[row, k] for k in KINDS)
        )
        print(f"| outcome | {' | '.join(KINDS)} |\n|---|{'---|' * len(KINDS)}")
        for row in rows:
            print(f"| {row} | {' | '.join(f'{totals[row, kind]:,}' for kind in KINDS)} |")
        decoded = Counter[str]()
        for (row, kind), files in totals.items():
            decoded[kind] += files * any(name in row for name in DECODED)
        print(f"| reached a decoder | {' | '.join(f'{decoded[kind]:,}' for kind in KINDS)} |")


def run(
    count: int, seed: int, folders: list[Path], largest: int, processes: int, results: Path | None
) -> int:
    """Try mutations in batches; return how many failed."""
    found, grey, colour = list(sources(folders, largest)), [*radiographs()], [*pictures()]
    pools = found, found, grey, colour
    tally = Tally(results)
    start = time.process_time()
    while tally.done < count:
        rng = random.Random(f"{seed} {tally.done}")
        size = min(BATCH, count - tally.done)
        kinds = [rng.choice(KINDS) for _ in range(size)]
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "dicom").mkdir()
            for number, kind in enumerate(kinds):
                mutated = mutate(rng.choice(rng.choice(pools)), rng, kind)
                (folder / "dicom" / f"{number:06}").write_bytes(mutated)
            refresh(folder / "dicom", folder, 1)
            archive = Archive(dicom=folder, select=EVERYTHING, image=Image(shorter_side=16))
            outputs = Outputs(folder / "index", folder / "ledger", folder / "shard")
            ingest(
                archive, Labels(), b"fuzzing has no patient", "fuzz", folder / "part=0.tsv",
                Sources(folder / "dicom"), outputs, processes,
            )  # fmt: skip
            ledger = pl.read_parquet(outputs.ledger)
            assert ledger.height == size
            for kind, row in zip(
                kinds, ledger.select("outcome", "reason", "detail").rows(), strict=True
            ):
                tally.add(kind, *row)
        tally.save(size)
        print(f"{tally.done:,} of {count:,}, {tally.failures} failed", file=sys.stderr, flush=True)
    tally.print()
    print(
        f"{count:,} mutations of {len(found)} files, {len(grey)} radiographs and {len(colour)} "
        f"colour pictures, seed {seed}: {tally.failures} failed, "
        f"{time.process_time() - start:.0f} s here"
    )
    return tally.failures


def main() -> None:
    """Exit with 1 if a mutation failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", type=Path, nargs="*", help="more files to begin with")
    parser.add_argument("--mutations", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--largest", type=int, default=40_000, help="bytes of a file to mutate")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--results", type=Path, help="JSON file to continue")
    args = parser.parse_args()
    failures = run(
        args.mutations, args.seed, args.folders, args.largest, args.processes, args.results
    )
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
