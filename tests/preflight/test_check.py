"""Preflight: each problem is found before anything starts, by reading headers only."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

from radscale_lib.encoders.text import ClipTokenizer
from radscale_lib.files import write_json
from radscale_lib.planning.identity import components, stage_id
from radscale_lib.preflight import archives
from radscale_lib.preflight.check import findings
from radscale_lib.pretrain.dinov2 import build_model
from radscale_lib.provenance.manifest import (
    DONE,
    Manifest,
    components_file,
    path_of,
    write_manifest,
)
from radscale_lib.pseudonyms import key_fingerprint
from radscale_lib.study import parse_study
from radscale_lib.study.model import Study
from scripts import check
from tests.archive.conftest import write_dicom
from tests.encoders.test_release import medimageinsight

KEY = "a key of this test's own, 0123456789"


@pytest.fixture
def values(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A study of a small real archive, sound in every respect."""
    monkeypatch.setenv("RADSCALE_KEY", KEY)
    folder = tmp_path / "archive"
    (folder / "deep").mkdir(parents=True)
    pixels = np.arange(80 * 80, dtype=np.uint16).reshape(80, 80)
    for number in range(6):
        write_dicom(folder / "deep" / f"{number}.dcm", pixels, number)
    study: dict[str, Any] = json.loads(
        json.dumps(yaml.safe_load(Path("config/smoke.yaml").read_text()))
    )
    labels = ",".join(study["labels"]["findings"] + study["labels"]["tubes"])
    for name, header, row in (
        ("reports", "accession_number,findings", "ACC0,Clear."),
        ("labels", f"accession_number,{labels}", "ACC0,0,0,0,0"),
        ("tubes", "sop_instance_uid,label,data", "1.2.3.4.0,,"),
    ):
        (tmp_path / f"{name}.csv").write_text(f"{header}\n{row}\n")
    study["institution"] = {
        "dicom": str(folder),
        "image": {"shorter_side": 32},
        **{name: str(tmp_path / f"{name}.csv") for name in ("reports", "labels", "tubes")},
    }
    study["results"] = str(tmp_path / "results")
    return study


def found(values: dict[str, Any]) -> list[str]:
    return [finding.text for finding in findings(parse_study(values)) if finding.stops]


def test_a_sound_study_has_no_problem_and_nothing_is_written(
    values: dict[str, Any], tmp_path: Path
) -> None:
    before = sorted(tmp_path.rglob("*"))
    assert found(values) == []
    assert sorted(tmp_path.rglob("*")) == before


def test_every_problem_is_in_one_list(values: dict[str, Any], tmp_path: Path) -> None:
    values["institution"]["reports"] = str(tmp_path / "missing.csv")
    values["arms"]["rad-dino"]["recipe"]["optimiser"]["passes"] = 16
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    with pytest.raises(SystemExit) as raised:
        check.main(["--study", str(path)])
    said = str(raised.value)
    assert said.startswith("study smoke: 2 problems, so nothing was started:")
    assert "institution.reports: no file" in said
    assert "arms.rad-dino.recipe.optimiser.passes: 16 passes leave 1 image" in said


@pytest.mark.parametrize(
    ("public", "how"),
    [
        ("archive/deep/..", "is the institution's folder too"),
        ("link", "is the institution's folder too"),
        ("archive/deep", "lies in the institution's folder"),
        (".", "holds the institution's folder"),
    ],
)
def test_archives_are_compared_by_their_real_paths(
    values: dict[str, Any], tmp_path: Path, public: str, how: str
) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "archive")
    values["public"] = values["institution"] | {"dicom": str(tmp_path / public)}
    assert any(how in problem for problem in found(values))


def test_an_archive_of_which_nothing_is_selected(values: dict[str, Any]) -> None:
    values["institution"]["select"] = {"views": ["LL"]}
    [problem] = found(values)
    assert problem.startswith(
        "institution.select: none of 6 files looked at is accepted (view (PA) 6)"
    )


def test_an_empty_folder(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    values["institution"]["dicom"] = str(tmp_path / "empty")
    [problem] = found(values)
    assert problem.startswith("institution.dicom: no file in")


def test_the_sample_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(300):
        (tmp_path / f"{number}").touch()
    assert len(archives.sample(tmp_path, tmp_path / "none")) == archives.MOST_HEADERS
    listing = tmp_path / "listing"
    listing.mkdir()
    for part in range(2):
        lines = [f"{part}/{number}\t1\t1\n" for number in range(300)]
        (listing / f"part={part}.tsv").write_text("".join(lines))
    paths = archives.sample(tmp_path, listing)
    assert len(paths) == archives.MOST_HEADERS
    assert {path.parent.name for path in paths} == {"0", "1"}


@pytest.fixture
def released(values: dict[str, Any], tmp_path: Path) -> Path:
    """Weights in MedImageInsight's layout; the study names them."""
    encoder = values["encoders"]["mi2"]
    encoder["text"].pop("vocabulary")
    encoder["weights"] = str(tmp_path / "released.safetensors")
    del values["bases"]["mi2-open"]
    section = parse_study(values).encoders["mi2"]
    tokens = ClipTokenizer(section.text.context).size
    save_file(medimageinsight(section, tokens), encoder["weights"])
    return Path(encoder["weights"])


def test_sound_weights_pass(values: dict[str, Any], released: Path) -> None:
    assert found(values) == []


@pytest.mark.parametrize("kind", ["shape", "missing", "dtype", "nan", "damaged"])
def test_weights_are_judged_by_their_headers(
    values: dict[str, Any], released: Path, kind: str
) -> None:
    tensors = load_file(released)
    name = "lang_encoder.ln_final.weight"
    if kind == "shape":
        tensors[name] = torch.zeros(3)
    elif kind == "missing":
        del tensors[name]
    elif kind == "dtype":
        tensors[name] = tensors[name].int()
    elif kind == "nan":
        name = "logit_scale"
        tensors[name] = torch.tensor(float("nan"))
    save_file(tensors, released)
    if kind == "damaged":
        released.write_bytes(released.read_bytes()[:1000])
        name = "not a safetensors file"
    [problem] = found(values)
    assert problem.startswith(f"encoders.mi2.weights: {released}: ")
    assert name in problem or name.removeprefix("lang_encoder.") in problem


def test_patterns_that_match_no_weight(values: dict[str, Any]) -> None:
    """Of every paradigm; those that match something pass."""
    arms = values["arms"]
    supervised = {"paradigm": "supervised", "optimiser": {"samples": 16, "batch": 8, "lr": 1e-3}}
    arms["labels"] = {"encoder": "rad-dino", "supervision": ["labels"], "recipe": supervised}
    arms["mi2-reports"]["recipe"]["optimiser"]["freeze"] = ["text.*"]
    arms["rad-dino"]["recipe"]["optimiser"]["factors"] = {"head.*": {"lr": 0.5}}
    supervised["optimiser"]["freeze"] = ["image.*"]
    assert found(values) == []
    arms["mi2-reports"]["recipe"]["optimiser"]["freeze"] = ["texts.*"]
    arms["rad-dino"]["recipe"]["optimiser"]["factors"] = {"ibot_head.*": {"lr": 0.5}}
    supervised["optimiser"]["freeze"] = ["*"]
    assert sorted(problem.partition(": compare")[0] for problem in found(values)) == [
        "arms.labels.recipe.optimiser.freeze: ['*'] leaves no weight to train: freeze fewer",
        "arms.mi2-reports.recipe.optimiser.freeze: 'texts.*' matches no weight",
        "arms.rad-dino.recipe.optimiser.factors: 'ibot_head.*' matches no weight",
    ]
    arms["rad-dino"]["recipe"]["separate_ibot_head"] = True
    assert len(found(values)) == 2


def test_a_head_is_missing_to_an_arm_that_needs_it(values: dict[str, Any], tmp_path: Path) -> None:
    """DINOv2's own weights have none: an arm continues them with a new head, warmed up."""
    del values["bases"]["rad-dino-open"]
    values["encoders"]["rad-dino"]["weights"] = str(tmp_path)
    section = parse_study(values).encoders["rad-dino"]
    tower = build_model(section).image.state_dict()
    save_file(tower, tmp_path / "backbone_compatible.safetensors")
    [problem] = found(values)
    assert "collapses when it is continued without its trained head" in problem
    values["arms"]["rad-dino"]["recipe"]["head_warmup"] = 0.1
    assert found(values) == []


def catalog(study: Study, **columns: list[Any]) -> None:
    path = study.folder / "data" / "institution" / "catalog.parquet"
    path.parent.mkdir(parents=True)
    pl.DataFrame(columns).write_parquet(path)


def test_sizes_and_labels_are_compared_with_the_catalog(values: dict[str, Any]) -> None:
    study = parse_study(values)
    rows = ["pool"] * 30 + ["train", "validation", "test"] * 4
    held_out = [1, 1, 1, 0, 0, 0] * 2
    labels = {
        "finding:cardiomegaly": [None] * 30 + held_out,
        "finding:effusion": [1] * 30 + [0] * 12,
        "tube:ett": [1] * 42,
        "tube:cvc": [0] * 42,
    }
    catalog(study, split=rows, labelled=[True] * 42, **labels)
    told = findings(study)
    assert [finding.text for finding in told if finding.stops] == [
        "subsets.sizes: 40 is above the 30 images of the pool: lower it, add files to the archive, "
        "or lower the splits",
        "evaluation.tasks.tubes: no label has positive and negative images in both train and test: "
        "raise these splits' shares, or name other labels",
    ]
    notes = [finding.text for finding in told if not finding.stops]
    assert notes[0].startswith(
        "evaluation.tasks.findings: finding:effusion has 0 positive and 4 negative images in train"
    )
    assert len(notes) == 3


def test_a_language_model_with_too_few_places(values: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"max_position_embeddings": 16}')
    values["evaluation"]["tasks"]["reports"]["language_model"] = str(folder)
    weights, places = found(values)
    assert weights.startswith("evaluation.tasks.reports.language_model: no safetensors file")
    assert "16 and 4 visual tokens are more than the 16 places" in places


def test_a_language_model_with_code_of_its_own(values: dict[str, Any], tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.safetensors").touch()
    (folder / "config.json").write_text('{"auto_map": {"AutoModelForCausalLM": "mine.Model"}}')
    task = values["evaluation"]["tasks"]["reports"]
    task["language_model"] = str(folder)
    [problem] = found(values)
    assert problem.startswith("evaluation.tasks.reports.trust_remote_code: ")
    task["trust_remote_code"] = True
    assert found(values) == []


def test_tables_that_cannot_be_read_or_joined(values: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "reports.csv").write_text("accession_number;findings\nacc0;Clear.\nacc1;Clear.\n")
    (tmp_path / "labels.csv").write_text("ACC0,0,1,0,1\n")
    (tmp_path / "tubes.csv").write_text("sop_instance_uid,label,data\n")
    told = findings(parse_study(values))
    (stops,) = (finding.text for finding in told if finding.stops)
    assert "no key column" in stops and "must be the header" in stops
    assert "ACC0" not in stops
    reports, tubes = (finding.text for finding in told if not finding.stops)
    assert reports.startswith("institution.reports: none of 6 files looked at has a row")
    assert (
        "4 of 6 files would match if case did not count (joins.reports.ignore: [case])" in reports
    )
    assert "a header and no rows" in tubes


def test_another_key_than_the_archive_was_ingested_with(values: dict[str, Any]) -> None:
    study = parse_study(values)
    parts = components(study, "ingest", archive="institution")
    id = stage_id(parts)
    write_json(components_file(study.folder, id), parts)
    manifest = Manifest("ingest", {"archive": "institution"}, id, "", "", DONE)
    write_manifest(path_of(study.folder, "ingest/institution/part=0"), manifest)
    shard = study.folder / "data/institution/shards/part=0.parquet"
    shard.parent.mkdir(parents=True)
    shard.touch()
    assert found(values) == []
    former = key_fingerprint(KEY.encode())
    with pytest.MonkeyPatch.context() as patched:
        other = "another key, made for this test, 42"
        patched.setenv("RADSCALE_KEY", other)
        [problem] = found(values)
    assert problem.startswith("institution.key_file: the key has the fingerprint ")
    assert former in problem and key_fingerprint(other.encode()) in problem
    assert KEY not in problem and other not in problem
