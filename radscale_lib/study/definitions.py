"""Definitions of labels, one sentence each, for persons and models."""

import re

DEFINITIONS = {
    "cardiomegaly": "The heart is enlarged on this film.",
    "enlarged cardiomediastinum": "The mediastinum or its silhouette is widened.",
    "effusion": "There is fluid, pus or blood in a pleural space; the pericardium is not meant.",
    "pneumothorax": "There is air in a pleural space, of any size; air under skin is not meant.",
    "consolidation": "Airspaces are filled: a consolidation or an airspace opacity.",
    "pneumonia": "The report states an infection of the lung.",
    "infiltration": "There is an infiltrate.",
    "nodule": "There is a nodule or a round opacity of at most 3 cm in a lung.",
    "mass": "There is a mass of more than 3 cm in a lung or the mediastinum.",
    "lung lesion": "There is a nodule, a mass or another focal lesion of a lung.",
    "lung opacity": "There is an opacity of a lung, of whatever cause.",
    "edema": "There is pulmonary edema or congestion; edema of soft tissues is not meant.",
    "atelectasis": "A part of a lung is collapsed or has lost volume.",
    "fracture": "A bone is or was broken, healed or not.",
    "pleural thickening": "The pleura is thickened.",
    "pleural other": "The pleura has a change other than fluid or air.",
    "fibrosis": "There is scarring of the lung's tissue.",
    "emphysema": "The lungs have emphysema or are hyperinflated; air under the skin is not meant.",
    "hernia": "There is a hernia of the diaphragm or hiatus.",
    "ett": "An endotracheal tube is in place on this film; one that was removed is absent.",
    "tracheostomy": "A tracheostomy tube is in place on this film.",
    "ngt": "A tube through nose or mouth towards the stomach is in place on this film.",
    "cvc": "A central venous catheter, a PICC or a port is in place on this film.",
    "swan ganz": "A pulmonary artery catheter is in place on this film.",
    "chest tube": "A drain of a pleural space is in place on this film.",
    "pacemaker": "A pacemaker or an implanted defibrillator is in place.",
    "support devices": "Any tube, line, drain or implanted device is in place on this film.",
}  # fmt: skip
"""Definition of each label that has an entry in the phrases of reports."""

CLASSES = {
    "normal": "its tip lies where it should",
    "borderline": "its tip lies at the border of where it should, without need to act",
    "abnormal": "its tip lies where it should not, so that it must be moved",
    "incomplete": "its tip is not on the film",
    "incompletely imaged": "its tip is not on the film",
}
"""Definitions of the classes of a tube's position."""


def default_definition(label: str) -> str | None:
    """The definition of a known label, or of a tube position such as `ett_abnormal`; else None."""
    name = re.sub(r"[_\-\s]+", " ", label.lower()).strip()
    if name in DEFINITIONS:
        return DEFINITIONS[name]
    for of_class, said in CLASSES.items():
        tube = name.removesuffix(f" {of_class}")
        if tube != name and tube in DEFINITIONS:
            return f"{DEFINITIONS[tube].split(';')[0].rstrip('.')}, and {said}."
    return None
