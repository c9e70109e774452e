"""Settings of all tests: one thread each, and property tests that are the same in every run."""

import os

os.environ["OMP_NUM_THREADS"] = "1"
os.environ["POLARS_MAX_THREADS"] = "1"

from hypothesis import settings

settings.register_profile("radscale", deadline=None, derandomize=True)
settings.load_profile("radscale")
