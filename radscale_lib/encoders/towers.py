"""Building image towers from the study's sections."""

from radscale_lib.encoders.features import Tower
from radscale_lib.study.encoders import Mi2, RadDino


def build(encoder: Mi2 | RadDino) -> Tower:
    """An image tower with random weights (from torch's default generator)."""
    if isinstance(encoder, Mi2):
        from radscale_lib.encoders.davit import DavitTower

        return DavitTower(encoder)
    from radscale_lib.encoders.vit import VitTower

    return VitTower(encoder)
