"""Measure how much planted burnt-in text ingest finds, and the cost of the search.

    python benchmarks/burned_in.py [FILM.dcm ... FOLDER ...] [--films 40] [--texts 2000]

Lines of names, dates and numbers are planted in phantom films (rendered without markers) and in the
films given (DICOM files or PNG pictures, whose own text is masked before): in white or black ink,
on the film or on a bar, smoothed or not, upright or rotated, anywhere on the film. A line is found
if 95 % of its ink is masked. Films without planted text are false alarms if anything is found.
"""

import argparse
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from benchmarks.timing import fastest
from radscale_lib.archive.burned_in import find_text, mask_text
from radscale_lib.archive.header import quiet_pydicom, read_header
from radscale_lib.archive.ingest import image_columns
from radscale_lib.archive.instance import instance_of
from radscale_lib.archive.pixels import stored_patterns
from radscale_lib.archive.workers import keep_freed_memory
from radscale_lib.phantom import film as phantom_film
from radscale_lib.phantom.population import draw_patient, draw_study
from radscale_lib.study.archive import Image

Film = NDArray[np.uint16]
FONTS = {
    "development": ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "cmss10.ttf"),
    "held out": (
        "DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf", "DejaVuSerif.ttf", "STIXGeneral.ttf",
        "cmr10.ttf", "cmtt10.ttf", "DejaVuSans-Oblique.ttf", "",
    ),
}  # fmt: skip
"""Files of matplotlib; without a name, Pillow's own."""
HEIGHTS = (6, 8, 12, 16, 24, 40, 64)
"""Height of a capital, pixels."""


@dataclass
class Line:
    """A planted line."""

    film: Film
    ink: NDArray[np.bool_]
    traits: dict[str, str]


def words(rng: random.Random) -> str:
    """Text as a console would burn it in."""
    family, given = (
        rng.choice(["MILLER", "Okafor", "DE WIT", "Ng"]),
        rng.choice(["ANNA", "Li", "J"]),
    )
    day = f"{rng.randrange(1, 29):02}.{rng.randrange(1, 13):02}.{rng.randrange(1930, 2026)}"
    number = "".join(rng.choice("0123456789") for _ in range(8))
    return rng.choice(
        [
            f"{family} {given} [{rng.choice('MF')}] {day}", f"{family}^{given}", f"DOB: {day}",
            f"MRN {number}", f"{family}, {given}", number, day, "14:35:07", "St. Mary's Hospital",
            "KMD", f"{given} {family}",
        ]
    )  # fmt: skip


def plant(film: Film, fonts: tuple[str, ...], rng: random.Random) -> Line:
    """Burn a line into a copy of a film."""
    height = rng.choice(HEIGHTS)
    name = rng.choice(fonts)
    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    font: Any = ImageFont.truetype(folder / name, 64) if name else ImageFont.load_default(64)
    capital = font.getbbox("H")[3] - font.getbbox("H")[1]
    font = font.font_variant(size=max(5, round(64 * height / capital)))
    text = words(rng)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text))
    canvas = Pictures.new("L", (right - left + 4, bottom - top + 4), 0)
    draw = ImageDraw.Draw(canvas)
    smoothed = rng.random() < 0.7
    draw.fontmode = "L" if smoothed else "1"
    draw.text((2 - left, 2 - top), text, fill=255, font=font)
    cover = np.asarray(canvas).astype(np.float32) / 255
    turned = rng.random() < 0.15
    if turned:
        cover = np.rot90(cover, rng.choice([1, 3]))
    cover = cover[: film.shape[0], : film.shape[1]]
    h, w = cover.shape
    y, x = (rng.choice([rng.randrange(free // 20 + 1), rng.randrange(free + 1), free]) for free in (
        film.shape[0] - h, film.shape[1] - w))  # fmt: skip
    place = slice(y, y + h), slice(x, x + w)
    low, high = int(film.min()), int(film.max())
    white = rng.random() < 0.75
    ink = high if white else low
    burnt = film.astype(np.float32)
    if bar := rng.random() < 0.2:
        burnt[place] = low if white else high
    ground = float(np.median(burnt[place]))
    burnt[place] += cover * (ink - burnt[place])
    covered = np.zeros(film.shape, bool)
    covered[place] = cover > 0.5
    contrast = abs(ink - ground) / (high - low)
    return Line(
        np.rint(burnt).astype(film.dtype),
        covered,
        {
            "capital": f"{height} px",
            "contrast": "below 25 %" if contrast < 0.25 else "25 to 50 %" if contrast < 0.5
            else "above 50 %",
            "ink": ("white" if white else "black") + (" on a bar" if bar else ""),
            "turned": "by a quarter" if turned else "upright",
            "smoothed": str(smoothed).lower(),
            "characters": "3" if len(text) == 3 else "4 or more",
        },
    )  # fmt: skip


def phantoms(count: int, pixels: int) -> Iterator[Film]:
    """Phantom films at 12 bits, without markers.

    They are of the public site, since the institution's enhanced detail makes edges as sharp as
    letters.
    """
    laid = phantom_film.lay_markers
    phantom_film.lay_markers = lambda grey, *_: grey
    try:
        for number in range(count):
            study = draw_study(draw_patient(9, "public", number), 0)
            grey = phantom_film.render(study, 0, pixels).grey
            yield np.rint(grey * 4095).astype(np.uint16)
    finally:
        phantom_film.lay_markers = laid


def given(paths: Iterable[Path]) -> Iterator[tuple[str, Film]]:
    """Films of files and folders."""
    for path in paths:
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.suffix == ".png":
                yield file.name, cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
            elif file.is_file():
                instance = instance_of(read_header(file), "PA")
                patterns, grey = stored_patterns(instance)
                yield file.name, grey.in_order(patterns)


def masked(film: Film, ink: NDArray[np.bool_]) -> float:
    """Share of the ink inside a box."""
    inside = np.zeros(film.shape, bool)
    for box in find_text(film):
        inside[box.top : box.bottom, box.left : box.right] = True
    return float(inside[ink].mean())


def recall(films: list[Film], texts: int, fonts: tuple[str, ...], seed: int) -> None:
    """Plant lines, and print how many are found, by property."""
    rng = random.Random(seed)
    found, planted = defaultdict[tuple[str, str], int](int), defaultdict[tuple[str, str], int](int)
    for _ in range(texts):
        line = plant(rng.choice(films), fonts, rng)
        whole = masked(line.film, line.ink) >= 0.95
        for trait in [("all", ""), *line.traits.items()]:
            planted[trait] += 1
            found[trait] += whole
    print("| planted | lines | found |\n|---|---|---|")
    order = ("all", "capital", "contrast", "ink", "turned", "smoothed", "characters")
    for trait in sorted(planted, key=lambda t: (order.index(t[0]), len(t[1]), t[1])):
        print(
            f"| {' '.join(trait).strip()} | {planted[trait]} "
            f"| {found[trait] / planted[trait]:.1%} |"
        )


def alarms(films: list[Film], names: list[str]) -> None:
    """Print the false alarms in films without planted text, and the area they mask."""
    boxes = [find_text(film) for film in films]
    told = [name for name, found in zip(names, boxes, strict=True) if found]
    area = sum(
        (box.right - box.left) * (box.bottom - box.top) for found in boxes for box in found
    ) / sum(film.size for film in films)
    print(f"{len(told)} of {len(films)} films have text by the rule ({area:.4%} of all pixels)")
    print(" ".join(told[:50]))


def cost(path: Path, rounds: int) -> None:
    """Print the time of the search, as a share of the file's whole ingest."""
    ways: dict[str, Callable[[], Any]] = {
        rule: lambda rule=rule: image_columns(
            instance_of(read_header(path), "PA"), Image(burned_in_text=rule)
        )
        for rule in ("keep", "mask")
    }
    seconds = fastest(ways, rounds)
    print(f"{path.name}: mask / keep {seconds['mask'] / seconds['keep']:.2f}")


def main() -> None:
    """Print recall, false alarms and cost."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", type=Path, nargs="*", help="films, or folders of them")
    parser.add_argument("--films", type=int, default=40, help="phantom films")
    parser.add_argument("--pixels", type=int, default=1024, help="their shorter side")
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--fonts", choices=FONTS, default="held out")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    keep_freed_memory()  # as in a worker of ingest
    with quiet_pydicom():
        real = dict(given(args.paths))
        made = list(phantoms(args.films, args.pixels))
        for title, films, names in (
            ("phantom films", made, [str(number) for number in range(len(made))]),
            ("films given", list(real.values()), list(real)),
        ):
            if films:
                print(f"\n{title}")
                alarms(films, names)
                recall([_clean(film) for film in films], args.texts, FONTS[args.fonts], args.seed)
        for path in args.paths:
            if path.is_file() and path.suffix != ".png":
                cost(path, 9)


def _clean(film: Film) -> Film:
    clean = film
    for _ in range(3):
        clean = mask_text(clean, find_text(clean))
    return clean


if __name__ == "__main__":
    main()
