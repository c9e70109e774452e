"""A small archive of shards, catalog and subset, written as the data contracts say."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import yaml

from radscale_lib.shards.png import encode
from radscale_lib.shards.ranges import write_ranges
from radscale_lib.shards.writer import open_shard
from radscale_lib.study import Study, parse_study

STUDY = """
name: tiny
institution:
  phantom: {patients: 200, seed: 1, pixels: 64}
  image: {shorter_side: 32}
public:
  phantom: {patients: 20, seed: 2, site: public, pixels: 64}
labels: {findings: [cardiomegaly, effusion], tubes: [ett]}
subsets: {sizes: [20, 40]}
encoders:
  mi2:
    kind: mi2
    image: {image_size: 32, dims: [8, 16, 16, 32], depths: [1, 1, 1, 1], heads: [1, 2, 2, 4],
            window: 4, drop_path: 0.1}
    text: {context: 32, width: 16, layers: 1, heads: 2, vocabulary: 300}
    projection: 16
  rad-dino:
    kind: rad-dino
    image: {image_size: 32, patch: 8, width: 16, depth: 4, heads: 2, drop_path: 0.2,
            layer_scale: 0.1}
    head: {hidden: 32, bottleneck: 16, prototypes: 64}
bases:
  mi2-open:
    encoder: mi2
    supervision: [reports, labels]
    recipe: &unicl
      paradigm: unicl
      ema: 0.9
      optimiser: {samples: 96, batch: 8, lr: 1e-3}
  rad-dino-open:
    encoder: rad-dino
    recipe: &dinov2
      paradigm: dinov2
      local_crops: 2
      local_size: 16
      optimiser: {samples: 96, batch: 8, lr: 1e-3}
arms:
  mi2-reports: {encoder: mi2, supervision: [reports], recipe: *unicl}
  mi2-both: {encoder: mi2, supervision: [reports, labels], recipe: *unicl}
  rad-dino: {encoder: rad-dino, recipe: *dinov2}
  mi2-siglip:
    encoder: mi2
    supervision: [reports, labels]
    recipe: {<<: *unicl, loss: siglip}
  labels:
    encoder: rad-dino
    supervision: [labels]
    recipe:
      paradigm: supervised
      ema: 0.9
      optimiser: {samples: 96, batch: 8, lr: 1e-3}
evaluation: {floors: true, tasks: {findings: {kind: classification, target: findings}}}
scaling: {metrics: {findings: auroc}}
"""


@dataclass(frozen=True)
class Archive:
    """Files that pretraining reads."""

    study_file: Path
    study: Study
    catalog: Path
    shards: Path
    ranges: Path
    subset: Path


def row(rng: np.random.Generator, number: int) -> dict[str, Any]:
    """A made-up row: bright discs for positive labels, and a report that names them."""
    height, width = 32, int(rng.integers(32, 40))
    present = rng.random(3) < 0.3
    image = rng.normal(90, 12, (height, width))
    for place in np.flatnonzero(present):
        image[8 * place + 2 : 8 * place + 8, 10:22] += 90
    names = [
        n for n, here in zip(("cardiomegaly", "effusion", "ETT"), present, strict=True) if here
    ]
    return {
        "image_id": f"{number:032x}",
        "study_id": f"{number // 2:032x}",
        "patient_id": f"{number // 3:032x}",
        "image": encode(np.clip(image, 0, 255).astype(np.uint8)),
        "height": height,
        "width": width,
        "view": str(rng.choice(["PA", "AP"])),
        "source_height": height,
        "source_width": width,
        "spacing_mm": None,
        "p1": 1.0,
        "p50": 90.0,
        "p99": 200.0,
        "findings": f"There is {' and '.join(names) or 'no abnormality'} on study {number // 2}.",
        "impression": None if number % 5 == 0 else f"{', '.join(names) or 'Normal'}.",
        "finding:cardiomegaly": int(present[0]),
        "finding:effusion": -1 if number % 7 == 0 else int(present[1]),
        "tube:ett": int(present[2]) or None,
        "labelled": number % 4 != 0,
        "tubes": None,
    }


def write_archive(
    folder: Path, study: dict[str, Any], images: int = 60, subset: int = 20
) -> Archive:
    """Write two shards, their catalog, a subset and the study file."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    checked = parse_study(study)
    rows = [row(rng, number) for number in range(images)]
    shards = folder / "shards"
    for part in range(2):
        with open_shard(shards / f"part={part}.parquet", checked.labels, "stage") as shard:
            for values in rows[part::2]:
                shard.append(values)
    tables = [
        pl.read_parquet(shards / f"part={part}.parquet")
        .drop("image")
        .with_columns(shard=pl.lit(f"part={part}.parquet"), split=pl.lit("pool"))
        .with_row_index("row")
        for part in range(2)
    ]
    catalog = pl.concat(tables).sort("image_id")
    catalog.write_parquet(folder / "catalog.parquet")
    order = catalog.sample(subset, shuffle=True, seed=1).select("image_id", "digest")
    order.with_row_index("rank").write_parquet(folder / "subset.parquet")
    ranges = folder / "ranges.arrow"
    write_ranges(shards, [f"part={part}.parquet" for part in range(2)], ranges)
    study_file = folder / "study.yaml"
    study_file.write_text(yaml.safe_dump(study))
    return Archive(
        study_file, checked, folder / "catalog.parquet", shards, ranges, folder / "subset.parquet"
    )
