"""Encoders: image and text towers, their files, and how images are prepared for them."""

from typing import Any

__all__ = ["load"]


def __getattr__(name: str) -> Any:
    """Import torch only when an encoder is requested."""
    if name == "load":
        from radscale_lib.encoders.loading import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
