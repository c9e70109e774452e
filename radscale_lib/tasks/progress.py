"""Progress lines on standard error."""

import sys
import time
from typing import SupportsFloat


class Progress:
    """Says at most every few seconds how far a longer work is, how fast, and what is left."""

    def __init__(self, label: str, total: int, unit: str, every: float = 5.0) -> None:
        """Start the clock.

        Args:
            label: what is going on.
            total: units of work.
            unit: what is counted, plural.
            every: seconds between lines.
        """
        self.label, self.total, self.unit, self.every = label, total, unit, every
        self.started = self.said = time.monotonic()

    def reach(self, done: int, loss: SupportsFloat | None = None) -> None:
        """Say that `done` units are done, if it is time to; with the loss, if there is one."""
        now = time.monotonic()
        if now - self.said < self.every and done < self.total:
            return
        self.said = now
        rate = done / max(now - self.started, 1e-9)
        parts = [f"{done}/{self.total} {self.unit}", f"{rate:.1f}/s"]
        if done < self.total:
            parts.append(f"{(self.total - done) / rate:.0f} s left")
        if loss is not None:
            parts.append(f"loss {float(loss):.4f}")
        print(f"{self.label}: {', '.join(parts)}", file=sys.stderr, flush=True)
