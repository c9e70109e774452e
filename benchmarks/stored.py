"""Compare stored encodings by size and time, and resizing methods, on real films.

    python benchmarks/stored.py FILM.dcm ... --write     # both tables into docs/measured/ingest.md

Times are processor times of one thread, the smallest of the interleaved rounds, summed over the
films; PNG level 6 is Pillow's, decoded by OpenCV.
"""

import argparse
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, get_args

import cv2
import imagecodecs
import numpy as np
import PIL.Image

from benchmarks.tables import machine, markdown, write_between_marks
from benchmarks.timing import fastest
from radscale_lib.archive.grey import render
from radscale_lib.archive.header import read_header
from radscale_lib.archive.ingest import image_columns
from radscale_lib.archive.instance import instance_of
from radscale_lib.archive.pixels import stored_patterns
from radscale_lib.archive.resize import resize, stored_size
from radscale_lib.shards import codec
from radscale_lib.study.archive import Image, Interpolation

PAGE = Path("docs/measured/ingest.md")
PACKAGES = "imagecodecs", "opencv-python-headless", "pillow"


class Coding(NamedTuple):
    """A way to store an image."""

    encode: Callable[[Any], bytes]
    decode: Callable[[bytes], Any]


def _pillow(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(image).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def _opencv(data: bytes) -> Any:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)


CODINGS = {
    "PNG level 6": Coding(_pillow, _opencv),
    "`png`": Coding(codec.encode, codec.decode),
    "`png`, decoded by OpenCV": Coding(codec.encode, _opencv),
    "`tiff`": Coding(lambda image: codec.encode(image, "tiff"), codec.decode),
    "HTJ2K": Coding(
        lambda image: bytes(imagecodecs.htj2k_encode(image, reversible=True)),
        imagecodecs.htj2k_decode,
    ),
    "JPEG-LS": Coding(
        lambda image: bytes(imagecodecs.jpegls_encode(image)), imagecodecs.jpegls_decode
    ),
    "Zstandard level 3 of the pixels": Coding(
        lambda image: bytes(imagecodecs.zstd_encode(image.tobytes(), 3)), imagecodecs.zstd_decode
    ),
}


def encodings(films: list[Path], rounds: int) -> str:
    """Size and times of each way to store the films, at 8 and 16 bits, against PNG level 6."""
    rows = []
    for bits in (8, 16):
        images = [
            codec.decode(
                image_columns(instance_of(read_header(film), "PA"), Image(bits=bits))["image"]
            )
            for film in films
        ]
        size = dict.fromkeys(CODINGS, 0)
        encode, decode = dict.fromkeys(CODINGS, 0.0), dict.fromkeys(CODINGS, 0.0)
        for image in images:
            data = {name: coding.encode(image) for name, coding in CODINGS.items()}
            encoding = {n: _call(coding.encode, image) for n, coding in CODINGS.items()}
            decoding = {n: _call(coding.decode, data[n]) for n, coding in CODINGS.items()}
            for total, spent in (
                (encode, fastest(encoding, max(rounds // 3, 1))),
                (decode, fastest(decoding, rounds)),
            ):
                for name, seconds in spent.items():
                    total[name] += seconds
            for name, encoded in data.items():
                size[name] += len(encoded)
        base = next(iter(CODINGS))
        rows += [
            [
                f"{bits} bits: {name}",
                f"{size[name] / size[base]:.2f}",
                f"{encode[base] / encode[name]:.1f}",
                f"{decode[base] / decode[name]:.1f}",
                f"{decode[name] / len(images) * 1e3:.2f}",
            ]
            for name in CODINGS
        ]
    head = ["coding", "size", "encodes × as fast", "decodes × as fast", "decoding, CPU ms"]
    return markdown(head, rows)


def resizes(films: list[Path], rounds: int) -> str:
    """Grey levels between each resize and the B-spline, on both grids, at 8 bits."""
    names = [name for name in get_args(Interpolation) if name != "bspline"]
    apart = {name: np.zeros(4) for name in ("bspline, `centred`", *names)}
    seconds = dict.fromkeys(("bspline", *names), 0.0)
    for film in films:
        instance = instance_of(read_header(film), "PA")
        grey = render(*stored_patterns(instance), "minmax").grey()
        height, width = stored_size(*grey.shape, Image().shorter_side)

        def shown(grid: Any, name: Any, grey: Any = grey, size: Any = (height, width)) -> Any:
            return np.rint(resize(grey, *size, grid, name).clip(0, 255))

        centred, origin = shown("centred", "bspline"), shown("origin", "bspline")
        for name in apart:
            image = centred if name.startswith("bspline") else shown("centred", name)
            for i, other in enumerate((centred, origin)):
                difference = np.abs(image - other)
                apart[name][2 * i] += difference.mean() / len(films)
                apart[name][2 * i + 1] = max(apart[name][2 * i + 1], difference.max())
        ways = {
            name: _call(resize, grey, height, width, "centred", name)
            for name in ("bspline", *names)
        }
        for name, spent in fastest(ways, rounds).items():
            seconds[name] += spent
    rows = [
        [
            name,
            *(f"{value:.2f}" if i % 2 == 0 else f"{value:.0f}" for i, value in enumerate(found)),
            f"{seconds['bspline'] / seconds[name.partition(',')[0]]:.1f}",
        ]
        for name, found in apart.items()
    ]
    head = ["resize", "mean, centred", "at most", "mean, origin", "at most", "× as fast"]
    return markdown(head, rows)


def _call(function: Callable[..., Any], *args: Any) -> Callable[[], Any]:
    return lambda: function(*args)


def main() -> None:
    """Measure both; print the tables, or write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("films", type=Path, nargs="+", help="chest radiographs as DICOM")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--write", action="store_true", help=f"write into {PAGE}")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    for mark, table in (
        ("encodings", encodings(args.films, args.rounds)),
        ("resizes", resizes(args.films, max(args.rounds // 3, 1))),
    ):
        text = f"{machine(*PACKAGES)}; {len(args.films)} films.\n\n{table}"
        print(text, end="\n\n")
        if args.write:
            write_between_marks(PAGE, mark, text)


if __name__ == "__main__":
    main()
