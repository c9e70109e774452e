"""Set up the numerical libraries for reproducible results."""

import os
import sys

from threadpoolctl import threadpool_limits


def set_up_libraries(threads: int, device: str) -> None:
    """Limit the threads of the numerical libraries in use, and make GPU results reproducible."""
    threadpool_limits(threads)
    if torch := sys.modules.get("torch"):
        torch.set_num_threads(threads)
        if device == "cuda":
            os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
            torch.set_deterministic_debug_mode("warn")  # loads no compiler, as its other name does
