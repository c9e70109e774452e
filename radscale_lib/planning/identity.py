"""Stage ids.

A stage id is a digest of (a) the slice of the study that the stage reads, resolved, and (b) the
code that the stage's script reaches. A job whose manifest has another id runs again. Data reach a
job as input files and are not part of its id.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from radscale_lib.metrics import modules as metric_modules
from radscale_lib.places import LIBRARY, workflow_folder
from radscale_lib.planning.code import code_of
from radscale_lib.planning.stages import STAGES
from radscale_lib.planning.stages.base import without
from radscale_lib.study.base import Section
from radscale_lib.study.kinds import kind_name
from radscale_lib.study.model import Study
from radscale_lib.study.tasks import TaskSection


def components(study: Study, stage: str, **names: str) -> dict[str, dict[str, str]]:
    """What a stage id is made of.

    Args:
        study: the resolved study.
        stage: a key of `STAGES`.
        **names: what the slice depends on: `archive`, `arm` or `task`.

    Returns:
        `study`: dotted key -> canonical JSON of its value; `code`: definition -> digest.
    """
    values = {
        key: canonical(value) for key, value in flatten(STAGES[stage].reads(study, **names)).items()
    }
    return {"study": values, "code": _code(study, stage, **names)}


def stage_id(parts: dict[str, dict[str, str]]) -> str:
    """The id made of a stage's components: 16 hex digits of their SHA-256."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _code(study: Study, name: str, **names: str) -> dict[str, str]:
    stage = STAGES[name]
    code, facts = list[str](), list[str]()
    for kind in dict.fromkeys(stage.kinds(study, **names)):
        facts += [kind.__module__, *kind.more_facts]
        code += [] if stage.titles else [kind.implementation]
        if issubclass(kind, TaskSection):
            computed = metric_modules(kind_name(kind, "kind")).values()
            (facts if stage.titles else code).extend(computed)
    code += stage.modules(study)
    facts += stage.facts(study)
    return _digests(stage.script, tuple(code), tuple(facts))


@lru_cache
def _digests(script: str, modules: tuple[str, ...], facts: tuple[str, ...]) -> dict[str, str]:
    return code_of(workflow_folder() / "scripts" / script, modules, facts, LIBRARY)


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested mappings and sections as one mapping with dotted keys."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Section):
            value = without(value)
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = value
    return flat


def canonical(value: Any) -> str:
    """One text per value.

    Raises:
        TypeError: for a type whose text is not stable.
    """
    return json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
