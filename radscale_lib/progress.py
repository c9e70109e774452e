"""Progress of longer work on standard error: amount done, speed, and time left."""

import sys
import time
from typing import SupportsFloat


class Progress:
    """Prints a line at most every few seconds, and one at the end."""

    def __init__(self, label: str, total: int, unit: str = "", every: float = 5.0) -> None:
        """Start the clock.

        Args:
            label: name of the work.
            total: units of work.
            unit: what is counted, in the plural; empty if the label says so.
            every: seconds between lines.
        """
        self._label, self._total, self._unit, self._every = label, total, unit, every
        self._done = 0
        self._started = self._said = time.monotonic()

    def step(self) -> None:
        """Count one unit."""
        self.reach(self._done + 1)

    def reach(self, done: int, loss: SupportsFloat | None = None) -> None:
        """Report that `done` units are done, if a line is due, with the loss if there is one."""
        self._done, now = done, time.monotonic()
        if now - self._said < self._every and done < self._total:
            return
        self._said = now
        rate = done / max(now - self._started, 1e-9)
        parts = [f"{done:,} of {self._total:,} {self._unit}".rstrip(), f"{rate:.1f}/s"]
        if done < self._total:
            parts.append(f"{_clock((self._total - done) / max(rate, 1e-9))} left")
        if loss is not None:
            parts.append(f"loss {float(loss):.4f}")
        print(f"{self._label}: {', '.join(parts)}", file=sys.stderr, flush=True)


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds, as 1:02:03."""
    minutes, left = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{left:02}"
