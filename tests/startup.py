"""What a step must not load: libraries whose import costs more than a small step's work."""

from collections.abc import Iterable

HEAVY = {"open_clip", "sklearn", "sympy", "timm", "torch._dynamo", "torchvision", "transformers"}
"""Torch's compiler, and what drags it in."""

CODE = """\
import runpy, sys
heavy, *sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
loaded = set(heavy.split()) & set(sys.modules)
assert not loaded, loaded
"""


def run_without(heavy: Iterable[str], arguments: list[str]) -> list[str]:
    """A command line of Python that fails if the script has loaded one of these modules."""
    python, *script = arguments
    return [python, "-c", CODE, " ".join(sorted(heavy)), *script]
