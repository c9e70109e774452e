"""The label columns of a task's target."""

from radscale_lib.study.archive import Labels

TARGETS = ("findings", "tubes", "positions")
"""Possible targets of classification."""


def columns(labels: Labels, target: str) -> list[str]:
    """Column names of a target in the catalog: `finding:<name>`, `tube:` or `position:<name>`."""
    prefix = {"findings": "finding", "tubes": "tube", "positions": "position"}[target]
    return [f"{prefix}:{name}" for name in getattr(labels, target)]
