"""Linear head: the logistic probe of `radscale_lib.tasks.probe`."""

import numpy as np

from radscale_lib.study.heads.linear import Linear
from radscale_lib.tasks.heads.cases import Answer, Cases, chosen
from radscale_lib.tasks.probe import Standardiser, choose, fit_path


def predict(section: Linear, cases: Cases) -> Answer:
    """Fit the probe on the training rows, and choose its penalty on validation.

    Args:
        section: the head's settings; the penalties are the task's.
        cases: images and labels.

    Raises:
        NoCasesError: without validation images, if there are penalties to choose from.
    """
    penalties = cases.section.penalties
    standardise = Standardiser.fit(cases.pooled[cases.train])
    probes = fit_path(standardise(cases.pooled[cases.train]), cases.truth[cases.train], penalties)
    probe = probes[0]
    if len(probes) > 1:
        rows = cases.validation
        probe = choose(probes, standardise(cases.pooled[rows]), cases.truth[rows])
    logits = probe.logits(standardise(cases.pooled[cases.asked])).astype(np.float32)
    return Answer(logits, chosen("penalty", probe.penalty, penalties))
