"""Stages of the workflow; modules are named after the rule files."""

from radscale_lib.planning.stages import (
    evaluate,
    export,
    ingest,
    labels,
    pretrain,
    report,
    subset,
)
from radscale_lib.planning.stages.base import Stage

STAGES: dict[str, Stage] = (
    ingest.STAGES
    | labels.STAGES
    | subset.STAGES
    | pretrain.STAGES
    | evaluate.STAGES
    | report.STAGES
    | export.STAGES
)
"""Every stage by name."""

__all__ = ["STAGES", "Stage"]
