"""Build image towers from the study's sections."""

from importlib import import_module

from radscale_lib.encoders.features import Tower
from radscale_lib.study.encoders import EncoderSection


def build(encoder: EncoderSection) -> Tower:
    """An image tower with random weights (from torch's default generator)."""
    tower: Tower = import_module(encoder.implementation).build_tower(encoder)
    return tower
