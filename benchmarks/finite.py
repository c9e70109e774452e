"""Measure how much of a forward pass the check that features are finite takes, interleaved.

For each encoder of a study, with random weights, on one core of the CPU: processor time of ways to
find a number that is not finite, as shares of that of the forward pass. The first way is the one in
use. The published encoders are those of `--study config/paper.yaml` (with `--images 1 --turns 3`).
"""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import Tensor

from radscale_lib.encoders.towers import build
from radscale_lib.study import load_study
from radscale_lib.tasks.frozen import LARGEST, all_finite


def sums(parts: Sequence[Tensor]) -> bool:
    """By sums in float32, as on a GPU."""
    found = [part.sum(dtype=torch.float32) for part in parts]
    return bool(torch.stack(found).isfinite().all())


def bits(parts: Sequence[Tensor]) -> bool:
    """By the largest bits without sign, by torch."""
    return all(int((part.view(torch.int16) & 0x7FFF).max()) <= LARGEST for part in parts)


WAYS = {"in use": all_finite, "sums in float32": sums, "bits without sign, by torch": bits}


def main(argv: Sequence[str] | None = None) -> None:
    """Time the ways in turns with the forward pass, and print a row of each encoder."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, default=Path("config/config.yaml"))
    parser.add_argument("--images", type=int, default=64, help="of a batch")
    parser.add_argument("--turns", type=int, default=9)
    args = parser.parse_args(argv)
    torch.set_num_threads(1)
    random = np.random.default_rng(0)
    for name, encoder in load_study(args.study).encoders.items():
        tower = build(encoder).eval()
        shape = (args.images, encoder.image_size, encoder.image_size)
        images = tower.prepare(list(random.integers(0, 255, shape).astype(np.uint8)))
        seconds: dict[str, list[float]] = {"forward pass": [], **{way: [] for way in WAYS}}
        with torch.no_grad():
            for _ in range(args.turns + 1):  # the first one warms up
                start = time.process_time()
                features = tower.levels(images)
                parts = [part.half() for part in (*features.levels, features.global_)]
                seconds["forward pass"].append(time.process_time() - start)
                for way, finite in WAYS.items():
                    start = time.process_time()
                    if not finite(parts):
                        raise SystemExit(f"{name}: {way}: features are not finite")
                    seconds[way].append(time.process_time() - start)
        forward, *checks = (median(taken[1:]) for taken in seconds.values())
        shares = zip(WAYS, checks, strict=True)
        print(
            f"{name}: forward pass {1e3 * forward:.1f} ms; "
            + ", ".join(f"{way} {100 * taken / forward:.2f} %" for way, taken in shares)
        )


if __name__ == "__main__":
    main()
