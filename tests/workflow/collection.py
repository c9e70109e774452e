"""A synthetic collection in the form of VinDr-CXR, and a study tested on it."""

import csv
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import yaml

from tests.workflow.checkout import ROOT, SMOKE, Checkout

ELSEWHERE = "config/elsewhere.yaml"
"""The study file that `prepare_elsewhere` writes."""

FINDINGS = (
    "Aortic enlargement", "Atelectasis", "Calcification", "Cardiomegaly", "Clavicle fracture",
    "Consolidation", "Edema", "Emphysema", "Enlarged PA", "ILD", "Infiltration", "Lung Opacity",
    "Lung cavity", "Lung cyst", "Mediastinal shift", "Nodule/Mass", "Pleural effusion",
    "Pleural thickening", "Pneumothorax", "Pulmonary fibrosis", "Rib fracture", "Other lesion",
    "COPD", "Lung tumor", "Pneumonia", "Tuberculosis", "Other diseases", "No finding",
)  # fmt: skip
"""Columns of image_labels_test.csv (Nguyen et al. 2022)."""


def write_vindr(folder: Path, films: int) -> None:
    """Write `folder`/test/*.png and `folder`/image_labels_test.csv."""
    rng = np.random.default_rng(0)
    (folder / "test").mkdir(parents=True)
    with (folder / "image_labels_test.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["image_id", *FINDINGS])
        for number in range(films):
            pixels = cv2.GaussianBlur(rng.integers(0, 255, (80, 72), np.uint8), (9, 9), 0)
            cv2.imwrite(str(folder / "test" / f"{number:032x}.png"), pixels)
            rows.writerow([f"{number:032x}", *rng.integers(0, 2, len(FINDINGS))])


def prepare_elsewhere(checkout: Checkout) -> None:
    """Import a collection and write its key, by the command line, and the study that names them."""
    write_vindr(checkout.folder / "published", films=40)
    checkout.radscale(
        *("import-images", "vindr", "--out", "vindr"),
        *("--images", "published/test", "--table", "published/image_labels_test.csv"),
    )
    checkout.radscale("key", "new", "vindr.key")
    smoke = json.loads(json.dumps(yaml.safe_load((ROOT / SMOKE).read_text())))
    besides = yaml.safe_load((Path(__file__).parent / "elsewhere.yaml").read_text())
    checkout.study_file.write_text(yaml.safe_dump(_merged(smoke, besides), sort_keys=False))


def _merged(values: dict[str, Any], others: dict[str, Any]) -> dict[str, Any]:
    """Nested mappings, merged as Snakemake merges several study files."""
    both = dict(values)
    for key, value in others.items():
        mine = both.get(key)
        nested = isinstance(value, dict) and isinstance(mine, dict)
        both[key] = _merged(mine, value) if nested else value
    return both
