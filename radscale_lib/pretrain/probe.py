"""A k-NN probe of a tower during training, on a fixed slice of the train split."""

from pathlib import Path

import numpy as np
import polars as pl
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from radscale_lib.encoders.prepare import to_input
from radscale_lib.pseudonyms import unit_interval
from radscale_lib.shards.labels import targets
from radscale_lib.shards.reader import ShardReader
from radscale_lib.shards.schema import label_columns
from radscale_lib.study.archive import Labels
from radscale_lib.study.encoders import EncoderSection

NEIGHBOURS = 20
TEMPERATURE = 0.07
"""Temperature of the votes, as in DINO (arXiv 2104.14294)."""
FEWEST = 5
"""Minimum numbers of positive and of negative images for a label to count."""
BATCH = 64


class KnnProbe:
    """Mean AUROC over labels, from votes of the most similar images of other patients."""

    def __init__(self, images: Tensor, truth: Tensor, found: Tensor) -> None:
        """Take the images and their labels.

        Args:
            images: float32 [N, 1, S, S] in [0, 1].
            truth: [N, K], 1, 0 or NaN (unknown).
            found: bool [N]: images to classify; the others vote.
        """
        self.images, self.truth, self.found = images, truth, found

    @torch.no_grad()
    def __call__(self, tower: nn.Module, device: torch.device) -> float:
        """Probe an image tower, whose mode is restored; NaN if no label can be scored."""
        was_training = tower.training
        tower.eval()
        parts = [tower(part.to(device)).float().cpu() for part in torch.split(self.images, BATCH)]
        tower.train(was_training)
        features = F.normalize(torch.cat(parts), dim=1)
        known = ~self.truth.isnan()
        given = self.truth.nan_to_num()[~self.found]
        told = known[~self.found].float()
        cosine = features[self.found] @ features[~self.found].T
        nearest = cosine.topk(min(NEIGHBOURS, cosine.shape[1]), dim=1)
        weight = (nearest.values / TEMPERATURE).softmax(dim=1)
        has = torch.einsum("nk,nkl->nl", weight, (given * told)[nearest.indices])
        votes = has / torch.einsum("nk,nkl->nl", weight, told[nearest.indices]).clamp(min=1e-6)
        areas = [
            auroc(votes[asked, label], self.truth[self.found][asked, label] == 1)
            for label, asked in enumerate(known[self.found].T)
        ]
        return float(np.nanmean(areas)) if not np.isnan(areas).all() else float("nan")


def auroc(scores: Tensor, positive: Tensor) -> float:
    """Share of correctly ranked pairs, ties counting one half; NaN for too few images."""
    up, down = scores[positive], scores[~positive]
    if min(len(up), len(down)) < FEWEST:
        return float("nan")
    difference = up[:, None] - down[None, :]
    return float((difference > 0).float().mean() + (difference == 0).float().mean() / 2)


def read_probe(
    catalog: Path,
    shards: Path | str,
    ranges: Path | None,
    labels: Labels,
    encoder: EncoderSection,
    images: int,
) -> KnnProbe | None:
    """The probe on the first labelled images of the train split, by keyed hash; None without any.

    Patients, ordered by hash, alternate between those to classify and those that vote.
    """
    names = label_columns(labels)
    table = pl.read_parquet(
        catalog, columns=["image_id", "patient_id", "split", "shard", "row", "labelled", *names]
    ).filter((pl.col("split") == "train") & pl.col("labelled"))
    place = [unit_interval(image, "probe") for image in table["image_id"]]
    table = table.with_columns(pl.Series("place", place, pl.Float64)).sort("place", "image_id")
    table = table.head(images)
    patients = table["patient_id"].unique().sort().to_list()
    if len(patients) < 2:
        return None
    half = set(sorted(patients, key=lambda one: unit_interval(one, "probe"))[::2])
    found = torch.tensor([patient in half for patient in table["patient_id"]])
    reader = ShardReader(shards, ranges)
    inputs = [
        to_input(reader.images(part["shard"].to_list(), part["row"].to_list()), encoder)
        for part in table.iter_slices(BATCH)
    ]
    truth = torch.from_numpy(targets(table, names, labels))
    return KnnProbe(torch.cat(inputs), truth, found)
