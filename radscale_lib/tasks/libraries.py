"""The numerical libraries, set up for results that are the same in every run."""

import os
import sys

from threadpoolctl import threadpool_limits


def set_up_libraries(threads: int, device: str) -> None:
    """Bound the threads of the numerical libraries that are in use; equal results on a GPU too."""
    threadpool_limits(threads)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
        if device == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.set_deterministic_debug_mode("warn")  # loads no compiler, as its other name does
