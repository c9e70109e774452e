"""Fits, figures and the report."""

from pathlib import Path

from radscale_lib.files import file_digest
from radscale_lib.planning.stages.base import Slice, Stage, task_kinds, without
from radscale_lib.planning.stages.evaluate import heads_drawn, runs_and_tasks, tasks_elsewhere
from radscale_lib.plugins import modules_of
from radscale_lib.study.model import Study
from radscale_lib.study.pretrain import Arm

TEMPLATES = Path(__file__).parents[2] / "report/templates"
"""Files of the report's page, to which no import leads."""


def _fit(study: Study) -> Slice:
    """Stated claims find arms by kind, paradigm and supervision, and tasks by kind and target."""
    arms = {
        name: {
            "encoder": arm.encoder,
            "kind": study.encoders[arm.encoder].kind,
            "supervision": list(arm.supervision),
            "paradigm": arm.recipe.paradigm if isinstance(arm, Arm) else "",
        }
        for name, arm in study.arms.items()
    }
    kinds = {
        name: [task.kind, getattr(task, "target", "")]
        for name, task in study.evaluation.tasks.items()
    }
    return {
        "scaling": study.scaling,
        "baselines": study.origins,
        "arms": arms,
        "kinds": kinds,
        "heads": heads_drawn(study),
        "kept": study.kept,
        **runs_and_tasks(study),
    }


def _fit_elsewhere(study: Study, archive: str) -> Slice:
    return _fit(study.seen_from(archive))


def _figures(study: Study) -> Slice:
    return {
        "report": study.report,
        "phantom": study.institution.phantom is not None,
        "scaling": study.scaling,
        "evaluation.confidence": study.evaluation.confidence,
        "baselines": study.evaluated_only,
        "floors": study.floors,
        "kept": study.kept,
        "arms": {name: study.encoder_of(name) for name in study.arms},
        "heads": heads_drawn(study),
        **runs_and_tasks(study),
        **tasks_elsewhere(study),
    }


def _report(study: Study) -> Slice:
    names = ("device", "devices", "tflops", "utilisation", "watts")
    stated = {name: getattr(study.compute, name) for name in names}
    templates = {file.name: file_digest(file) for file in sorted(TEMPLATES.iterdir())}
    return {
        "study": without(study, "results", "compute"),
        "compute": stated,
        "templates": templates,
    }


STAGES = {
    "fit": Stage(script="fit.py", reads=_fit, megabytes=lambda study: 2000.0),
    "fit_elsewhere": Stage(script="fit.py", reads=_fit_elsewhere, megabytes=lambda study: 2000.0),
    "figures": Stage(
        script="figures.py",
        reads=_figures,
        kinds=task_kinds,
        runs="",
        modules=lambda study: modules_of("radscale_lib.report.figures", "radscale.figures"),
    ),
    "report": Stage(script="report.py", reads=_report, kinds=task_kinds, runs=""),
}
