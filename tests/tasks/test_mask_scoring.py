"""Scores of decoders: what an encoder does not see is charged, and what seeds add."""

import json

import numpy as np
import polars as pl
import pytest
import yaml

from radscale_lib.metrics import dice
from radscale_lib.study import parse_study
from radscale_lib.study.encoders.mi2 import Davit, Mi2
from radscale_lib.study.encoders.rad_dino import RadDino, Vit
from radscale_lib.tasks import examples, mask_scoring
from radscale_lib.tasks.masks import TubeMasks, decode_mask, encode_mask
from radscale_lib.tasks.overlap import Masks
from radscale_lib.tasks.segmentation import predictions_schema
from tests.tasks.conftest import STUDY


def study_with(**changes):
    values = yaml.safe_load(yaml.safe_dump(STUDY))
    task = values["evaluation"]["tasks"]["segmentation"]
    task |= {"output_size": 64, "tube_width": 0.04} | changes
    return parse_study(values)


def table_of(study, encoder, films):
    """Predictions of a decoder that finds all that the encoder sees."""
    task = study.evaluation.tasks["segmentation"]
    rows = pl.DataFrame(films)
    masks = TubeMasks(rows, study.labels.tubes, task, encoder)
    table = []
    for image in range(len(rows)):
        true = masks.truth(image).get("ett")
        found = masks.squares[image].back(masks.seen([image])[0, 0]) > 0.5
        table.append(
            {
                "head": "perfect",
                "image_id": f"i{image}",
                "patient_id": f"p{image}",
                "decoder_seed": 0,
                "rows": masks.frames[image].rows,
                "columns": masks.frames[image].columns,
                "pixel_mm": 4.0,
                "true:ett": None if true is None else encode_mask(true),
                "predicted:ett": encode_mask(found),
                "tips:ett": masks.tips(image, "ett"),
            }
        )
    return pl.DataFrame(table, schema=predictions_schema(study, "segmentation"))


def film(*points, height=90, width=64):
    tubes = [{"label": "ett", "points": list(points)}] if points else []
    return {"tubes": json.dumps(tubes), "height": height, "width": width}


def values_of(study, table):
    prepared = mask_scoring.prepare(study, "segmentation", table, None)
    scores = prepared.scores(prepared.draws(study.evaluation))
    return {score.metric: score for score in scores if score.target == "ett"}


def test_an_end_of_a_tube_outside_of_the_centre_crop_is_charged():
    """RAD-DINO sees rows 13 to 77 of 90; MI2 all of them."""
    films = [film([20, 3], [25, 87]), film([40, 2], [30, 60]), film()] * 4
    rad_dino = RadDino(kind="rad-dino", image=Vit(image_size=64, patch=8))
    mi2 = Mi2(kind="mi2", image=Davit(image_size=64))
    missed = study_with()
    whole, cut = (values_of(missed, table_of(missed, each, films)) for each in (mi2, rad_dino))
    for metric in ("dice", "cldice", "surface_dice", "continuity"):
        assert whole[metric].value > 0.9
        assert whole[metric].value - cut[metric].value > 0.05
    assert whole["tip_error"].value < 0.04
    # Half of the tips lie ten rows below what the crop sees.
    assert cut["tip_error"].value == pytest.approx(0.5 * 10 / 64, abs=0.04)
    assert cut["tip_error_mm"].value == pytest.approx(0.5 * 10 * 4, abs=10)
    padded = study_with(unseen="padded")
    seen = values_of(padded, table_of(padded, rad_dino, films))
    for metric in ("dice", "cldice", "surface_dice", "continuity"):
        assert seen[metric].value > 0.85


def test_scores_rest_on_films_with_the_tube_or_without_it():
    study = study_with()
    films = [film([20, 3], [25, 80])] * 3 + [film()] * 6
    found = values_of(study, table_of(study, Mi2(kind="mi2", image=Davit(image_size=64)), films))
    assert {score.cases for score in found.values()} == {9}
    assert found["dice"].positives == 3 and found["dice"].note == "too few"
    assert found["false_tubes"].positives == 6 and found["false_tubes"].note is None
    assert found["false_tubes"].value == 0
    lower, upper = found["false_tubes"].interval(0.95)
    # None of six says little: Clopper and Pearson give 0.46.
    assert lower == 0 and 0.25 < upper < 0.55


def test_an_error_of_tips_is_no_larger_than_it_can_be():
    """Of tubes that are hardly ever found, upper ends are the cap and not above it."""
    study = study_with()
    far = [film([20, 3], [25, 80])] * 6
    table = table_of(study, Mi2(kind="mi2", image=Davit(image_size=64)), far)
    masks = [encode_mask(np.zeros((90, 64), bool))] * 5 + [table["predicted:ett"][5]]
    found = values_of(study, table.with_columns(pl.Series("predicted:ett", masks, pl.Binary)))
    score = found["tip_error"]
    assert 0.15 < score.value < 0.25 and score.interval(0.95)[1] <= 0.25
    assert np.nanmax(score.draws) <= 0.25


def seeded(shares):
    """A table in which each seed of the decoder misses a share of every tube."""
    study = study_with()
    films = [film([20, 3], [25, 80]), film([40, 2], [30, 60])] * 8
    whole = table_of(study, Mi2(kind="mi2", image=Davit(image_size=64)), films)
    tables = []
    for seed, share in enumerate(shares):
        masks = []
        for png in whole["predicted:ett"]:
            mask = decode_mask(png, (90, 64))
            mask[round(90 * (1 - share)) :] = False
            masks.append(encode_mask(mask))
        column = pl.Series("predicted:ett", masks, pl.Binary)
        tables.append(whole.with_columns(column, decoder_seed=pl.lit(seed, pl.Int64)))
    return study, pl.concat(tables)


def test_the_variance_of_seeds_enters_the_interval():
    one = values_of(*seeded([0.3]))["dice"]
    alike = values_of(*seeded([0.3, 0.3, 0.3]))["dice"]
    apart = values_of(*seeded([0.1, 0.3, 0.5]))["dice"]
    assert alike.value == one.value
    assert alike.interval(0.95) == pytest.approx(one.interval(0.95))
    by_seed = [values_of(*seeded([share]))["dice"].value for share in (0.1, 0.3, 0.5)]
    assert apart.value == pytest.approx(np.mean(by_seed))
    lower, upper = apart.interval(0.95)
    error = np.std(by_seed, ddof=1) / np.sqrt(3)
    assert upper - lower > 2 * error
    narrow = alike.interval(0.95)
    assert upper - lower > 2 * (narrow[1] - narrow[0])


def test_errors_of_seeds_have_their_variance_and_go_together_over_tubes():
    values = np.array([[0.2, 0.3, np.nan], [0.4, 0.5, np.nan], [0.3, 0.4, np.nan]])
    errors = mask_scoring.seed_errors(values, 20_000)
    assert errors.std(axis=0)[:2] == pytest.approx(0.1 / np.sqrt(3), rel=0.03)
    assert np.corrcoef(errors[:, :2].T)[0, 1] == pytest.approx(1)
    assert (errors[:, 2] == 0).all()
    assert np.array_equal(errors, mask_scoring.seed_errors(values, 20_000))
    other = mask_scoring.seed_errors(values + 0.01, 20_000)
    assert abs(np.corrcoef(errors[:, 0], other[:, 0])[0, 1]) < 0.05
    assert (mask_scoring.seed_errors(values[:1], 5) == 0).all()


def test_the_same_films_are_shown_of_all_runs():
    """The best, median and worst by mean Dice over runs, in any order of runs."""
    study = study_with()
    films = [film([20 + i % 30, 3], [25, 80 - i % 7]) if i % 10 else film() for i in range(70)]
    whole = table_of(study, Mi2(kind="mi2", image=Davit(image_size=64)), films)
    random = np.random.default_rng(0)
    tables = []
    for _ in range(3):
        masks = []
        for png in whole["predicted:ett"]:
            mask = decode_mask(png, (90, 64))
            mask[random.integers(20, 90) :] = False
            masks.append(encode_mask(mask))
        table = whole.with_columns(pl.Series("predicted:ett", masks, pl.Binary))
        other = whole.with_columns(decoder_seed=pl.lit(1, pl.Int64))
        tables.append(examples.kept(study, "segmentation", pl.concat([table, other])))
    assert all(table["image_id"].equals(tables[0]["image_id"]) for table in tables)
    assert len(tables[0]) == examples.KEPT < sum(png is not None for png in whole["true:ett"])
    assert "patient_id" not in tables[0].columns
    means = tables[0]["dice"] / 3 + tables[1]["dice"] / 3 + tables[2]["dice"] / 3
    by_image = dict(zip(tables[0]["image_id"], means, strict=True))
    found = examples.shown(tables, "perfect")
    assert found == examples.shown(tables[::-1], "perfect")
    values = [by_image[image] for image in found]
    assert values[0] == max(means) and values[2] == min(means)
    assert sum(mean <= values[1] for mean in means) == examples.KEPT // 2
    one = dice.METRIC.of(
        np.array(dice.counts(Masks.of(*pair_of(tables[0], found.best), study_task(study))))
    )
    assert one == tables[0].filter(image_id=found.best)["dice"].item()
    assert examples.shown([tables[0].clear()], "perfect") is None
    assert examples.shown([tables[0].clear(), tables[1]], "perfect") is not None


def pair_of(table, image):
    row = table.row(by_predicate=pl.col("image_id") == image, named=True)
    shape = row["rows"], row["columns"]
    return [decode_mask(row[f"{kind}:ett"], shape) for kind in ("predicted", "true")]


def study_task(study):
    return study.evaluation.tasks["segmentation"]
