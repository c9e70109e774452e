"""Cures of the executor plugin, on the answers that SLURM was seen to give."""

import asyncio
from importlib.metadata import version
from typing import Any

import pytest

from workflow import slurm_cures
from workflow.slurm_cures import CuredQuery, States


def polls(*answers: States | None) -> list[States]:
    """What the plugin is told in successive polls."""
    left = list(answers)

    async def query(_: str, __: Any) -> tuple[States | None, float | None]:
        states = left.pop(0)
        return (None, None) if states is None else (states, 0.1)

    cured = CuredQuery(query)
    return [asyncio.run(cured("squeue", None))[0] for _ in answers]


def test_the_pinned_version_is_the_cured_one() -> None:
    assert version(slurm_cures.PLUGIN).startswith(slurm_cures.CURED)


def test_the_user_who_cancelled_is_left_out() -> None:
    assert polls({"7": "CANCELLED by 1000"}) == [{"7": "CANCELLED"}]


@pytest.mark.parametrize("state", ["PREEMPTED", "NODE_FAIL"])
def test_a_passing_state_that_stays_is_an_end(state: str) -> None:
    assert polls({"7": state}, {"7": state}) == [{"7": state}, {"7": "CANCELLED"}]
    assert polls({"7": state}, {"7": "PENDING"}, {"7": state})[-1] == {"7": state}


def test_no_answer_is_no_change() -> None:
    """None makes the plugin forget its jobs: a job that ends later is waited for without end."""
    assert polls({"7": "RUNNING"}, None, {"7": "COMPLETED"}) == [
        {"7": "RUNNING"},
        {},
        {"7": "COMPLETED"},
    ]


def test_a_job_that_slurm_forgot_has_ended() -> None:
    assert polls({"7": "RUNNING", "8": "COMPLETED"}, {}) == [
        {"7": "RUNNING", "8": "COMPLETED"},
        {"7": "CANCELLED"},
    ]
    assert polls({"9_[1-4]": "PENDING"}, {"9_1": "RUNNING"})[-1] == {"9_1": "RUNNING"}


def test_the_plugin_is_cured_once() -> None:
    import snakemake_executor_plugin_slurm as plugin

    slurm_cures.apply()
    query = plugin.query_job_status
    slurm_cures.apply()
    assert isinstance(query, CuredQuery) and plugin.query_job_status is query
    executor = object.__new__(plugin.Executor)
    executor.next_seconds_between_status_checks = 180
    assert executor.next_seconds_between_status_checks == slurm_cures.LONGEST_PAUSE
