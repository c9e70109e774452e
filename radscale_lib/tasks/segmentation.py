"""Segmentation of lines and tubes: a decoder on a frozen encoder, and its masks of whole films."""

from collections.abc import Sequence
from contextlib import ExitStack
from functools import partial
from typing import NamedTuple

import polars as pl
import torch
from torch import Tensor

from radscale_lib.study.model import Study
from radscale_lib.study.tasks.segmentation import Segmentation
from radscale_lib.tasks.decoders.base import MaskDecoder, mask_loss
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.frozen import FrozenEncoder
from radscale_lib.tasks.grids import Grids
from radscale_lib.tasks.images import require, select
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.masks import TubeMasks, encode_mask
from radscale_lib.tasks.predictions import HEAD, Predicted
from radscale_lib.tasks.training import search, task_seed

THRESHOLD = 0.5


def predict(study: Study, name: str, part: str, inputs: Inputs) -> Predicted:
    """Train a decoder on the train split; return its test masks with the true ones.

    It is trained in the square that the encoder sees. Its masks are mapped to the whole film, so
    that the truth is the same for every encoder; outside the square nothing is predicted.

    Args:
        study: the study.
        name: the task's name.
        part: the decoder's name.
        inputs: the run's files; the pooled features are not read.

    Returns:
        Both masks of each tube and test image, for each seed of the decoder.

    Raises:
        NoCasesError: if no train or test image has tube annotations.
        NotFiniteError: if features, weights or logits are not finite.
    """
    task = study.evaluation.tasks[name]
    assert isinstance(task, Segmentation)
    annotated = _annotated(inputs)
    training = select(annotated, "train", task.decoder.train_images)
    test = select(annotated, "test", task.decoder.test_images)
    require(training, name, "train", "tube annotations")
    require(test, name, "test", "tube annotations")

    classes, label = study.labels.tubes, f"{name} ({part})"
    whole = task.unseen == "padded"
    frozen = FrozenEncoder(inputs, training, study.compute, task.decoder.batch, whole)
    seeds = _seeds(study.evaluation.seed, name, task.decoder.seeds)

    def learnt_from(rows: pl.DataFrame, what: str) -> _Films:
        masks = TubeMasks(rows, classes, task, frozen.tower.encoder)
        return _Films(Grids(frozen.over(rows), f"{label}: {what} features"), masks)

    with ExitStack() as stack:
        films = learnt_from(training, "training")
        stack.enter_context(films.grids)
        validation = None
        if task.training(part).searches:
            rows = select(annotated, "validation", task.decoder.validation_images)
            require(rows, name, "validation", "tube annotations")
            validation = learnt_from(rows, "validation")
            stack.enter_context(validation.grids)
        decoders, choice = _train(task, part, films, validation, seeds, label)
    schema = predictions_schema(study, name)

    def predicted(frozen: FrozenEncoder, test: pl.DataFrame) -> pl.DataFrame:
        masks = TubeMasks(test, classes, task, frozen.tower.encoder)
        films = test.with_columns(
            pl.lit(part).alias(HEAD),
            pl.Series("rows", [frame.rows for frame in masks.frames]),
            pl.Series("columns", [frame.columns for frame in masks.frames]),
        ).with_columns(pixel_mm=pl.col("spacing_mm") * pl.col("height") / pl.col("rows"))
        tables = [
            films.with_columns(decoder_seed=pl.lit(number), **columns).select(*schema).cast(schema)
            for number, columns in enumerate(
                _predict(decoders, frozen, masks, f"{label}: test images")
            )
        ]
        return pl.concat(tables)

    elsewhere = {}
    for archive, files in inputs.elsewhere.items():
        theirs = select(_annotated(files), "test", task.decoder.test_images)
        if name in study.tasks_at(archive) and len(theirs):
            elsewhere[archive] = predicted(frozen.at(files, theirs), theirs)
    table = predicted(frozen.over(test), test)
    return Predicted(table, choices={part: choice} if choice else {}, elsewhere=elsewhere)


def _annotated(inputs: Inputs) -> pl.DataFrame:
    """Catalog rows of the images that were annotated for tubes, including those without any."""
    return pl.read_parquet(inputs.catalog).filter(pl.col("tubes").is_not_null())


def predictions_schema(study: Study, name: str) -> pl.Schema:
    """Columns of the predictions table, with a row for each test image and decoder seed."""
    masks = {
        column: kind
        for tube in study.labels.tubes
        for column, kind in (
            (f"true:{tube}", pl.Binary()),
            (f"predicted:{tube}", pl.Binary()),
            (f"tips:{tube}", pl.List(pl.Float64)),
        )
    }
    ids = dict.fromkeys((HEAD, "image_id", "patient_id"), pl.String())
    sizes = dict.fromkeys(("decoder_seed", "rows", "columns"), pl.Int64())
    return pl.Schema({**ids, **sizes, "pixel_mm": pl.Float64(), **masks})


def _seeds(seed: int, task: str, count: int) -> list[int]:
    """Seeds of a task's decoders, the same for every encoder."""
    return [task_seed(seed, task if not number else f"{task} {number}") for number in range(count)]


class _Films(NamedTuple):
    """Feature maps of films, and their true masks."""

    grids: Grids
    masks: TubeMasks

    def read(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Stored maps, and masks, of the films at the given positions."""
        return self.grids.read(images), torch.from_numpy(self.masks.seen(images.tolist()))

    def loss(self, decoder: MaskDecoder, batch: tuple[Tensor, Tensor]) -> Tensor:
        """A decoder's loss on what was read."""
        raw, targets = batch
        return mask_loss(decoder(self.grids.decode(raw)), targets.to(self.grids.device))


def _train(
    task: Segmentation,
    part: str,
    films: _Films,
    validation: _Films | None,
    seeds: Sequence[int],
    label: str,
) -> tuple[list[MaskDecoder], str]:
    """Train a decoder for each seed, at the rate chosen with the first; also return that choice."""
    section, training = task.heads[part], task.training(part)
    shapes = films.grids.shapes
    finest = max(shape[-1] for shape in shapes)

    def make(seed: int) -> MaskDecoder:
        torch.manual_seed(seed)
        channels, classes = [shape[0] for shape in shapes], len(films.masks.classes)
        decoder = MaskDecoder(section, channels, finest, classes, task.output_size)
        return decoder.to(films.grids.device)

    @torch.no_grad()
    def validate(decoder: MaskDecoder) -> float:
        assert validation is not None
        count, total = len(validation.grids), 0.0
        for images in torch.split(torch.arange(count), training.batch):
            total += len(images) * float(validation.loss(decoder, validation.read(images)))
        return total / count

    checked = None if validation is None else validate
    decoders, choice = list[MaskDecoder](), ""
    for number, seed in enumerate(seeds):
        what = f"{label}: decoder {number}"
        decoder, rate, words = search(
            partial(make, seed), films.loss, len(films.grids), training, seed, what, films.read,
            checked,
        )  # fmt: skip
        if not decoders:
            choice, training = words, training.model_copy(update={"lr": rate})
        decoders.append(decoder)
        checked = checked if training.searches else None
    return decoders, choice


@torch.no_grad()
def _predict(
    decoders: Sequence[MaskDecoder], frozen: FrozenEncoder, masks: TubeMasks, label: str
) -> list[dict[str, pl.Series]]:
    """For each decoder, columns of the truth and its predictions for each image."""
    known = _true(masks)
    found: list[dict[str, list[bytes | None]]] = [
        {tube: [] for tube in masks.classes} for _ in decoders
    ]
    for images, features in frozen.batches(label):
        for decoder, by_tube in zip(decoders, found, strict=True):
            logits = decoder(features.levels)
            _require_finite(logits, frozen, images)
            values = logits.sigmoid().cpu().numpy()
            for image, of_image in zip(images, values, strict=True):
                for tube, seen in zip(masks.classes, of_image, strict=True):
                    mask = masks.squares[image].back(seen) > THRESHOLD
                    by_tube[tube].append(encode_mask(mask))
    return [
        known
        | {f"predicted:{tube}": pl.Series(pngs, dtype=pl.Binary) for tube, pngs in by_tube.items()}
        for by_tube in found
    ]


def _true(masks: TubeMasks) -> dict[str, pl.Series]:
    true: dict[str, list[bytes | None]] = {tube: [] for tube in masks.classes}
    tips: dict[str, list[list[float]]] = {tube: [] for tube in masks.classes}
    for image in range(len(masks.frames)):
        drawn = masks.truth(image)
        for tube in masks.classes:
            shown = tube in drawn and bool(drawn[tube].any())
            true[tube].append(encode_mask(drawn[tube]) if shown else None)
            tips[tube].append(masks.tips(image, tube) if shown else [])
    return {f"true:{tube}": pl.Series(each, dtype=pl.Binary) for tube, each in true.items()} | {
        f"tips:{tube}": pl.Series(each, dtype=pl.List(pl.Float64)) for tube, each in tips.items()
    }


def _require_finite(logits: Tensor, frozen: FrozenEncoder, images: Sequence[int]) -> None:
    wrong = ~logits.flatten(1).isfinite().all(1)
    if wrong.any():
        shard, row = frozen.rows[images[int(wrong.nonzero()[0])]].select("shard", "row").row(0)
        raise NotFiniteError(
            f"logits of masks are not finite, first of the image in row {row} of {shard}"
        )
