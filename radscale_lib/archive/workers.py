"""Worker processes for files that may crash or hang them."""

import faulthandler
import math
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any, Generic, NamedTuple, TypeVar

import cv2
import numpy as np

Item = TypeVar("Item")
Result = TypeVar("Result")

_FORK = multiprocessing.get_context("fork")
PATIENCE = 10
"""Wall time allowed per item, as a multiple of its processor time."""
_LARGEST_KEPT = 31 * 2**20
"""Below the 32 MiB from which glibc always maps a block (mallopt(3), M_MMAP_THRESHOLD)."""
_NO_MEMORY = 71
"""Exit status of a process that has no memory for its answer."""
_AHEAD = 4
"""Items in progress or queued, per process."""


_OWN_ENDS = {"SIGSEGV", "SIGBUS", "SIGABRT", "SIGILL", "SIGFPE", "SIGPROF", "no signal"}


class WorkerDied(NamedTuple):
    """The process that worked on an item died."""

    hung: bool
    """Whether it used up its time; else it crashed."""
    signal: str
    """Name of the signal that ended it."""

    @property
    def by_itself(self) -> bool:
        """Whether the item itself ended it, not the system (out of memory), a user, or waiting.

        A process that used up its processor time counts; one that only ran out of wall time was
        waiting.
        """
        return self.signal in _OWN_ENDS


class _Worker:
    def __init__(
        self, function: Callable[[Any], Any], seconds: float, others: Iterable["_Worker"]
    ) -> None:
        self.connection, theirs = _FORK.Pipe()
        inherited = [self.connection, *(other.connection for other in others)]
        self.process = _FORK.Process(
            target=_serve, args=(theirs, function, seconds, inherited), daemon=True
        )
        self.process.start()
        theirs.close()
        self.deadline = math.inf
        self.overdue = False

    def send(self, item: Any, patience: float) -> None:
        self.deadline = time.monotonic() + patience
        with suppress(BrokenPipeError):  # it has died, which the next answer will report
            self.connection.send(item)

    def kill_if_overdue(self) -> None:
        if time.monotonic() > self.deadline:
            self.overdue = True
            self.process.kill()

    def death(self) -> WorkerDied:
        self.process.join()
        number = -(self.process.exitcode or 0)
        name = signal.Signals(number).name if number > 0 else "no signal"
        if self.process.exitcode == _NO_MEMORY:
            name = "no memory"
        return WorkerDied(self.overdue or number == signal.SIGPROF, name)


def _serve(
    connection: Connection,
    function: Callable[[Any], Any],
    seconds: float,
    inherited: Iterable[Connection],
) -> None:
    """Answer items until the other side closes."""
    for other in inherited:  # otherwise the child would not notice that its parent has gone
        other.close()
    faulthandler.disable()
    _be_quiet()
    keep_freed_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    with suppress(EOFError, ConnectionError):
        while True:
            item = connection.recv()
            # Processor time, so that a slow disk or a busy machine is not a reason to give up.
            signal.setitimer(signal.ITIMER_PROF, seconds)
            try:
                result = function(item)
            except BaseException:  # a panic in a Rust decoder is not an Exception
                os._exit(1)  # without its text, which can contain values of the file
            signal.setitimer(signal.ITIMER_PROF, 0)
            try:
                connection.send(result)
            except MemoryError:
                os._exit(_NO_MEMORY)


def _be_quiet() -> None:
    """Keep a decoder's output, which can contain values of a file, out of the log."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)


def keep_freed_memory() -> None:
    """Have the C library keep freed memory for the next item instead of mapping it again.

    glibc unmaps blocks larger than the largest one freed so far, so a large one is freed here.
    """
    np.empty(_LARGEST_KEPT, np.uint8)  # never touched, so it takes no memory


class Workers(Generic[Item, Result]):
    """A few processes that apply a function; one that dies loses its item and is replaced.

    Example:
        with Workers(decode, processes=4, seconds=60) as workers:
            for result in workers.map(paths): ...
    """

    def __init__(self, function: Callable[[Item], Result], processes: int, seconds: float) -> None:
        """Apply `function`, which must not raise, with `seconds` of processor time an item."""
        self._function, self._seconds = function, seconds
        self._workers: list[_Worker] = []
        self._processes = processes

    def __enter__(self) -> "Workers[Item, Result]":
        cv2.setNumThreads(1)  # a fork inherits OpenCV's locks, but not the threads that hold them
        for _ in range(self._processes):
            self._start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for worker in self._workers:
            worker.connection.close()
            if error is not None:
                worker.process.terminate()
            worker.process.join()

    def map(self, items: Iterable[Item]) -> Iterator[Result | WorkerDied]:
        """Results in the order of the items; only a few items are taken ahead."""
        source = enumerate(items)
        idle, running = list(self._workers), dict[Connection, tuple[_Worker, int]]()
        results: dict[int, Result | WorkerDied] = {}
        sent = given = 0
        exhausted = False
        while True:
            while idle and not exhausted and sent - given < _AHEAD * self._processes:
                entry = next(source, None)
                if entry is None:
                    exhausted = True
                    break
                worker = idle.pop()
                worker.send(entry[1], PATIENCE * self._seconds)
                running[worker.connection] = worker, entry[0]
                sent += 1
            if not running:
                return
            answers = wait(list(running), timeout=self._seconds)
            if not answers:
                for worker, _ in running.values():
                    worker.kill_if_overdue()
            for ready in answers:
                assert isinstance(ready, Connection)
                worker, index = running.pop(ready)
                try:
                    results[index] = ready.recv()
                except (EOFError, ConnectionResetError):
                    results[index] = worker.death()
                    self._workers.remove(worker)
                    worker.connection.close()
                    worker = self._start()
                idle.append(worker)
            while given in results:
                yield results.pop(given)
                given += 1

    def _start(self) -> _Worker:
        worker = _Worker(self._function, self._seconds, self._workers)
        self._workers.append(worker)
        return worker
