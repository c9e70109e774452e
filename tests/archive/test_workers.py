"""Processes that may crash or hang: each costs its item, and order is kept."""

import os
import signal
import time

import pytest

from radscale_lib.archive import workers as workers_module
from radscale_lib.archive.workers import WorkerDied, Workers


class Panic(BaseException):
    """What a decoder in Rust raises."""


def work(item: int | str) -> int:
    if item == "panic":
        os.write(2, b"patient-0")
        os.write(1, b"patient-0")
        raise Panic("patient-0")
    if item == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if item == "exit":
        os._exit(3)
    while item == "hang":
        pass
    assert isinstance(item, int)
    time.sleep(0.001 * (item % 3))
    return item * item


@pytest.mark.parametrize("processes", [1, 3])
def test_results_are_in_order(processes):
    with Workers(work, processes, 60) as workers:
        assert list(workers.map(range(50))) == [n * n for n in range(50)]
        assert list(workers.map([7])) == [49]  # the same processes again
        assert list(workers.map([])) == []


def test_a_crash_and_a_hang_cost_one_item_each(monkeypatch):
    monkeypatch.setattr(workers_module, "PATIENCE", 1000)  # a busy machine is not a hang
    items = [1, "crash", 2, "hang", 3, "exit", 4]
    with Workers(work, 2, 0.2) as workers:
        assert list(workers.map(items)) == [
            1,
            WorkerDied(hung=False, signal="SIGSEGV"),
            4,
            WorkerDied(hung=True, signal="SIGPROF"),
            9,
            WorkerDied(hung=False, signal="no signal"),
            16,
        ]


def test_a_panic_costs_its_item_and_says_nothing(capfd):
    with Workers(work, 1, 60) as workers:
        assert list(workers.map([2, "panic", 3])) == [4, WorkerDied(False, "no signal"), 9]
    assert capfd.readouterr() == ("", "")


def test_waiting_is_no_hang_for_a_while():
    with Workers(time.sleep, 1, 0.2) as workers:
        assert list(workers.map([0.3, 60])) == [None, WorkerDied(hung=True, signal="SIGKILL")]


def test_items_are_taken_as_needed():
    taken = []

    def items():
        for number in range(1000):
            taken.append(number)
            yield number

    with Workers(work, 2, 60) as workers:
        results = workers.map(items())
        next(results)
        assert len(taken) < 20


def test_an_error_here_ends_the_processes():
    with pytest.raises(ZeroDivisionError), Workers(work, 2, 60) as workers:
        processes = [worker.process for worker in workers._workers]
        raise ZeroDivisionError
    assert not any(process.is_alive() for process in processes)
