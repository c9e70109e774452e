"""Stage ids.

A stage id is a digest of (a) the resolved slice of the study that the stage reads, and (b) the code
that the stage's script reaches. A job whose manifest has a different id runs again. Data reaches a
job as input files and is not part of its id.
"""

import hashlib
import json
from functools import lru_cache
from typing import Any

from radscale_lib.metrics import modules as metric_modules
from radscale_lib.places import LIBRARY, workflow_folder
from radscale_lib.planning.code import code_of
from radscale_lib.planning.stages import STAGES
from radscale_lib.planning.stages.base import flatten
from radscale_lib.study.kinds import kind_name
from radscale_lib.study.model import Study
from radscale_lib.study.tasks import TaskSection


def components(study: Study, stage: str, **names: str) -> dict[str, dict[str, str]]:
    """The components of a stage id.

    Args:
        study: the resolved study.
        stage: a key of `STAGES`.
        **names: the `archive`, `arm`, `task` or `part` on which the slice depends.

    Returns:
        `study`: dotted key -> canonical JSON of its value; `code`: definition -> digest.
    """
    values = {
        key: canonical(value) for key, value in flatten(STAGES[stage].reads(study, **names)).items()
    }
    return {"study": values, "code": _code(study, stage, **names)}


def stage_id(parts: dict[str, dict[str, str]]) -> str:
    """The id of a stage's components: 16 hex digits of their SHA-256."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _code(study: Study, name: str, **names: str) -> dict[str, str]:
    stage = STAGES[name]
    code, facts = list[str](), list[str]()
    for kind in dict.fromkeys(stage.kinds(study, **names)):
        facts += [kind.__module__, *kind.more_facts]
        code += [getattr(kind, stage.runs)] if stage.runs else []
        if issubclass(kind, TaskSection) and stage.runs != "implementation":
            computed = metric_modules(kind_name(kind, "kind")).values()
            (code if stage.runs else facts).extend(computed)
    code += stage.modules(study)
    facts += stage.facts(study)
    return _digests(stage.script, tuple(code), tuple(facts))


@lru_cache
def _digests(script: str, modules: tuple[str, ...], facts: tuple[str, ...]) -> dict[str, str]:
    return code_of(workflow_folder() / "scripts" / script, modules, facts, LIBRARY)


def canonical(value: Any) -> str:
    """A unique text for a value.

    Raises:
        TypeError: for a type without a stable text.
    """
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
