"""Slices of the study: what a stage reads is in its id."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from radscale_lib.planning.identity import components, stage_id
from radscale_lib.study import Study, parse_study


def study(**changes: Any) -> Study:
    """The smoke study, with other values at dotted keys."""
    values = yaml.safe_load(Path("config/smoke.yaml").read_text())
    for key, value in changes.items():
        *path, last = key.split("__")
        section = values
        for name in path:
            section = section[name]
        section[last] = value
    return parse_study(values)


@pytest.mark.parametrize(
    ("stage", "names", "changes"),
    [
        pytest.param(
            "similarity",
            {"arm": "rad-dino"},
            {"encoders__mi2__image__image_size": 64},
            id="the tip lies where every encoder sees it",
        ),
        pytest.param(
            "fit",
            {},
            {"arms__mi2-reports-labels__supervision": ["reports"]},
            id="stated claims find arms by their supervision",
        ),
        pytest.param(
            "fit",
            {},
            {"evaluation__tasks__findings__target": "tubes"},
            id="stated claims find tasks by their target",
        ),
        pytest.param(
            "fit",
            {},
            {"evaluation__tasks__findings__heads": {"near": {"kind": "knn"}}},
            id="the first head of a task is fitted",
        ),
        pytest.param(
            "evaluate",
            {"task": "findings", "arm": "rad-dino"},
            {
                "evaluation__tasks__findings__heads": {
                    "linear": {"kind": "linear", "label_shares": [0.1]}
                }
            },
            id="a task has the heads that it names",
        ),
    ],
)
def test_what_a_stage_reads_is_in_its_id(
    stage: str, names: dict[str, str], changes: dict[str, Any]
) -> None:
    before = components(study(), stage, **names)
    after = components(study(**changes), stage, **names)
    assert stage_id(before) != stage_id(after)
    assert before["code"] == after["code"]


def test_the_code_that_places_images_counts_for_every_encoder() -> None:
    code = components(study(), "similarity", arm="rad-dino")["code"]
    modules = {name.partition(":")[0] for name in code}
    assert {"radscale_lib.study.encoders.mi2", "radscale_lib.study.encoders.rad_dino"} <= modules
    assert "radscale_lib.encoders.davit" not in modules


def test_the_code_of_a_head_counts_for_the_tasks_that_use_it() -> None:
    two = study(
        evaluation__tasks__findings__heads={"a": {"kind": "linear"}, "b": {"kind": "knn"}},
        scaling__heads={"findings": "a"},
    )
    modules = {
        task: {
            name.partition(":")[0]
            for name in components(two, "evaluate", task=task, arm="rad-dino")["code"]
        }
        for task in ("findings", "tubes")
    }
    linear, knn = (f"radscale_lib.tasks.heads.{name}" for name in ("linear", "knn"))
    assert {linear, knn} <= modules["findings"]
    assert linear in modules["tubes"]
    assert knn not in modules["tubes"]
