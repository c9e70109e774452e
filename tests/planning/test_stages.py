"""Slices of the study: what a stage reads is in its id."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from radscale_lib.planning.disk import peak_bytes, whole_bytes
from radscale_lib.planning.identity import components, stage_id
from radscale_lib.planning.scale import archive_images, encoding, grid_bytes, held_out
from radscale_lib.planning.stages import STAGES, report
from radscale_lib.planning.stages.evaluate import parts_of
from radscale_lib.study import Study, parse_study
from radscale_lib.study.heads.base import Encoding


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
            {"arm": "rad-dino"},
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


def test_templates_of_the_report_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = stage_id(components(study(), "report"))
    copied = shutil.copytree(report.TEMPLATES, tmp_path / "templates")
    monkeypatch.setattr(report, "TEMPLATES", copied)
    assert stage_id(components(study(), "report")) == before
    page = copied / "report.html.j2"
    page.write_text(page.read_text() + "<!-- another caption -->")
    assert stage_id(components(study(), "report")) != before


def test_the_code_that_places_images_counts_for_every_encoder() -> None:
    code = components(study(), "similarity", arm="rad-dino")["code"]
    modules = {name.partition(":")[0] for name in code}
    assert {"radscale_lib.study.encoders.mi2", "radscale_lib.study.encoders.rad_dino"} <= modules
    assert "radscale_lib.encoders.davit" not in modules


ARM = {"arm": "rad-dino"}
HEADS = {"linear": {"kind": "linear"}, "near": {"kind": "knn"}, "tokens": {"kind": "attention"}}


NEAREST = HEADS | {"near": {"kind": "knn", "neighbours": [3]}}
ENCODING = ["findings.tokens", "segmentation.pyramid", "reports.language-model"]
OF_FINDINGS = [f"findings.{head}" for head in HEADS]


def evaluation_ids(values: Study) -> dict[str, str]:
    """Stage ids of all that an evaluation is made of."""
    ids = {stage: components(values, stage, **ARM) for stage in ("features", "evaluate", "score")}
    for task, part in parts_of(values):
        ids[f"{task}.{part}"] = components(values, "head", task=task, part=part, **ARM)
    return {name: stage_id(parts) for name, parts in ids.items()}


@pytest.mark.parametrize(
    ("changes", "anew"),
    [
        ({"resamples": 77}, set()),
        ({"tasks__reports__phrases": {"effusion": ["wet"]}}, set()),
        ({"tasks__findings__penalties": [0.1, 0.2]}, {"findings.linear"}),
        ({"tasks__findings__heads": NEAREST}, {"findings.near"}),
        ({"tasks__findings__target": "tubes"}, set(OF_FINDINGS)),
        ({"tasks__segmentation__decoder__lr": 0.5}, {"segmentation.pyramid"}),
        ({"features": {"levels": [1, 4]}}, {*OF_FINDINGS, "tubes.linear"}),
        ({"features": {"batch": 65}}, {"features", *ENCODING}),
    ],
)
def test_a_change_is_in_the_ids_of_the_parts_that_it_changes(
    changes: dict[str, Any], anew: set[str]
) -> None:
    """And always in those of the jobs: `score` reads the sections of all tasks."""
    base = {"evaluation__tasks__findings__heads": HEADS, "scaling__heads": {"findings": "linear"}}
    before = evaluation_ids(study(**base))
    values = {f"evaluation__{key}": value for key, value in changes.items()}
    after = evaluation_ids(study(**base | values))
    changed = {name for name in before if before[name] != after[name]}
    assert changed - {"evaluate", "score"} == anew
    assert ("evaluate" in changed) == bool(anew)
    assert ("score" in changed) == ("features" not in changes)


def modules_of(values: Study, stage: str, **names: str) -> set[str]:
    code = components(values, stage, **ARM, **names)["code"]
    return {name.partition(":")[0] for name in code}


def test_the_code_of_a_head_counts_where_it_is_used() -> None:
    values = study(evaluation__tasks__findings__heads=HEADS, scaling__heads={"findings": "near"})
    linear, knn = (f"radscale_lib.tasks.heads.{name}" for name in ("linear", "knn"))
    of = {
        (task, part): modules_of(values, "head", task=task, part=part)
        for task, part in parts_of(values)
    }
    assert linear in of["findings", "linear"] and knn not in of["findings", "linear"]
    assert knn in of["findings", "near"] and linear not in of["findings", "near"]
    assert linear in of["tubes", "linear"]
    assert {linear, knn} <= modules_of(values, "evaluate")


def test_metrics_and_intervals_count_for_scores_alone() -> None:
    scoring = ("metrics.", "tasks.bootstrap", "tasks.confidence", "tasks.scores", "tasks.ranking")
    everything = study()
    for stage, counts in (("evaluate", False), ("score", True)):
        modules = modules_of(everything, stage)
        for each in scoring:
            found = any(name.startswith(f"radscale_lib.{each}") for name in modules)
            assert found == counts, (stage, each)
    assert "radscale_lib.tasks.training" not in modules_of(everything, "score")


def test_features_over_a_grid_are_kept_only_if_a_head_reads_them() -> None:
    base = study()
    heads = {"linear": {"kind": "linear", "features": ["global", "grid"]}}
    with_grid = study(evaluation__tasks__findings__heads=heads)
    for stage in ("features", "evaluate"):
        kept = [STAGES[stage].reads(each, arm="rad-dino") for each in (base, with_grid)]
        assert ["features.grid" in each for each in kept] == [False, True]
    numbers = 16 * sum(with_grid.section_of(run.arm).channels() for run in with_grid.runs)
    more = whole_bytes(with_grid)["features"] - whole_bytes(base)["features"]
    assert more == pytest.approx(2 * numbers * archive_images(base) * held_out(base))
    megabytes = STAGES["evaluate"].megabytes
    assert megabytes(with_grid) > megabytes(base)


def test_plans_count_the_feature_maps_that_decoders_keep_and_read() -> None:
    base = study()
    segmentation = {
        "kind": "segmentation",
        "decoder": {"steps": 50, "batch": 10, "lr": 1e-3, "train_images": 7, "test_images": 3},
    }
    few = study(evaluation__tasks__segmentation=segmentation)
    two = study(
        evaluation__tasks__segmentation=segmentation
        | {"heads": {"linear": {"kind": "linear"}, "pyramid": {"kind": "pyramid"}}},
        scaling__heads={"segmentation": "linear"},
    )
    seeded = study(
        evaluation__tasks__segmentation=segmentation
        | {"decoder": segmentation["decoder"] | {"seeds": 3}}  # type: ignore[operator]
    )
    one = encoding(few, "segmentation")
    assert one == Encoding(encoded=10, kept=7, read=500, learnt=500)
    assert encoding(two, "segmentation") == Encoding(20, 7, 1000, 1000)
    assert encoding(seeded, "segmentation") == Encoding(10, 7, 1500, 1500)
    # RAD-DINO of 32 pixels: 4 levels of 16 channels and 4 x 4 cells.
    assert grid_bytes(few, "rad-dino") == 7 * 4 * 16 * 16
    assert peak_bytes(base, 4) > sum(whole_bytes(base).values())
    seconds = STAGES["evaluate"].seconds
    assert seconds(two, {"arm": "rad-dino"}, 1e9) > seconds(few, {"arm": "rad-dino"}, 1e9)
