"""A head's predictions, prepared for scoring on any subset of the test images."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from radscale_lib.study.evaluation import Evaluation
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.scores import Score


@dataclass(frozen=True)
class Scorable:
    """Test images, and a function that scores a subset of them.

    Attributes:
        images: image_id and patient_id of the N test images.
        score: returns scores of images, by position, for draws of their patients. Statistics of
            single images are computed once.
    """

    images: pl.DataFrame
    score: Callable[[NDArray[np.intp], PatientDraws], list[Score]]

    def draws(self, protocol: Evaluation) -> PatientDraws:
        """Draws of the test images' patients: the same for all heads and runs of a task."""
        patients = self.images["patient_id"].to_list()
        return PatientDraws.draw(patients, protocol.resamples, protocol.seed)

    def scores(self, draws: PatientDraws) -> list[Score]:
        """Scores of all test images."""
        return self.score(np.arange(len(self.images)), draws)
