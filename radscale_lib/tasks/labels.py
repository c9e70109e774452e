"""The label columns of a task's target."""

from radscale_lib.study.archive import Labels


def columns(labels: Labels, target: str) -> list[str]:
    """Column names of a target in the catalog: `finding:<name>` or `tube:<name>`."""
    prefix = {"findings": "finding", "tubes": "tube"}[target]
    return [f"{prefix}:{name}" for name in getattr(labels, target)]
