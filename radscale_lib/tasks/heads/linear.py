"""Linear head: the logistic probe of `radscale_lib.tasks.probe`."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from radscale_lib.study.heads.linear import Linear
from radscale_lib.tasks.choice import chosen
from radscale_lib.tasks.heads.cases import Answer, Cases, Films
from radscale_lib.tasks.probe import Probe, Standardiser, choose, fit_path, log_loss


class Fitted(NamedTuple):
    """A probe on a set of pooled features."""

    which: str
    names: Sequence[str]
    standardise: Standardiser
    probe: Probe
    loss: float
    """Validation loss, summed over labels; 0 if there is nothing to choose."""

    def logits(self, films: Films, rows: NDArray[np.intp] | slice) -> NDArray[np.float32]:
        """Log odds of the given images, [n, K]."""
        features = self.standardise(films.pooled(self.names)[rows])
        return self.probe.logits(features).astype(np.float32)


def predict(section: Linear, cases: Cases) -> Answer:
    """Fit probes on the training rows; choose features and penalty on validation.

    Args:
        section: the head's settings; the penalties are the task's.
        cases: images and labels.

    Raises:
        NoCasesError: without validation images, if there is anything to choose.
    """
    penalties, sets = cases.section.penalties, cases.sets(section.features)
    alone = len(penalties) * len(sets) == 1
    fitted = [_fitted(which, names, cases, alone) for which, names in sets.items()]
    best = min(fitted, key=lambda each: each.loss)  # the first wins ties
    notes = [f"features {best.which}"] if len(sets) > 1 else []
    notes.append(chosen("penalty", best.probe.penalty, penalties))
    everyone = slice(None)
    return Answer(
        best.logits(cases, cases.asked),
        "; ".join(notes),
        {name: best.logits(films, everyone) for name, films in cases.elsewhere.items()},
    )


def _fitted(which: str, names: Sequence[str], cases: Cases, alone: bool) -> Fitted:
    """The probe with the lowest validation loss on the given features."""
    features = cases.pooled(names)
    standardise = Standardiser.fit(features[cases.train])
    probes = fit_path(
        standardise(features[cases.train]), cases.truth[cases.train], cases.section.penalties
    )
    if alone:
        return Fitted(which, names, standardise, probes[0], 0.0)
    rows = cases.validation
    held_out, truth = standardise(features[rows]), cases.truth[rows]
    probe = choose(probes, held_out, truth)
    loss = float(np.nansum(log_loss(probe.logits(held_out), truth)))
    return Fitted(which, names, standardise, probe, loss)
