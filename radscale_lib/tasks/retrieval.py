"""Image-report retrieval: the ranks of the right answers."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.encoders.shared_space import SharedSpace, load_shared_space
from radscale_lib.encoders.wording import normalised
from radscale_lib.study.model import Study
from radscale_lib.study.tasks.retrieval import Retrieval
from radscale_lib.tasks.features import read_vectors
from radscale_lib.tasks.heads.prompts import NO_TEXT_TOWER
from radscale_lib.tasks.images import require, select, with_section
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.predictions import HEAD, Predicted
from radscale_lib.tasks.retrieved import RANKS

AT_ONCE = 16_000_000
"""Number of cosines held at once (64 MB)."""

Floats = NDArray[np.float32]


def predict(study: Study, name: str, part: str, inputs: Inputs) -> Predicted:
    """Rank the test split's reports by its images, and its images by their reports.

    Args:
        study: the study.
        name: the task's name.
        part: `cosine`.
        inputs: the run's files.

    Returns:
        Ranks of each test image; null ones, with a note, if the encoder has no text tower.

    Raises:
        NoCasesError: if no test image has this report section.
    """
    task = study.evaluation.tasks[name]
    assert isinstance(task, Retrieval)
    space = load_shared_space(inputs.encoder, study.compute.device)

    def ranked(files: Inputs) -> pl.DataFrame:
        return _ranked(task, part, files, space)

    table = ranked(inputs)
    require(table, name, "test", f"a report section {task.section!r}")
    elsewhere = {
        archive: ranked(files)
        for archive, files in inputs.elsewhere.items()
        if name in study.tasks_at(archive)
    }
    notes = {part: NO_TEXT_TOWER} if space is None else {}
    return Predicted(table, notes=notes, elsewhere=elsewhere)


def predictions_schema(study: Study, name: str) -> pl.Schema:
    """Columns of the predictions table."""
    ids = dict.fromkeys((HEAD, "image_id", "patient_id"), pl.String())
    return pl.Schema({**ids, **dict.fromkeys(RANKS, pl.Int32())})


def _ranked(task: Retrieval, part: str, files: Inputs, space: SharedSpace | None) -> pl.DataFrame:
    rows = select(with_section(files, task.section), "test", task.test_images)
    vectors, index = read_vectors(files)
    places = index.select("image_id", pl.int_range(pl.len()).alias("place"))
    rows = rows.join(places, on="image_id", maintain_order="left")
    table = rows.select(pl.lit(part).alias(HEAD), "image_id", "patient_id")
    if space is None or not len(rows):
        return table.with_columns(pl.lit(None, pl.Int32).alias(name) for name in RANKS)
    texts = different(rows[task.section].to_list())
    images = space.images(vectors["global"][rows["place"].to_numpy()])
    found = ranks(images, space.texts(texts.texts), texts.of)
    return table.with_columns(
        pl.Series(name, column, pl.Int32) for name, column in zip(RANKS, found.T, strict=True)
    )


class Texts(NamedTuple):
    """The distinct texts among those of N images."""

    texts: list[str]
    """[T], the first of each wording."""
    of: NDArray[np.intp]
    """[N], index of each image's text."""


def different(texts: Sequence[str]) -> Texts:
    """Distinct texts; texts that differ only in case, spacing and punctuation count as one."""
    place: dict[str, int] = {}
    first: list[str] = []
    of = []
    for text in texts:
        words = normalised(text)
        if words not in place:
            place[words] = len(first)
            first.append(text)
        of.append(place[words])
    return Texts(first, np.array(of, np.intp))


def ranks(images: Floats, texts: Floats, of: NDArray[np.intp]) -> NDArray[np.int32]:
    """Number of wrong answers at least as near as the nearest right one.

    Equally near wrong answers count against the encoder, so that one with constant embeddings finds
    nothing.

    Args:
        images: [N, P], unit vectors.
        texts: [T, P], unit vectors of distinct texts.
        of: [N], the text of each image.

    Returns:
        [N, 2]: for each image's search among the T texts, and for its text's search among the N
        images, any of which is right if it has the same text. 0 is the first rank.
    """
    found = np.empty((len(images), 2), np.int32)
    for part in _parts(len(images), len(texts)):
        cosine = images[part] @ texts.T
        right = np.take_along_axis(cosine, of[part, None], axis=1)
        found[part, 0] = (cosine >= right).sum(axis=1) - 1
    by_text = np.empty(len(texts), np.int32)
    for part in _parts(len(texts), len(images)):
        cosine = texts[part] @ images.T
        right = of == np.arange(len(texts))[part, None]
        best = np.where(right, cosine, -np.inf).max(axis=1, keepdims=True)
        by_text[part] = ((cosine >= best) & ~right).sum(axis=1)
    found[:, 1] = by_text[of]
    return found


def _parts(rows: int, columns: int) -> list[slice]:
    step = max(1, AT_ONCE // max(columns, 1))
    return [slice(start, start + step) for start in range(0, rows, step)]
