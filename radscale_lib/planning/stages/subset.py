"""Subsets: their order and their card."""

from radscale_lib.planning.scale import archive_images
from radscale_lib.planning.stages.base import Slice, Stage, labels_of, megaimages, without
from radscale_lib.study.model import Study


def _subset(study: Study) -> Slice:
    return {"subsets": without(study.subsets, "sizes")}


def _subset_card(study: Study) -> Slice:
    return {"labels": labels_of(study), "smallest_cell": study.smallest_cell("institution")}


STAGES = {
    "subset": Stage(
        script="subset.py",
        reads=_subset,
        megabytes=lambda study: 600 + 400 * megaimages(study),
        minutes=lambda study: 10 + archive_images(study) / 5e5,
    ),
    "subset_card": Stage(
        script="subset_card.py",
        reads=_subset_card,
        megabytes=lambda study: 1000 + 3000 * megaimages(study),
        minutes=lambda study: 10 + archive_images(study) / 5e5,
    ),
}
