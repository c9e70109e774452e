"""Where the workflow is installed: its Snakefile, rules, scripts and profiles."""

from pathlib import Path

LIBRARY = Path(__file__).resolve().parents[1]
"""Folder that holds `radscale_lib`: a checkout, or the packages of an environment."""


def workflow_folder() -> Path:
    """Folder of the Snakefile: the checkout, or the folder that the wheel installs it in."""
    return LIBRARY if (LIBRARY / "Snakefile").is_file() else LIBRARY / "radscale_workflow"


def snakefile() -> Path:
    """The workflow's Snakefile, for the `module` of a project folder."""
    return workflow_folder() / "Snakefile"
