"""Schedules over a run's steps: the value at each step from 0 to `steps - 1`."""

import math


def warmup_cosine(step: int, steps: int, warmup: float) -> float:
    """Share of the peak: a linear rise over the first share of the steps, then a cosine to 0."""
    rising = round(warmup * steps)
    if step < rising:
        return (step + 1) / rising
    return 0.5 * (1 + math.cos(math.pi * (step - rising) / max(steps - rising, 1)))


def cosine(step: int, steps: int, first: float, last: float) -> float:
    """From `first` to `last` along half a cosine."""
    return last + 0.5 * (first - last) * (1 + math.cos(math.pi * step / max(steps - 1, 1)))


def linear(step: int, steps: int, first: float, last: float) -> float:
    """From `first` to `last` over `steps` steps, `last` afterwards."""
    return last if step >= steps else first + (last - first) * step / steps
