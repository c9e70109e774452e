"""The study model: what it accepts, what it derives, and what importing it costs."""

import json
import re
import subprocess
import sys
import time
from pathlib import Path

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from radscale_lib.phantom.sites import FINDINGS, TUBES
from radscale_lib.study import (
    Run,
    Study,
    StudyError,
    load_study,
    parse_study,
    reference,
)
from radscale_lib.study import path_problems as problems_of
from radscale_lib.study.archive import PHANTOM_LABELS
from radscale_lib.study.keys import keys

STUDIES = [
    Path(f"config/{name}.yaml")
    for name in ("config", "open-weights", "paper", "phantom-gpu", "smoke")
]
TIMM = {"kind": "timm", "name": "test_vit", "random": 0}
SMOKE = yaml.safe_load(Path("config/smoke.yaml").read_text())


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_written_and_read_again_a_study_is_the_same(path, tmp_path):
    study = load_study(path)
    copy = tmp_path / "study.json"
    copy.write_text(json.dumps(study.model_dump(mode="json")))
    assert load_study(copy) == study


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_studies_fit_the_schema_that_editors_use(path):
    jsonschema.validate(
        json.loads(json.dumps(yaml.load(path.read_text(), FloatLoader))),
        json.loads(reference.SCHEMA.read_text()),
    )


class FloatLoader(yaml.SafeLoader):
    """YAML 1.2, as editors read it: 1e-3 is a number."""


FloatLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"\d+e-?\d+$"), list("0123456789")
)


def test_runs_are_baselines_and_then_every_arm_seed_and_size():
    study = parse_study(
        SMOKE
        | {
            "arms": {
                "mi2-reports": SMOKE["arms"]["mi2-reports"] | {"seeds": [3, 5], "sizes": [40]},
                "rad-dino": SMOKE["arms"]["rad-dino"],
            }
        }
    )
    assert study.baseline_runs == [Run("mi2-open", 0, 0), Run("rad-dino-open", 0, 0)]
    assert study.pretraining_runs == [
        Run("mi2-reports", 40, 3),
        Run("mi2-reports", 40, 5),
        Run("rad-dino", 20, 0),
        Run("rad-dino", 40, 0),
    ]
    assert study.baseline_of("mi2-reports") == Run("mi2-open", 0, 0)
    assert study.encoder_of("rad-dino-open") == "rad-dino"


def test_released_weights_are_a_baseline_named_after_their_encoder():
    study = load_study(Path("config/paper.yaml"))
    assert study.origins == {"mi2": "mi2-open", "rad-dino": "rad-dino-open"}
    assert study.evaluated_only == {"mi2-open": "mi2", "rad-dino-open": "rad-dino"}
    assert [run.arm for run in study.floor_runs] == [
        *("mi2-random", "mi2-pixels"),
        *("rad-dino-random", "rad-dino-pixels"),
    ]
    assert study.runs[-4:] == study.floor_runs
    assert study.encoder_of("mi2-pixels") == "mi2"
    assert study.section_of("mi2-random") == study.encoders["mi2"]
    floor = study.section_of("mi2-pixels")
    assert floor.kind == "pixels" and floor.place(900, 700) == study.encoders["mi2"].place(900, 700)


def test_a_study_may_have_baselines_alone():
    values = SMOKE | {"bases": {}, "arms": {}, "encoders": {"vit": TIMM}}
    values = {key: value for key, value in values.items() if key not in ("public", "subsets")}
    study = parse_study(values | {"baselines": {"a-vit": {"encoder": "vit"}}})
    assert study.runs == [Run("a-vit", 0, 0)]
    assert study.encoder_of("a-vit") == "vit"


@given(st.floats(min_value=1e-9, max_value=1e9))
def test_numbers_may_have_an_exponent(value):
    """PyYAML reads 1e-3 as a text."""
    text = f"{value:e}".replace("e+", "e").replace(".000000", "")
    optimiser = {"samples": "64e0", "batch": 16, "lr": text}
    recipe = SMOKE["arms"]["rad-dino"]["recipe"] | {"optimiser": optimiser}
    arm = SMOKE["arms"]["rad-dino"] | {"recipe": recipe}
    study = parse_study(SMOKE | {"arms": SMOKE["arms"] | {"rad-dino": arm}})
    assert study.arms["rad-dino"].recipe.optimiser.lr == float(text)
    assert study.arms["rad-dino"].recipe.optimiser.samples == 64


def real_archive(folder):
    """A study over files in a folder, and every path it names by key."""
    named = {
        "institution.dicom": folder / "dicom",
        "institution.reports": folder / "reports.csv",
        "institution.labels": folder / "labels.csv",
        "institution.tubes": folder / "tubes.csv",
        "institution.key_file": folder / "key",
        "encoders.mi2.weights": folder / "mi2.safetensors",
        "encoders.rad-dino.weights": folder / "rad-dino",
        "evaluation.tasks.reports.language_model": folder / "llm",
    }
    study = yaml.safe_load(Path("config/paper.yaml").read_text())
    for key, path in named.items():
        *parts, last = key.split(".")
        section = study
        for part in parts:
            section = section[part]
        section[last] = str(path)
    return parse_study(study), named


def test_every_absent_path_is_named_with_its_key(tmp_path):
    study, named = real_archive(tmp_path)
    problems = problems_of(study)
    assert [problem.split(": ")[0] for problem in problems] == list(named)
    assert all(
        repr(str(path)) in problem for path, problem in zip(named.values(), problems, strict=True)
    )


def test_paths_that_are_there_raise_nothing(tmp_path):
    study, named = real_archive(tmp_path)
    for path in named.values():
        if path.suffix or path.name == "key":
            path.touch()
        else:
            path.mkdir()
    assert problems_of(study) == []


def test_a_folder_is_no_file(tmp_path):
    study, named = real_archive(tmp_path)
    for path in named.values():
        path.mkdir()
    assert [problem.split(": ")[0] for problem in problems_of(study)] == [
        "institution.reports",
        "institution.labels",
        "institution.tubes",
        "institution.key_file",
        "encoders.mi2.weights",
    ]


def test_a_key_in_the_environment_will_do(monkeypatch):
    study = yaml.safe_load(Path("config/paper.yaml").read_text())
    del study["institution"]["key_file"]
    study = parse_study(study)

    def keys_asked():
        return [
            problem for problem in problems_of(study) if problem.startswith("institution.key_file")
        ]

    monkeypatch.delenv("RADSCALE_KEY", raising=False)
    assert keys_asked() == [
        "institution.key_file: no secret key for the pseudonyms: set it, or the environment "
        "variable RADSCALE_KEY (make one with: radscale key new FILE)"
    ]
    monkeypatch.setenv("RADSCALE_KEY", "0123456789abcdef")
    assert keys_asked() == []


def test_adapters_need_a_package(monkeypatch):
    study = yaml.safe_load(Path("config/paper.yaml").read_text())
    study["evaluation"]["tasks"]["reports"]["lora_rank"] = 8
    monkeypatch.setattr("radscale_lib.study.paths.find_spec", lambda name: None)
    assert problems_of(parse_study(study))[-1] == (
        "evaluation.tasks.reports.lora_rank: 8 needs the package peft: install it "
        "(pip install '.[lora]'), or set 0"
    )


def test_a_phantom_study_needs_no_files(monkeypatch):
    monkeypatch.delenv("RADSCALE_KEY", raising=False)
    assert problems_of(parse_study(SMOKE)) == []


def test_the_phantom_has_the_labels_that_a_study_may_name():
    assert (PHANTOM_LABELS["findings"], PHANTOM_LABELS["tubes"]) == (FINDINGS, TUBES)


def test_a_public_phantom_needs_no_labels_of_the_study_unless_a_base_uses_them(tmp_path):
    values = json.loads(json.dumps(SMOKE))
    values["institution"] = {"dicom": str(tmp_path), "labels": str(tmp_path / "labels.csv")}
    values["labels"] = {"findings": ["Fracture"]}
    values["arms"] = {"rad-dino": values["arms"]["rad-dino"]}
    values["evaluation"]["tasks"] = {"findings": values["evaluation"]["tasks"]["findings"]}
    values["scaling"]["metrics"] = {"findings": "auroc"}
    with pytest.raises(StudyError, match="'Fracture'"):
        parse_study(values)
    values["bases"]["mi2-open"]["supervision"] = ["reports"]
    assert not parse_study(values).uses_labels("public")


def test_every_key_is_described():
    undescribed = [
        ".".join(key.path)
        for key in keys(Study)
        if key.info.description is None and key.path[-1] not in ("kind", "paradigm", "architecture")
    ]
    described_by_their_section = {key for key in undescribed if f"`{key}`" in reference.page()}
    assert set(undescribed) == described_by_their_section


@pytest.mark.parametrize(
    ("path", "content"), [(reference.SCHEMA, reference.schema), (reference.PAGE, reference.page)]
)
def test_generated_files_are_current(path, content):
    assert path.read_text() == content(), f"{path} is out of date: run `make docs`"


def test_importing_the_study_is_light():
    """Every job of the workflow does it: the standard library, pydantic and yaml, no more."""
    code = (
        "import sys\n"
        "at_start = set(sys.modules)  # Debian's Python has a sitecustomize\n"
        "import radscale_lib.study\n"
        "for name, module in sys.modules.items():\n"
        "    if name not in at_start and '.' not in name and getattr(module, '__file__', None):\n"
        "        print(name)\n"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = run.stdout.split()
    own = {"radscale_lib", "pydantic", "yaml"}
    of_pydantic = {"pydantic_core", "annotated_types", "typing_extensions", "typing_inspection"}
    third_party = set(modules) - set(sys.stdlib_module_names)
    assert {name for name in third_party if not name.startswith("_")} == own | of_pydantic


def test_reading_a_study_is_quick():
    start = time.process_time()
    load_study(Path("config/paper.yaml"))
    assert time.process_time() - start < 0.2
