"""A step and its manifest: what it was made of, what it refuses."""

import argparse
import json
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pytest

from radscale_lib.planning.identity import components, stage_id
from radscale_lib.provenance.layout import job_of
from radscale_lib.provenance.manifest import (
    DONE,
    STARTED,
    Manifest,
    Provenance,
    manifest_names,
    path_of,
    read_manifest,
)
from radscale_lib.provenance.settings import write_settings
from radscale_lib.provenance.step import InputError, add_options, step, study_of
from radscale_lib.shards.errors import DamagedImageError
from radscale_lib.study import load_study

Captured = pytest.CaptureFixture[str]
RUN = "rad-dino/n=20/seed=0"
ENCODER = f"encoders/{RUN}/encoder.safetensors"
CATALOG = "data/institution/catalog.parquet"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of a study with settings, one encoder and a catalog."""
    study = load_study(Path("config/smoke.yaml")).model_copy(update={"results": tmp_path})
    write_settings(study)
    make(study.folder, "pretrain", [], [ENCODER], arm="rad-dino")
    make(study.folder, "catalog", [], [CATALOG], archive="institution")
    yield study.folder


def options(folder: Path, id: str = "") -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_options(parser)
    [settings] = (folder / "settings").iterdir()
    return parser.parse_args(["--study", str(settings), *(["--id", id] if id else [])])


def make(
    folder: Path,
    stage: str,
    reads: list[str],
    makes: list[str],
    id: str | None = None,
    **names: str,
) -> None:
    """A step that writes its name into what it makes."""
    args = options(folder, id)
    of = study_of(args)
    paths = [folder / name for name in makes]
    with step(args, of, stage, [folder / name for name in reads], paths, **names):
        for path in paths:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{stage} makes {path.name}")


def features(folder: Path, id: str = "") -> None:
    make(
        folder,
        "features",
        [ENCODER, CATALOG],
        [f"features/{RUN}/features.safetensors"],
        id,
        arm="rad-dino",
    )


@contextmanager
def refused(capsys: Captured, message: str) -> Iterator[None]:
    with pytest.raises(SystemExit, match="1"):
        yield
    assert re.search(message, capsys.readouterr().err)


def manifest(folder: Path) -> Manifest:
    read = read_manifest(path_of(folder, f"predictions/{RUN}"))
    assert read is not None
    return read


def test_a_manifest_tells_what_was_read_and_made(folder: Path) -> None:
    features(folder)
    made = manifest(folder)
    id = stage_id(components(load_study(Path("config/smoke.yaml")), "features", arm="rad-dino"))
    assert (made.stage, made.id, made.state, made.names) == (
        "features",
        id,
        DONE,
        {"arm": "rad-dino"},
    )
    assert list(made.outputs) == [f"features/{RUN}/features.safetensors"]
    encoder = read_manifest(path_of(folder, f"encoders/{RUN}"))
    assert encoder is not None
    assert made.inputs.items() >= encoder.outputs.items() and len(made.inputs) == 2
    kept = json.loads((folder / f"provenance/ids/{id}.json").read_text())
    assert kept == components(load_study(Path("config/smoke.yaml")), "features", arm="rad-dino")
    assert manifest_names(folder) == [
        "catalog/institution",
        f"encoders/{RUN}",
        f"predictions/{RUN}",
    ]


def test_a_manifest_names_the_list_of_all_packages(folder: Path) -> None:
    features(folder)
    made = manifest(folder)
    [path] = (folder / "provenance/ids").glob("packages-*.json")
    assert path.stem == f"packages-{made.run['packages']}"
    listed = json.loads(path.read_text())
    assert {f"{name} {version(name)}" for name in ("polars", "numpy", "snakemake")} <= set(listed)
    assert f"scikit-learn {version('scikit-learn')}" in listed
    assert not any(line.startswith("packages") for line in manifest_names(folder))


def test_no_manifest_names_a_place_of_this_machine(folder: Path) -> None:
    features(folder)
    for path in (folder / "provenance").rglob("*.json"):
        assert str(folder.parent) not in path.read_text()


def test_the_same_work_leaves_the_same_manifest_but_for_times(folder: Path) -> None:
    features(folder)
    before = manifest(folder)
    features(folder)
    after = manifest(folder)
    assert {"started", "finished"} <= before.run.keys()
    before.run = after.run = {}
    assert before == after


def test_a_plain_study_file_leaves_no_manifest(tmp_path: Path) -> None:
    args = argparse.Namespace(study=Path("config/smoke.yaml"), id="given")
    with step(
        args, study_of(args), "features", [tmp_path / "absent"], [tmp_path], arm="rad-dino"
    ) as id:
        assert id == "given"
    args.id = None
    with step(args, study_of(args), "features", [], [tmp_path], arm="rad-dino") as id:
        assert id == stage_id(components(study_of(args), "features", arm="rad-dino"))
    assert list(tmp_path.iterdir()) == []


def test_another_id_is_refused_and_both_are_named(folder: Path, capsys: Captured) -> None:
    id = stage_id(components(load_study(Path("config/smoke.yaml")), "features", arm="rad-dino"))
    with refused(capsys, f"id {id} at stage features, the job has 0123456789abc"):
        features(folder, "0123456789abcdef.ab12")
    assert not (folder / "features").exists()
    features(folder, f"{id}.ab12")
    assert manifest(folder).command == "ab12"


@pytest.mark.parametrize("name", [ENCODER, CATALOG])
def test_a_flipped_bit_of_an_input_is_refused(folder: Path, name: str, capsys: Captured) -> None:
    features(folder)
    path = folder / name
    content = path.read_bytes()
    for place in range(len(content)):
        flipped = content[place] ^ 1 << place % 8
        path.write_bytes(content[:place] + bytes([flipped]) + content[place + 1 :])
        with refused(capsys, rf"{path.name}: damaged or exchanged"):
            features(folder)
    path.write_bytes(content)
    features(folder)


def test_an_exchanged_or_missing_input_is_refused(folder: Path, capsys: Captured) -> None:
    shutil.copyfile(folder / CATALOG, folder / ENCODER)
    with refused(capsys, "damaged or exchanged"):
        features(folder)
    (folder / ENCODER).unlink()
    with refused(capsys, "No such file"):
        features(folder)


def test_a_step_that_is_cut_off_is_known_as_such(folder: Path) -> None:
    features(folder)
    args = options(folder)
    makes = [folder / f"features/{RUN}/features.safetensors"]
    with (
        pytest.raises(KeyboardInterrupt),
        step(args, study_of(args), "features", [], makes, arm="rad-dino"),
    ):
        raise KeyboardInterrupt
    assert manifest(folder).state == STARTED
    assert Provenance(folder).stated(f"features/{RUN}/features.safetensors") is None


@pytest.mark.parametrize(
    "error", [DamagedImageError("part=0.parquet: row 3 is damaged"), InputError("no features")]
)
def test_what_a_step_finds_wrong_with_its_inputs_is_said_without_a_traceback(
    folder: Path, error: Exception, capsys: Captured
) -> None:
    makes = [folder / f"features/{RUN}/features.safetensors"]
    by_hand = argparse.Namespace(study=Path("config/smoke.yaml"), id=None)
    for args in (options(folder), by_hand):
        with (
            pytest.raises(SystemExit, match="1"),
            step(args, study_of(args), "features", [], makes, arm="rad-dino"),
        ):
            raise error
        assert capsys.readouterr().err == f"{error}\n"
    assert manifest(folder).state == STARTED


def test_an_arm_that_the_study_lacks_is_named(folder: Path, capsys: Captured) -> None:
    with refused(capsys, "rad-dyno: no arm of study smoke: use one of mi2-open, .*, rad-dino$"):
        make(folder, "features", [], [ENCODER], arm="rad-dyno")


def test_only_the_first_of_several_processes_writes(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANK", "1")
    features(folder)
    assert not path_of(folder, f"predictions/{RUN}").exists()


def test_a_moved_folder_is_the_same(folder: Path) -> None:
    features(folder)
    moved = folder.parents[1] / "elsewhere"
    shutil.move(folder, moved)
    link = moved.with_name("link")
    link.symlink_to(moved)
    for way in (moved, link):
        provenance = Provenance(way)
        made = provenance.manifest(f"predictions/{RUN}")
        assert made is not None
        assert provenance.now([way / name for name in made.inputs], made.inputs) == made.inputs


@pytest.mark.parametrize(
    ("result", "job"),
    [
        ("data/public/shards/part=3.parquet", "ingest/public/part=3"),
        ("data/public/ledger/part=3.parquet", "ingest/public/part=3"),
        ("data/public/ledger.parquet", "catalog/public"),
        ("data/institution/listing/masks.tsv", "listing/institution"),
        ("tasks/reports/mi2-open/n=0/seed=0/scores.parquet", "scores/mi2-open/n=0/seed=0"),
        ("encoders/rad-dino@0.25/n=20/seed=0/encoder.json", "encoders/rad-dino/n=20/seed=0"),
        ("features/rad-dino@0.25/n=20/seed=0/x", "predictions/rad-dino@0.25/n=20/seed=0"),
        ("checkpoints.parquet", "scores"),
        ("subsets/seed=1/n=30000.parquet", "subsets/seed=1/n=30000"),
        ("figures/a/b.svg", "figures"),
        ("tables", "figures"),
        ("logs/plan.log", None),
        ("work/0/finished/encoder.safetensors", None),
    ],
)
def test_a_result_has_the_name_of_its_job(result: str, job: str | None) -> None:
    assert job_of(result) == job
