"""Requests to stop: a scheduler's SIGTERM, or SIGUSR1 ahead of a time limit."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class StopRequest:
    """Whether a signal has asked this process to stop, and which."""

    number: int = 0

    def __call__(self, number: int, _: FrameType | None) -> None:
        """Signal handler."""
        self.number = number


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Record stop signals instead of being killed by them, while the block runs."""
    request = StopRequest()
    before = {number: signal.signal(number, request) for number in SIGNALS}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def ignore_stop_requests(_: int = 0) -> None:
    """Ignore stop signals in worker processes, which their parent ends."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
