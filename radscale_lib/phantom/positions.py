"""Positions of tubes, in the classes of RANZCR CLiP (Tang et al. 2021)."""

from collections.abc import Collection
from typing import Literal

from radscale_lib.phantom.population import Study, Tube

POSITIONS = (
    *("ett_normal", "ett_borderline", "ett_abnormal"),
    *("ngt_normal", "ngt_borderline", "ngt_abnormal", "ngt_incomplete"),
    *("cvc_normal", "cvc_borderline", "cvc_abnormal"),
)
"""Label columns of positions; `incomplete` is a tube that may continue beyond every film."""

DEEP = 0.3
"""A stomach tube less deep than this, or a venous catheter deeper than 1 − this within the
cavoatrial junction, is borderline."""

Class = Literal["normal", "borderline", "abnormal"]


def write_positions(study: Study, unseen: Collection[str]) -> dict[str, int]:
    """The position classes of a study: 1 if a tube is in the class, else 0.

    Args:
        study: the study.
        unseen: tubes whose end no frontal film shows.
    """
    found = {
        f"{name}_{'incomplete' if name == 'ngt' and name in unseen else class_of(name, tube)}"
        for name, tube in study.tubes.items()
        if name != "chest_tube"
    }
    return {name: int(name in found) for name in POSITIONS}


def class_of(name: str, tube: Tube) -> Class:
    """The position class of a tube.

    An endotracheal tube that is too high is borderline, one in a bronchus abnormal; a stomach tube
    that ends in the oesophagus is abnormal, one just below the diaphragm borderline; a venous
    catheter in the atrium is abnormal, one deep in the junction borderline.
    """
    match name, tube.tip:
        case ("ett", "bronchus") | ("ngt", "oesophagus") | ("cvc", "atrium"):
            return "abnormal"
        case "ett", "high":
            return "borderline"
        case "ngt", _ if tube.depth < DEEP:
            return "borderline"
        case "cvc", "junction" if tube.depth > 1 - DEEP:
            return "borderline"
    return "normal"
