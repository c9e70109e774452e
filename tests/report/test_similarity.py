import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
import yaml

from radscale_lib.encoders.storage import EncoderFile, save_encoder
from radscale_lib.encoders.towers import build
from radscale_lib.report.draw import draw_figures
from radscale_lib.report.examples import texts
from radscale_lib.report.figures import Tables
from radscale_lib.report.schema import (
    FILMS_SCHEMA,
    SIMILARITY_SCHEMA,
    TEXTS_SCHEMA,
    TIPS_SCHEMA,
)
from radscale_lib.report.similarity import choose_tip, cosine_map
from radscale_lib.shards import png
from radscale_lib.shards.writer import open_shard
from radscale_lib.study import parse_study
from radscale_lib.tasks.masks import encode_mask
from scripts import examples, similarity

NOTHING = pl.DataFrame()


@pytest.fixture(scope="module")
def study():
    return parse_study(yaml.safe_load(Path("config/config.yaml").read_text()))


def tube(label, x, y):
    return {"label": label, "points": [[1, 1], [5, 9], [x, y]]}


def write_archive(folder, study, tubes):
    """Images of 80 by 64 with these tubes; the catalog, all of it the test split."""
    rng = np.random.default_rng(0)
    rows = []
    with open_shard(folder / "shards" / "part=0.parquet", study.labels, "stage") as shard:
        for i, of_image in enumerate(tubes):
            image = rng.integers(0, 256, (80, 64), dtype=np.uint8)
            row = {
                "image_id": f"{i:032x}", "study_id": f"{i:032x}", "patient_id": f"{i:032x}",
                "image": png.encode(image), "height": 80, "width": 64, "view": "PA",
                "source_height": 80, "source_width": 64, "p1": 0, "p50": 1, "p99": 2,
                "labelled": False, "tubes": None if of_image is None else json.dumps(of_image),
            }  # fmt: skip
            rows.append(
                row | {"row": shard.append(row), "shard": "part=0.parquet", "split": "test"}
            )
    catalog = pl.DataFrame([{k: v for k, v in row.items() if k != "image"} for row in rows])
    catalog.write_parquet(folder / "catalog.parquet")
    return catalog


def write_encoder(path, study, name, failed=False):
    torch.manual_seed(0)
    section = study.encoders[name]
    tensors = {} if failed else {f"image.{k}": v for k, v in build(section).state_dict().items()}
    save_encoder(path, EncoderFile(section, tensors))


def run(folder, study_file, arm, encoders):
    similarity.main(
        [
            *("--study", str(study_file), "--catalog", str(folder / "catalog.parquet")),
            *("--shards", str(folder / "shards"), "--arm", arm, "--sizes", "50", "1200"),
            *("--encoders", *map(str, encoders), "--out", str(folder / f"{arm}.parquet")),
            *("--tips", str(folder / f"{arm}.tips.parquet")),
        ]
    )
    return pl.read_parquet(folder / f"{arm}.parquet")


@pytest.mark.parametrize(
    ("arm", "encoder", "sides"),
    [("mi2-reports", "mi2", (16, 8, 4, 2)), ("rad-dino", "rad-dino", (8, 8, 8, 8))],
)
def test_maps_of_four_levels_and_two_sizes(tmp_path, study, arm, encoder, sides):
    write_archive(tmp_path, study, [None, [], [tube("ett", 30, 40)], [tube("chest_tube", 20, 50)]])
    write_encoder(tmp_path / "e.safetensors", study, encoder)
    table = run(tmp_path, "config/config.yaml", arm, [tmp_path / "e.safetensors"] * 2)
    assert table.schema == SIMILARITY_SCHEMA
    assert table["level"].to_list() == [None, 1, 2, 3, 4, 1, 2, 3, 4]
    assert table["size"].to_list() == [None] + [50] * 4 + [1200] * 4
    assert table["height"][1:5].to_list() == list(sides)
    assert set(table["label"]) == {"chest_tube"}
    picture = table.row(0, named=True)
    assert len(picture["image"]) == picture["height"] * picture["width"] == 64 * 64
    for row in table.filter(pl.col("level").is_not_null()).iter_rows(named=True):
        values = np.array(row["similarity"]).reshape(row["height"], row["width"])
        assert np.abs(values).max() <= 1
        cell = values[int(row["tip_y"] * row["height"]), int(row["tip_x"] * row["width"])]
        assert cell == pytest.approx(1, abs=1e-5)
    draw_figures(study, Tables(*[NOTHING] * 5, similarity=[table]), tmp_path, ["similarity"])
    assert (tmp_path / "figures" / f"similarity-{arm}.png").exists()


def test_failed_runs_leave_gaps(tmp_path, study):
    write_archive(tmp_path, study, [[tube("chest_tube", 20, 50)]])
    write_encoder(tmp_path / "ok.safetensors", study, "rad-dino")
    write_encoder(tmp_path / "failed.safetensors", study, "rad-dino", failed=True)
    encoders = [tmp_path / "failed.safetensors", tmp_path / "ok.safetensors"]
    table = run(tmp_path, "config/config.yaml", "rad-dino", encoders)
    assert set(table["size"].drop_nulls()) == {1200}
    draw_figures(study, Tables(*[NOTHING] * 5, similarity=[table]), tmp_path, ["similarity"])
    assert (tmp_path / "figures" / "similarity-rad-dino.svg").exists()


def test_without_tubes_the_table_is_empty(tmp_path, study):
    write_archive(tmp_path, study, [None, []])
    write_encoder(tmp_path / "e.safetensors", study, "mi2")
    table = run(tmp_path, "config/config.yaml", "mi2-reports", [tmp_path / "e.safetensors"] * 2)
    assert table.schema == SIMILARITY_SCHEMA
    assert not len(table)


def test_a_chest_tube_of_the_test_split_that_every_encoder_sees_is_chosen(tmp_path, study):
    # RAD-DINO's crop of an 80 by 64 image leaves out its first and last eight rows.
    tubes = [[tube("ett", 30, 40)], [tube("chest_tube", 20, 3)], [tube("chest_tube", 40, 30)]]
    catalog = write_archive(tmp_path, study, tubes)
    tip = choose_tip(study, catalog)
    assert (tip.row, tip.label, tip.x, tip.y) == (2, "chest_tube", 40, 30)
    assert choose_tip(study, catalog.head(2)).label == "ett"
    assert choose_tip(study, catalog.with_columns(split=pl.lit("train"))) is None
    assert choose_tip(study, catalog.reverse()) == tip


def test_cosine_map_by_hand():
    features = torch.tensor([[[1.0, 0.0], [-2.0, 3.0]], [[0.0, 2.0], [0.0, 3.0]]])
    found = cosine_map(features, 0.1, 0.2)
    np.testing.assert_allclose(found, [[1, 0], [-1, 2**-0.5]], atol=1e-6)


@pytest.mark.parametrize(("arm", "encoder"), [("mi2-reports", "mi2"), ("rad-dino", "rad-dino")])
def test_a_tip_that_training_films_show_is_found(tmp_path, study, arm, encoder):
    """A film that is in both splits is like itself: its tip is found at every fine enough layer."""
    tubes = [[tube("chest_tube", 20, 50)], [tube("chest_tube", 45, 20), tube("ett", 30, 40)]]
    test = write_archive(tmp_path, study, tubes)
    train = test.head(1).with_columns(
        split=pl.lit("train"), image_id=pl.lit("f" * 32), patient_id=pl.lit("f" * 32)
    )
    pl.concat([test, train]).write_parquet(tmp_path / "catalog.parquet")
    write_encoder(tmp_path / "e.safetensors", study, encoder)
    run(tmp_path, "config/config.yaml", arm, [tmp_path / "e.safetensors"] * 2)
    table = pl.read_parquet(tmp_path / f"{arm}.tips.parquet")
    assert table.schema == TIPS_SCHEMA
    every = table.filter(label="all", size=50)
    assert every["level"].to_list() == [1, 2, 3, 4]
    # No training film shows a tube called ett: nothing is said of it.
    assert set(every["tips"]) == {2} and set(every["patients"]) == {2}
    assert set(table["label"]) == {"all", "chest_tube"}
    assert every["by_place"].to_list() == [0.5] * 4
    assert every["found"][0] >= 0.5
    assert (every["lower"] <= every["found"]).all() and (every["found"] <= every["upper"]).all()
    alone = pl.concat([test.head(1), train])
    alone.write_parquet(tmp_path / "catalog.parquet")
    run(tmp_path, "config/config.yaml", arm, [tmp_path / "e.safetensors"] * 2)
    sure = pl.read_parquet(tmp_path / f"{arm}.tips.parquet").filter(label="all", level=1)
    assert sure["found"].to_list() == [1.0, 1.0] and (sure["error"] < 0.1).all()
    # One tip that was found does not make it sure that all would be.
    assert (sure["lower"] < 0.9).all() and (sure["upper"] == 1).all()


def test_without_training_tips_nothing_is_looked_for(tmp_path, study):
    write_archive(tmp_path, study, [[tube("chest_tube", 20, 50)]])
    write_encoder(tmp_path / "e.safetensors", study, "mi2")
    run(tmp_path, "config/config.yaml", "mi2-reports", [tmp_path / "e.safetensors"] * 2)
    assert pl.read_parquet(tmp_path / "mi2-reports.tips.parquet").is_empty()


def test_masks_of_the_same_films_are_shown_of_every_run(tmp_path, study):
    """The best, the median and the worst by mean Dice, with their pixels in the masks' frame."""
    catalog = write_archive(tmp_path, study, [[]] * 4)
    tubes = {
        f"{kind}:{name}": None for name in study.labels.tubes for kind in ("true", "predicted")
    }
    mask = encode_mask(np.eye(80, 64, dtype=bool))
    runs = {("mi2-open", 0): (0.1, 0.2, 0.3, 0.9), ("mi2-reports", 50): (0.2, 0.3, 0.1, 0.8)}
    for (arm, size), dice in runs.items():
        head = {"arm": arm, "size": size, "seed": 0, "head": study.head_of("segmentation")}
        rows = [
            head | {"image_id": image, "rows": 40, "columns": 32, "dice": value} | tubes
            | {"true:ett": mask}
            for image, value in zip(catalog["image_id"], dice, strict=True)
        ]  # fmt: skip
        pl.DataFrame(rows, infer_schema_length=None).write_parquet(tmp_path / f"{arm}.parquet")
    failed = tmp_path / "failed.parquet"
    pl.DataFrame({"arm": ["rad-dino"], "size": [50]}).clear().write_parquet(failed)
    tables = [*(tmp_path / f"{arm}.parquet" for arm, _ in runs), failed]
    examples.main(
        [
            *("--study", "config/config.yaml", "--catalog", str(tmp_path / "catalog.parquet")),
            *("--shards", str(tmp_path / "shards"), "--task", "segmentation"),
            *("--tables", *map(str, tables), "--out", str(tmp_path / "films.parquet")),
        ]
    )
    films = pl.read_parquet(tmp_path / "films.parquet")
    assert films.schema == FILMS_SCHEMA
    pictures = films.filter(pl.col("arm").is_null())
    assert pictures["rank"].to_list() == ["best", "median", "worst"]
    assert set(pictures["image"].list.len()) == {40 * 32}
    dice = films.filter(tube="ett").select("rank", "arm", "dice").rows()
    assert dice[:2] == [("best", "mi2-open", 0.9), ("best", "mi2-reports", 0.8)]
    assert dice[-2:] == [("worst", "mi2-open", 0.1), ("worst", "mi2-reports", 0.2)]
    assert set(films.filter(tube="ett")["true"]) == {mask}


def test_labels_that_reports_and_references_affirm_are_told_apart(study):
    head = study.head_of("reports")
    table = pl.DataFrame(
        {
            "arm": ["mi2-reports"] * 3, "size": [50] * 3, "head": [head] * 3,
            "image_id": ["a", "b", "c"], "rouge_l": [0.9, 0.1, 0.5],
            "reference": ["Pleural effusion. Cardiomegaly.", "No effusion.", "Normal."],
            "generated": ["Pleural effusion. Pneumothorax.", "Effusion.", "Normal."],
        }
    )  # fmt: skip
    found = texts(study, "reports", [table, table.clear()])
    assert found.schema == TEXTS_SCHEMA
    assert found["rank"].to_list() == ["best", "median", "worst"]
    best, _, worst = found.rows(named=True)
    assert (best["both"], best["missed"], best["invented"]) == (
        ["effusion"], ["cardiomegaly"], ["pneumothorax"],
    )  # fmt: skip
    assert (worst["both"], worst["missed"], worst["invented"]) == ([], [], ["effusion"])
