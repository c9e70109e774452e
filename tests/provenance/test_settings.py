"""Settings: named by their content, unchanged for good."""

from pathlib import Path

import pytest

from radscale_lib.provenance.settings import (
    are_settings,
    read_settings,
    settings_file,
    settings_text,
    write_settings,
)
from radscale_lib.study import StudyError, load_study
from radscale_lib.study.model import Study


@pytest.fixture
def study(tmp_path: Path) -> Study:
    return load_study(Path("config/smoke.yaml")).model_copy(update={"results": tmp_path})


def test_settings_are_the_study_with_its_keys_in_order(study: Study) -> None:
    path = write_settings(study)
    assert are_settings(path) and not are_settings(Path("config/smoke.yaml"))
    read = read_settings(path)
    assert read == study
    assert list(read.evaluation.tasks) == list(study.evaluation.tasks)
    assert settings_text(read) == settings_text(study)


@pytest.mark.parametrize("name", ["config", "paper", "smoke"])
def test_settings_of_settings_are_the_same(name: str) -> None:
    """A job on a cluster reads the study from its settings, and finds the same ones."""
    study = load_study(Path(f"config/{name}.yaml"))
    again = Study.model_validate_json(settings_text(study))
    assert settings_file(again) == settings_file(study)


def test_another_value_or_order_is_other_settings(study: Study) -> None:
    tasks = dict(reversed(study.evaluation.tasks.items()))
    turned = study.model_copy(
        update={"evaluation": study.evaluation.model_copy(update={"tasks": tasks})}
    )
    strict = study.model_copy(update={"strict": True})
    assert len({settings_file(of) for of in (study, turned, strict)}) == 3


def test_edited_settings_are_refused(study: Study) -> None:
    path = write_settings(study)
    text = path.read_text()
    path.write_text(text.replace('"resamples": 50', '"resamples": 51'))
    assert path.read_text() != text
    with pytest.raises(StudyError, match=rf"{path.name}: edited or damaged"):
        read_settings(path)


def test_missing_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"settings/0\.json: .*start the run again"):
        read_settings(tmp_path / "settings" / "0.json")
