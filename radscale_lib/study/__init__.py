"""The study file: one typed model, one module per section."""

from radscale_lib.study.load import StudyError, load_study, parse_study
from radscale_lib.study.model import Run, Study

__all__ = ["Run", "Study", "StudyError", "load_study", "parse_study"]
