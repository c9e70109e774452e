"""Segmentation of lines and tubes: a pyramid decoder on a frozen encoder."""

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray

from radscale_lib.study.model import Study
from radscale_lib.study.tasks.segmentation import Segmentation
from radscale_lib.tasks.decoder import PyramidDecoder, mask_loss
from radscale_lib.tasks.finite import NotFiniteError
from radscale_lib.tasks.frozen import FrozenEncoder, Grids
from radscale_lib.tasks.images import require, select
from radscale_lib.tasks.inputs import Inputs
from radscale_lib.tasks.masks import TubeMasks
from radscale_lib.tasks.overlap import COUNTS, overlap_counts
from radscale_lib.tasks.predictions import HEAD, Predicted
from radscale_lib.tasks.training import task_seed, train

THRESHOLD = 0.5


def predict(study: Study, name: str, part: str, inputs: Inputs) -> Predicted:
    """Train the decoder on the train split, and compare its masks of the test split with the truth.

    Masks are the encoder's square input, at `output_size`.

    Args:
        study: the study.
        name: the task's name.
        part: the decoder's name.
        inputs: the run's files; the pooled features are not read.

    Returns:
        The overlap counts of each test image.

    Raises:
        NoCasesError: if no train or test image has tube annotations.
        NotFiniteError: if features, weights or logits are not finite.
    """
    task = _task(study, name)
    catalog = pl.read_parquet(inputs.catalog)
    annotated = catalog.filter(pl.col("tubes").is_not_null())
    training = select(annotated, "train", task.decoder.train_images)
    test = select(annotated, "test", task.decoder.test_images)
    require(training, name, "train", "tube annotations")
    require(test, name, "test", "tube annotations")

    classes = study.labels.tubes
    seed = task_seed(study.evaluation.seed, name)
    frozen = FrozenEncoder(inputs, training, study.compute, task.decoder.batch)
    masks = TubeMasks(training, classes, task, frozen.tower.encoder)
    decoder = _train(task, frozen, masks, seed, name)

    frozen = frozen.over(test)
    masks = TubeMasks(test, classes, task, frozen.tower.encoder)
    counts = _score(decoder, frozen, masks, task.tolerance, name)
    flat = counts.reshape(len(test), -1)
    columns = list(predictions_schema(study, name))[3:]
    ids = test.select(pl.lit(part).alias(HEAD), "image_id", "patient_id")
    return Predicted(ids.hstack([pl.Series(c, flat[:, i]) for i, c in enumerate(columns)]))


def predictions_schema(study: Study, name: str) -> pl.Schema:
    """Columns of the predictions table: pixel counts per tube, see `overlap.COUNTS`."""
    counts = {f"{count}:{tube}": pl.Int64() for tube in study.labels.tubes for count in COUNTS}
    ids = dict.fromkeys((HEAD, "image_id", "patient_id"), pl.String())
    return pl.Schema({**ids, **counts})


def _task(study: Study, name: str) -> Segmentation:
    task = study.evaluation.tasks[name]
    assert isinstance(task, Segmentation)
    return task


def _train(
    task: Segmentation, frozen: FrozenEncoder, masks: TubeMasks, seed: int, name: str
) -> PyramidDecoder:
    grids = Grids.for_encoder(frozen, f"{name}: training features")
    channels, _, finest = grids.channels
    torch.manual_seed(seed)
    decoder = PyramidDecoder(channels, finest, task.width, len(masks.classes), task.output_size)
    decoder.to(frozen.device)

    def loss(images: torch.Tensor) -> torch.Tensor:
        targets = torch.from_numpy(masks(images.tolist())).to(frozen.device).float()
        return mask_loss(decoder(grids(images).levels), targets)

    train(decoder, loss, len(frozen), task.decoder, seed, f"{name}: decoder")
    return decoder


@torch.no_grad()
def _score(
    decoder: PyramidDecoder, frozen: FrozenEncoder, masks: TubeMasks, tolerance: int, name: str
) -> NDArray[np.int64]:
    """Overlap counts [N, classes, 7]."""
    counts = np.zeros((len(frozen), len(masks.classes), len(COUNTS)), np.int64)
    for images, features in frozen.batches(f"{name}: test images"):
        logits = decoder(features.levels)
        if not bool(torch.aminmax(logits).max.isfinite()):
            raise NotFiniteError(
                f"{name}: logits of masks are not finite, of test image {images[0]} or soon after"
            )
        predicted = (logits.sigmoid() > THRESHOLD).cpu().numpy()
        for image, pair in zip(images, zip(predicted, masks(images), strict=True), strict=True):
            for index, (mask, truth) in enumerate(zip(*pair, strict=True)):
                counts[image, index] = overlap_counts(mask, truth, tolerance)
    return counts
