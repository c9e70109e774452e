"""radscale: data-scaling studies of radiology foundation models as one reproducible workflow.

The names in `__all__` are the public API, stable between minor versions (docs/reference/python.md).
They are imported on first use, so that `import radscale_lib` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from radscale_lib.api.curve import CurveFit, draw_curve, fit_curve
    from radscale_lib.api.dataset import ShardDataset
    from radscale_lib.api.encoder import embed_images, load_encoder
    from radscale_lib.api.evaluation import evaluate_encoder
    from radscale_lib.api.figure import draw_figure
    from radscale_lib.api.film import read_dicom, read_image
    from radscale_lib.api.predictions import score_predictions
    from radscale_lib.api.results import StudyResults, open_study

__all__ = [
    "CurveFit",
    "ShardDataset",
    "StudyResults",
    "draw_curve",
    "draw_figure",
    "embed_images",
    "evaluate_encoder",
    "fit_curve",
    "load_encoder",
    "open_study",
    "read_dicom",
    "read_image",
    "score_predictions",
]

_MODULES = {
    "CurveFit": "curve",
    "ShardDataset": "dataset",
    "StudyResults": "results",
    "draw_curve": "curve",
    "draw_figure": "figure",
    "embed_images": "encoder",
    "evaluate_encoder": "evaluation",
    "fit_curve": "curve",
    "load_encoder": "encoder",
    "open_study": "results",
    "read_dicom": "film",
    "read_image": "film",
    "score_predictions": "predictions",
}
"""Module of `radscale_lib.api` that defines each name."""


def __getattr__(name: str) -> Any:
    """Import a name of `__all__` from the module that defines it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.api.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the module's own names and those imported on first use."""
    return sorted({*globals(), *__all__})
