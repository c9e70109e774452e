"""Read the configuration of a call of snakemake with the loader of study files."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from snakemake.utils import update_config

from radscale_lib.study import StudyError, read_values

REFUSED = "Config file is not valid JSON or YAML"
"""Snakemake's message for a file that is neither, before it reads the Snakefile."""


def read_configuration(files: Iterable[Path], options: Mapping[str, Any]) -> dict[str, Any]:
    """Merge configuration files and options as Snakemake does: later ones over earlier ones.

    Snakemake's own loader silently takes the last of two equal keys.

    Args:
        files: study files, or parts of one, as given by `--configfile`.
        options: values given by `--config`.

    Raises:
        StudyError: if a file cannot be read, naming it and the line.
    """
    values: dict[str, Any] = {}
    for file in files:
        update_config(values, read_values(file))
    update_config(values, options)
    return values


def refused_files(arguments: Iterable[str]) -> str:
    """Errors of the unreadable files among the arguments of a command line."""
    problems = []
    for argument in arguments:
        path = Path(argument.partition("=")[2] if argument.startswith("--") else argument)
        if path.suffix in (".yaml", ".yml", ".json") and path.is_file():
            try:
                read_values(path)
            except StudyError as error:
                problems.append(str(error))
    return "\n".join(problems)
