"""A small study on disk: shards, catalog and encoder files of random weights."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from radscale_lib.encoders.storage import EncoderFile, save_encoder
from radscale_lib.encoders.towers import build
from radscale_lib.files import write_json
from radscale_lib.shards import png
from radscale_lib.shards.writer import open_shard
from radscale_lib.study import Study, parse_study

SIDE = 32
STUDY = {
    "name": "small",
    "institution": {"dicom": "dicom", "reports": "r.csv", "labels": "l.csv", "tubes": "t.csv"},
    "public": {"phantom": {"patients": 20}},
    "labels": {"findings": ["effusion", "nodule"], "tubes": ["ett"]},
    "subsets": {"sizes": [10, 20]},
    "disclosure": {"smallest_cell": 1},
    "encoders": {
        "mi2": {
            "kind": "mi2",
            "image": {
                "image_size": SIDE,
                "dims": [8, 16, 16, 24],
                "depths": [1, 1, 1, 1],
                "heads": [1, 1, 2, 2],
                "window": 4,
                "drop_path": 0.0,
            },
            "text": {"context": 16, "width": 16, "layers": 1, "heads": 1, "vocabulary": 300},
            "projection": 16,
        },
        "rad-dino": {
            "kind": "rad-dino",
            "image": {"image_size": SIDE, "patch": 8, "width": 16, "depth": 4, "heads": 2},
            "head": {"hidden": 16, "bottleneck": 8, "prototypes": 16},
        },
    },
    "bases": {
        "mi2-open": {
            "encoder": "mi2",
            "supervision": ["reports"],
            "recipe": {"paradigm": "unicl", "optimiser": {"samples": 8, "batch": 4, "lr": 1e-3}},
        },
        "rad-dino-open": {
            "encoder": "rad-dino",
            "recipe": {
                "paradigm": "dinov2",
                "local_size": 16,
                "optimiser": {"samples": 8, "batch": 4, "lr": 1e-3},
            },
        },
    },
    "arms": {
        "mi2-reports": {
            "encoder": "mi2",
            "supervision": ["reports"],
            "recipe": {"paradigm": "unicl", "optimiser": {"samples": 8, "batch": 4, "lr": 1e-3}},
        },
        "rad-dino": {
            "encoder": "rad-dino",
            "recipe": {
                "paradigm": "dinov2",
                "local_size": 16,
                "optimiser": {"samples": 8, "batch": 4, "lr": 1e-3},
            },
        },
    },
    "evaluation": {
        "resamples": 40,
        "tasks": {
            "findings": {"kind": "classification", "target": "findings"},
            "tubes": {"kind": "classification", "target": "tubes"},
            "segmentation": {
                "kind": "segmentation",
                "heads": {"pyramid": {"kind": "pyramid", "width": 8}},
                "output_size": 32,
                "tube_width": 0.06,
                "decoder": {"steps": 3, "batch": 8, "lr": 1e-2},
            },
            "reports": {
                "kind": "generation",
                "language_model": {"vocabulary": 300, "width": 16, "layers": 1, "heads": 2},
                "visual_tokens": 4,
                "max_tokens": 12,
                "decoder": {"steps": 3, "batch": 8, "lr": 1e-2, "test_images": 20},
            },
        },
    },
    "scaling": {
        "metrics": {
            "findings": "auroc",
            "tubes": "auroc",
            "segmentation": "dice",
            "reports": "lexical_f1",
        }
    },
}


@dataclass(frozen=True)
class Files:
    """A study and its files."""

    study: Study
    study_file: Path
    root: Path

    @property
    def catalog(self) -> Path:
        return self.root / "catalog.parquet"

    @property
    def shards(self) -> Path:
        return self.root / "shards"

    def encoder(self, arm: str) -> Path:
        return self.root / "encoders" / arm / "encoder.safetensors"


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    root = tmp_path_factory.mktemp("tasks")
    study_file = root / "study.yaml"
    study_file.write_text(yaml.safe_dump(STUDY))
    study = parse_study(STUDY)
    made = Files(study, study_file, root)
    _write_images(made)
    for arm in ("mi2-open", "rad-dino-open"):
        _write_encoder(made, arm)
    return made


def _write_encoder(files: Files, arm: str) -> None:
    encoder = files.study.encoders[files.study.encoder_of(arm)]
    torch.manual_seed(3)
    tensors = {f"image.{key}": value for key, value in build(encoder).state_dict().items()}
    save_encoder(files.encoder(arm), EncoderFile(encoder, tensors))
    write_json(files.encoder(arm).with_name("encoder.json"), {"status": "ok"})


def _write_images(files: Files) -> None:
    """60 patients, one or two images each: a bright corner is an effusion, a line a tube."""
    random = np.random.default_rng(5)
    rows = []
    with open_shard(files.shards / "part=0.parquet", files.study.labels, "test") as shard:
        for patient in range(60):
            split = ["train", "train", "test", "validation", "test", "pool"][patient % 6]
            for number in range(1 + patient % 2):
                row = _row(random, patient, number)
                place = shard.append(row)
                rows.append({**row, "shard": "part=0.parquet", "row": place, "split": split})
    table = pl.DataFrame(rows, infer_schema_length=None).drop("image").sort("image_id")
    labels = pl.col("^(finding|tube):.*$").cast(pl.Int8)
    table.with_columns(labels).write_parquet(files.catalog)


def _row(random: np.random.Generator, patient: int, number: int) -> dict[str, object]:
    effusion, nodule, tube = (int(random.random() < share) for share in (0.4, 0.3, 0.5))
    height, width = SIDE + 8, SIDE
    image = random.normal(90, 10, (height, width))
    x = float(random.uniform(8, 24))
    if effusion:
        image[-16:-6, :10] += 90
    if nodule:
        image[8:14, 20:26] += 90
    if tube:
        image[4:30, round(x) - 1 : round(x) + 2] += 70
    points = [[x, 4.0], [x, 30.0]]
    texts = ["Right pleural effusion." if effusion else "No pleural effusion."]
    texts += ["Pulmonary nodule."] * nodule + ["Endotracheal tube in place."] * tube
    return {
        "image_id": f"{patient:02d}{number}{'e' * 29}",
        "study_id": f"{patient:02d}{number}{'d' * 29}",
        "patient_id": f"{patient:02d}{'a' * 30}",
        "image": png.encode(image.clip(0, 255).astype(np.uint8)),
        "height": height,
        "width": width,
        "view": "PA",
        "source_height": height,
        "source_width": width,
        "spacing_mm": 9.0 if patient % 5 else None,
        "p1": 0.0,
        "p50": 90.0,
        "p99": 200.0,
        "findings": " ".join(texts),
        "impression": None,
        "finding:effusion": effusion,
        "finding:nodule": -1 if patient == 7 else None if patient == 8 else nodule,
        "tube:ett": tube,
        "labelled": patient != 9,
        "tubes": None
        if patient == 10
        else json.dumps([{"label": "ett", "points": points}] if tube else []),
    }
