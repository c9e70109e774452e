"""Memory of training steps, and the warning where a GPU has less."""

from pathlib import Path

import pytest

from radscale_lib.planning.memory import step_bytes, too_large
from radscale_lib.study import Study, load_study

ROOT = Path(__file__).parents[2]


def paper(arm: str = "rad-dino", passes: int = 8, recompute: tuple[str, ...] = ()) -> Study:
    """The full study with an arm's settings changed."""
    study = load_study(ROOT / "config/paper.yaml")
    recipe = study.arms[arm].recipe
    recipe.optimiser.__dict__["passes"] = passes
    recipe.__dict__["recompute"] = recompute
    return study


def test_passes_and_recomputing_save_memory() -> None:
    plain, whole = (step_bytes(paper(passes=n), "rad-dino") for n in (8, 1))
    assert 36e9 < plain < 48e9  # counted: 42
    assert 260e9 < whole < 350e9  # 308
    anew = step_bytes(paper(passes=1, recompute=("image",)), "rad-dino")
    assert 52e9 < anew < 70e9  # 61


def test_what_does_not_fit_is_named_with_its_remedy() -> None:
    study = paper(passes=1)
    assert too_large(study, None) == {}
    assert "rad-dino" not in too_large(paper(passes=1, recompute=("image",)), 80)
    problem = too_large(study, 80)["rad-dino"]
    assert problem.startswith("a step needs about 3")
    assert "which has 80" not in problem and "that has 80 (gpu_gb of the site file)" in problem
    assert "give recipe.recompute [image], or more recipe.optimiser.passes" in problem
    recomputing = paper(passes=1, recompute=("image",))
    assert "recipe.recompute" not in too_large(recomputing, 40)["rad-dino"]
    study.compute.__dict__["device"] = "cpu"
    assert too_large(study, 80) == {}


@pytest.mark.long
@pytest.mark.parametrize("arm", ["rad-dino", "mi2-reports-labels"])
def test_the_formula_agrees_with_the_count(arm: str) -> None:
    from benchmarks.memory import count

    for recompute in ((), ("image",)):
        study = paper(arm, 8, recompute)
        assert step_bytes(study, arm) == pytest.approx(count(study, arm).peak, rel=0.3)
