"""Progress on the terminal: how far, how fast, how long still."""

import sys
import time


class Progress:
    """Lines on standard error, at most one every few seconds."""

    def __init__(self, what: str, total: int, interval: float = 5.0) -> None:
        """Count up to `total`; `what` is the noun of the lines."""
        self._what, self._total, self._interval = what, total, interval
        self._done = 0
        self._start = self._last = time.monotonic()

    def step(self) -> None:
        """Count one; write a line if it is time or the last one."""
        self._done += 1
        now = time.monotonic()
        if now - self._last < self._interval and self._done < self._total:
            return
        self._last = now
        rate = self._done / max(now - self._start, 1e-9)
        left = (self._total - self._done) / rate
        print(
            f"{self._what}: {self._done:,} of {self._total:,}, {rate:.1f}/s, {_clock(left)} left",
            file=sys.stderr,
            flush=True,
        )


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
