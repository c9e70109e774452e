"""Resources that each stage's jobs request from a scheduler, from the study's scale.

These are bounds, not estimates: a job that exceeds them is killed. `plan` gives estimates.
"""

import math

from radscale_lib.planning.stages import STAGES
from radscale_lib.study.model import Study


def megabytes(study: Study, stage: str) -> int:
    """Memory of a job, MB, before the factor for retries; for a training, per process."""
    return math.ceil(STAGES[stage].megabytes(study))


def minutes(study: Study, stage: str) -> int:
    """Run time of a job, minutes, before the factor for retries."""
    return math.ceil(STAGES[stage].minutes(study))
