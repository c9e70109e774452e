"""The study file: one typed model, one module per section."""

from radscale_lib.study.load import StudyError, load_study, parse_study, read_values
from radscale_lib.study.model import Run, Study
from radscale_lib.study.paths import path_problems

__all__ = [
    "Run",
    "Study",
    "StudyError",
    "load_study",
    "parse_study",
    "path_problems",
    "read_values",
]
