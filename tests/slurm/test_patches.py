"""Patches of the executor plugin: each fault is still in the plugin, and its patch ends it.

A test of the first kind fails when upstream fixes the fault: then its patch can go.
"""

import asyncio
import sys
import time
import tomllib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from workflow import slurm_patches

ROOT = Path(__file__).parents[2]
MODULE = "snakemake_executor_plugin_slurm"
States = dict[str, str] | None


@pytest.fixture
def plugin(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The plugin as it is installed, on a cluster whose squeue shows ended jobs for 300 s."""
    for name in [name for name in sys.modules if name.startswith(MODULE)]:
        monkeypatch.delitem(sys.modules, name)
    plugin = import_module(MODULE)
    monkeypatch.setattr(plugin, "get_min_job_age", lambda: 300)
    monkeypatch.setattr(plugin, "is_query_tool_available", lambda _: False)
    return plugin


def executor(plugin: ModuleType) -> Any:
    """An executor that has submitted job 7, without the workflow around it."""

    @asynccontextmanager
    async def limiter() -> AsyncIterator[None]:
        yield

    made = object.__new__(plugin.Executor)
    settings = {"status_attempts": 5, "keep_successful_logs": True, "requeue": True}
    vars(made).update(
        workflow=SimpleNamespace(
            executor_settings=SimpleNamespace(init_seconds_before_status_checks=40, **settings)
        ),
        logger=SimpleNamespace(**dict.fromkeys(("debug", "info", "warning"), lambda _: None)),
        run_uuid="study",
        get_status_command=lambda: "squeue",
        wait=True,
        _next_seconds_between_status_checks=40,
        _preemption_warning=False,
        _status_query_calls=0,
        _status_query_failures=0,
        _status_query_total_seconds=0.0,
        _status_query_min_seconds=None,
        _status_query_max_seconds=0.0,
        _status_query_cycle_rows=[],
        _failed_nodes=set(),
    )
    type(made).status_rate_limiter = property(lambda _: limiter())
    return made


def outcome(plugin: ModuleType, *answers: States) -> str:
    """What becomes of job 7 after polls with these answers of squeue."""
    left, ended = list(answers), []

    async def query(_: str, __: Any) -> tuple[States, float | None]:
        return (None, None) if left[0] is None else (left[0], 0.1)

    async def polls() -> list[Any]:
        jobs = [SimpleNamespace(external_jobid="7", aux={})]
        while left and jobs:
            jobs = [job async for job in made.check_active_jobs(jobs)]
            left.pop(0)
        return jobs

    known = plugin.query_job_status
    if isinstance(known, slurm_patches.PatchedQuery):
        plugin.query_job_status = slurm_patches.PatchedQuery(query)  # type: ignore[arg-type]
    else:
        plugin.query_job_status = query  # type: ignore[attr-defined]
    made = executor(plugin)
    made.report_job_success = lambda _: ended.append("succeeded")
    made.report_job_error = lambda *_, **__: ended.append("failed")
    waiting = asyncio.run(polls())
    return ended[0] if ended else "waits" if waiting else "forgotten"


FAULTS: dict[str, tuple[list[States], str, str]] = {
    "the user who cancelled is named": ([{"7": "CANCELLED by 1000"}] * 5, "waits", "failed"),
    "preempted for good": ([{"7": "PREEMPTED"}] * 5, "waits", "failed"),
    "node lost for good": ([{"7": "NODE_FAIL"}] * 5, "waits", "failed"),
    "SLURM forgot the job": ([{"7": "RUNNING"}, {}, {}, {}], "waits", "failed"),
    "no answer": ([{"7": "RUNNING"}, None, {"7": "COMPLETED"}], "forgotten", "succeeded"),
}
"""Answers of squeue, and what becomes of the job without and with the patches."""


@pytest.mark.parametrize("fault", FAULTS)
def test_the_plugin_still_needs_the_patch(plugin: ModuleType, fault: str) -> None:
    answers, unpatched, _ = FAULTS[fault]
    assert outcome(plugin, *answers) == unpatched


@pytest.mark.parametrize("fault", FAULTS)
def test_the_patch_works(plugin: ModuleType, fault: str) -> None:
    answers, _, patched = FAULTS[fault]
    slurm_patches.apply()
    assert outcome(plugin, *answers) == patched


@pytest.mark.parametrize("state", ["PREEMPTED", "NODE_FAIL"])
def test_a_requeued_job_is_waited_for(plugin: ModuleType, state: str) -> None:
    slurm_patches.apply()
    requeued: list[States] = [{"7": state}, {"7": "PENDING"}, {"7": state}, {"7": "RUNNING"}]
    assert outcome(plugin, *requeued) == "waits"
    assert outcome(plugin, *requeued, {"7": "COMPLETED"}) == "succeeded"


def test_a_job_array_that_starts_is_not_forgotten(plugin: ModuleType) -> None:
    slurm_patches.apply()
    assert (
        outcome(plugin, {"7_[1-4]": "PENDING"}, {"7_1": "RUNNING"}, {"7_1": "RUNNING"}) == "waits"
    )


@pytest.mark.parametrize(("patched", "longest"), [(False, 180), (True, 60)])
def test_pauses_between_polls(plugin: ModuleType, patched: bool, longest: float) -> None:
    if patched:
        slurm_patches.apply()
    made = executor(plugin)
    made.next_seconds_between_status_checks = 180
    assert made.next_seconds_between_status_checks == longest


@pytest.mark.parametrize("patched", [False, True])
def test_the_end_waits_for_no_pause(plugin: ModuleType, patched: bool) -> None:
    if patched:
        slurm_patches.apply()
    made = executor(plugin)
    pause = 60 if patched else 0.3
    made.wait, made.next_seconds_between_status_checks = False, pause
    began = time.monotonic()
    asyncio.run(made.sleep())
    assert (time.monotonic() - began < 0.8 * pause) == patched


def test_the_pinned_version_is_the_patched_and_tested_one() -> None:
    """Another version needs these tests first, then all of tests/slurm."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"{slurm_patches.PLUGIN}=={slurm_patches.PATCHED}" in project["dependencies"]
    locked = (ROOT / "requirements.lock").read_text()
    assert f"\n{slurm_patches.PLUGIN}=={slurm_patches.PATCHED} " in locked
    assert version(slurm_patches.PLUGIN) == slurm_patches.PATCHED


def test_the_plugin_is_patched_once(plugin: ModuleType) -> None:
    slurm_patches.apply()
    query = plugin.query_job_status
    slurm_patches.apply()
    assert plugin.query_job_status is query


def test_another_version_is_left_as_it_is_and_named(
    plugin: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slurm_patches, "version", lambda _: "99.0.0")
    query = plugin.query_job_status
    slurm_patches.apply()
    assert plugin.query_job_status is query
    said = capsys.readouterr().err
    assert f"warning: {slurm_patches.PLUGIN} 99.0.0" in said and slurm_patches.PATCHED in said
