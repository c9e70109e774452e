"""What a job of each stage asks a scheduler for, from the study's scale.

Bounds, not estimates: a job that exceeds them is killed. `plan` has the estimates.
"""

import math

from radscale_lib.planning.stages import STAGES
from radscale_lib.study.model import Study


def megabytes(study: Study, stage: str) -> int:
    """Memory of a job, MB, before the factor for retries; of a training, for each process."""
    return math.ceil(STAGES[stage].megabytes(study))


def minutes(study: Study, stage: str) -> int:
    """Run time of a job, minutes, before the factor for retries."""
    return math.ceil(STAGES[stage].minutes(study))
