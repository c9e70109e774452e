"""Exports of final encoders for other libraries."""

from radscale_lib.planning.stages.base import Slice, Stage, arms_encoder
from radscale_lib.planning.stages.pretrain import largest_encoder
from radscale_lib.study.model import Study


def _export(study: Study, arm: str) -> Slice:
    """The model card says which images were selected."""
    archive = study.institution
    return {"select": archive.select, "phantom": archive.phantom is not None}


def _forms(study: Study) -> list[str]:
    return sorted({next(iter(each.exports.values())) for each in study.encoders.values()})


STAGES = {
    "export": Stage(
        script="export.py",
        reads=_export,
        kinds=arms_encoder,
        modules=_forms,
        # The encoder, its renamed copy, and the library's own memory.
        megabytes=lambda study: 1500 + 4 * largest_encoder(study) / 1e6,
    ),
}
