"""The estimate of what is left."""

import pytest

from workflow.progress import Progress, duration


def test_expected_seconds_until_measured() -> None:
    progress = Progress({"train": 100.0})
    progress.total.update(train=3)
    assert progress.seconds_left(0.0) == pytest.approx(300)
    progress.start(1, "train", "train a", 0.0)
    assert progress.seconds_left(40.0) == pytest.approx(200 + 60)
    assert progress.finish(1, 50.0) == ("train a", 50.0)
    assert progress.seconds_left(50.0) == pytest.approx(100)


def test_parallel_jobs_share_the_rest_but_not_the_longest() -> None:
    progress = Progress({"long": 100.0, "short": 10.0})
    progress.total.update(long=1, short=3)
    progress.start(1, "long", "long", 0.0)
    progress.start(2, "short", "short", 0.0)
    assert progress.seconds_left(0.0) == pytest.approx(100)
    assert "0 of 4 jobs" in progress.line(0.0)
    assert "running long, short" in progress.line(0.0)


def test_a_failed_job_leaves_the_line_and_takes_with_it_what_waits_for_it() -> None:
    """Jobs 1 and 2 train, 3 and 4 evaluate them, 5 gathers both."""
    following = {1: [(3, "evaluate")], 2: [(4, "evaluate")], 3: [(5, "gather")], 4: [(5, "gather")]}
    progress = Progress({"train": 100.0, "evaluate": 10.0, "gather": 1.0}, following)
    progress.total.update(train=2, evaluate=2, gather=1)
    progress.start(1, "train", "train a", 0.0)
    progress.fail(1)
    assert progress.seconds_left(0.0) == pytest.approx(100 + 10)
    assert progress.line(0.0) == "0 of 5 jobs · 1 failed, 2 cannot run · about 2 min left"
    progress.start(1, "train", "train a", 5.0)  # again
    assert progress.seconds_left(5.0) == pytest.approx(2 * 100 + 2 * 10 + 1)
    progress.finish(1, 105.0)
    assert progress.line(105.0) == "1 of 5 jobs · about 2 min left"


def test_unknown_jobs_do_not_count() -> None:
    assert Progress({}).finish(7, 1.0) is None


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "1 s"), (89, "89 s"), (600, "10 min"), (9000, "2.5 h")]
)
def test_durations_read_well(seconds: float, text: str) -> None:
    assert duration(seconds) == text
