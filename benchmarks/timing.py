"""Processor time of several ways to do the same work, interleaved in one run."""

import time
from collections.abc import Callable
from typing import Any


def fastest(ways: dict[str, Callable[..., Any]], rounds: int, *args: Any) -> dict[str, float]:
    """Smallest processor time of each way, called with `args`; rounds interleaved, seconds."""
    seconds = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, way in ways.items():
            start = time.process_time()
            way(*args)
            seconds[name] = min(seconds[name], time.process_time() - start)
    return seconds
