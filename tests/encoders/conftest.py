"""Small encoder sections."""

import pytest
import torch

from radscale_lib.study.encoders.mi2 import Mi2
from radscale_lib.study.encoders.rad_dino import RadDino

torch.set_num_threads(1)


@pytest.fixture
def mi2() -> Mi2:
    return Mi2.model_validate(
        {
            "kind": "mi2",
            "image": {
                "image_size": 48,
                "dims": [8, 16, 16, 32],
                "depths": [1, 1, 2, 1],
                "heads": [1, 2, 2, 4],
                "window": 5,
            },
            "text": {"context": 16, "width": 16, "layers": 2, "heads": 2, "vocabulary": 300},
            "projection": 12,
        }
    )


@pytest.fixture
def rad_dino() -> RadDino:
    return RadDino.model_validate(
        {
            "kind": "rad-dino",
            "image": {
                "image_size": 32,
                "patch": 8,
                "width": 16,
                "depth": 8,
                "heads": 2,
                "layer_scale": 0.5,
            },
            "head": {"hidden": 24, "bottleneck": 8, "prototypes": 40},
        }
    )
