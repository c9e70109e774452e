"""What may leave the institution: listed, checked, copied."""

import importlib.util
import json
from pathlib import Path
from urllib.parse import unquote

import polars as pl
import pytest
import yaml
from rocrate.rocrate import ROCrate

from radscale_lib.provenance.manifest import File, Manifest, path_of, write_manifest
from radscale_lib.report.release import (
    items,
    keyed_card,
    release,
    told,
)
from radscale_lib.study import Study, parse_study

KEY = b"9f2c4e6a8b0d1c3e"
ROOT = Path(__file__).parents[2]
CARD = {"status": "finished", "subset_digest": "ab" * 32, "base_digest": None}


def encoder_bytes(weights: str | None) -> bytes:
    config = json.dumps({"kind": "mi2", "weights": weights}, sort_keys=True)
    header = {
        "__metadata__": {"config": config, "tokenizer": "{}"},
        "x": {"dtype": "U8", "shape": [3], "data_offsets": [0, 3]},
    }
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + b"abc"


@pytest.fixture
def study(tmp_path) -> Study:
    """A finished study of a real archive, as small as can be."""
    values = yaml.safe_load((ROOT / "config" / "smoke.yaml").read_text())
    values["institution"] = {
        name: str(tmp_path / "hospital" / name) for name in ("dicom", "reports", "labels", "tubes")
    }
    values["results"] = str(tmp_path / "results")
    study = parse_study(values)
    run = study.folder / "encoders" / "arm" / "n=1" / "seed=0"
    for folder in ("figures", "tables", "data/institution/index"):
        (study.folder / folder).mkdir(parents=True)
    run.mkdir(parents=True)
    (run / "encoder.safetensors").write_bytes(encoder_bytes("/models/mi2.safetensors"))
    (run / "encoder.json").write_text(json.dumps(CARD))
    (study.folder / "figures" / "findings.png").write_bytes(b"PNG")
    (study.folder / "figures" / "patients").mkdir()
    (study.folder / "figures" / "patients" / "films-arm.png").write_bytes(b"PNG")
    (study.folder / "tables" / "findings.csv").write_text("size,value\n1,0.5\n")
    for name in ("scores", "label_fits", "verdicts"):
        table = pl.DataFrame({"run": ["arm"], "value": [0.5]})
        table.write_parquet(study.folder / f"{name}.parquet")
    data = study.folder / "data" / "institution"
    models = pl.DataFrame({"scanner": ["DX-1", "SMITH^JOHN ROOM 3", None]})
    models.write_parquet(data / "index" / "part=0.parquet")
    coded = pl.DataFrame({"image_id": ["0"], "scanner": ["DX-1"]})
    coded.write_parquet(data / "catalog.parquet")
    return study


def test_groups_and_weights_may_leave_and_rows_of_images_stay(study, tmp_path):
    (study.folder / "figures" / ".snakemake_timestamp").touch()
    listed = items(study)
    assert [str(item.path) for item in listed] == [
        "figures/findings.png",
        "tables/findings.csv",
        "scores.parquet",
        "label_fits.parquet",
        "verdicts.parquet",
        "encoders/arm/n=1/seed=0/encoder.safetensors",
        "encoders/arm/n=1/seed=0/encoder.json",
    ]
    assert not any(item.problems for item in listed)
    release(study, KEY, tmp_path / "out")
    copies = {path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    crate = tmp_path / "out" / "ro-crate-metadata.json"
    assert copies == {tmp_path / "out" / item.path for item in listed} | {crate}


def test_digests_are_keyed_and_paths_are_left_out(study, tmp_path):
    release(study, KEY, tmp_path / "out")
    run = tmp_path / "out/encoders/arm/n=1/seed=0"
    card = json.loads((run / "encoder.json").read_text())
    assert card == keyed_card(CARD, KEY)
    others = [CARD["subset_digest"], keyed_card(CARD, b"other")["subset_digest"]]
    assert card["subset_digest"] not in others
    assert card["base_digest"] is None
    data = (run / "encoder.safetensors").read_bytes()
    assert b"/models" not in data
    length = int.from_bytes(data[:8], "little")
    assert json.loads(data[8 : 8 + length])["__metadata__"]["tokenizer"] == "{}"
    assert data[8 + length :] == b"abc"
    with pytest.raises(FileExistsError):
        release(study, KEY, tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("report.html", "<p>on SMITH^JOHN ROOM 3</p>", "holds a device of few patients"),
        ("tables/x.csv", "image_id,value\n", "has rows of single images (column 'image_id')"),
        ("tables/x.csv", "value\n{hospital}/dicom\n", "holds the path of institution.dicom"),
        ("figures/similarity-arm.png", "PNG", "may show images or texts of patients"),
        ("report.html", "<p></p>", "may show images or texts of patients"),
    ],
)
def test_what_speaks_against_a_file_is_named(study, tmp_path, name, content, problem):
    (study.folder / name).write_text(content.replace("{hospital}", str(tmp_path / "hospital")))
    refused = [item for item in items(study) if item.problems]
    assert [str(item.path) for item in refused] == [name]
    assert problem in told(refused)
    assert "SMITH" not in told(refused)
    with pytest.raises(ValueError, match=name):
        release(study, KEY, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_table_with_rows_of_images_stays(study):
    pl.DataFrame({"image_id": ["0"], "value": [0.5]}).write_parquet(study.folder / "scores.parquet")
    assert "rows of single images" in told([item for item in items(study) if item.problems])


def test_the_command_line(study, tmp_path, capsys, monkeypatch):
    spec = importlib.util.spec_from_file_location("script", ROOT / "scripts" / "release.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    (tmp_path / "study.json").write_text(study.model_dump_json())
    monkeypatch.setenv("RADSCALE_KEY", KEY.decode())
    script.main(["--study", str(tmp_path / "study.json"), "--out", str(tmp_path / "out")])
    assert "scores.parquet: nothing found" in capsys.readouterr().out
    assert (tmp_path / "out" / "scores.parquet").exists()
    (study.folder / "report.html").write_text("")
    with pytest.raises(SystemExit):
        script.main(["--study", str(tmp_path / "study.json")])
    assert "Not released" in capsys.readouterr().err


@pytest.mark.parametrize("smallest", [1, 10])
def test_labels_that_few_images_have_or_lack_stay(study, tmp_path, smallest):
    values = study.model_dump(mode="json") | {"disclosure": {"smallest_cell": smallest}}
    study = parse_study(values)
    counts = {"none": 0, "few": 3, "some": 10, "most": 95, "all": 100}
    rows = [("findings", label, 100, count) for label, count in counts.items()]
    rows += [("findings", "macro", 100, sum(counts.values())), ("tubes", "macro", 100, 50)]
    scores = pl.DataFrame(
        rows, schema=["task", "target", "cases", "positives"], orient="row"
    ).with_columns(value=0.5)
    scores.write_parquet(study.folder / "scores.parquet")
    fits = scores.select("task", "target", "positives")
    fits.write_parquet(study.folder / "label_fits.parquet")
    release(study, KEY, tmp_path / "out")
    for name in ("scores", "label_fits"):
        public = pl.read_parquet(tmp_path / "out" / f"{name}.parquet")
        told = dict(
            public.select("target", "positives").filter(public["task"] == "findings").rows()
        )
        if smallest == 1:
            assert told == counts | {"macro": 208}
        else:
            assert told == {"none": 0, "some": 10, "all": 100, "macro": None}
        assert public.filter(task="tubes")["positives"].to_list() == [50]


def test_the_folder_is_a_ro_crate_of_its_files_and_of_the_jobs_that_made_them(study, tmp_path):
    """What RO-Crate 1.1 and Process Run Crate 0.5 require; the same results, the same bytes."""
    run = {"started": "2026-01-02T03:04:05Z", "finished": "2026-01-02T03:05:05Z", "commit": "ab12"}
    files = {name: File(1, "0") for name in ("scores.parquet", "verdicts.parquet")}
    for job, inputs, outputs in (("scores", (), ("scores",)), ("fits", ("scores",), ("verdicts",))):
        made, read = (
            {f"{n}.parquet": files[f"{n}.parquet"] for n in of} for of in (outputs, inputs)
        )
        manifest = Manifest(job, {}, f"id-{job}", "", "", "done", read, made, run)
        write_manifest(path_of(study.folder, job), manifest)
    out, again = tmp_path / "out", tmp_path / "again"
    release(study, KEY, out, "https://spdx.org/licenses/CC-BY-4.0", "A hospital")
    text = (out / "ro-crate-metadata.json").read_text()
    parts = {each["@id"]: each for each in json.loads(text)["@graph"]}
    root = parts["./"]
    assert {"name", "description", "license", "author", "citation", "hasPart"} <= root.keys()
    assert root["datePublished"] == "2026-01-02T03:05:05+00:00"
    assert root["conformsTo"]["@id"] in parts
    listed = {unquote(part["@id"]) for part in root["hasPart"]}
    assert listed == {str(path.relative_to(out)) for path in out.rglob("*.*")} - {
        "ro-crate-metadata.json"
    }
    assert parts["scores.parquet"]["contentSize"] == str((out / "scores.parquet").stat().st_size)
    fits = parts["#fits"]
    assert fits["@type"] == "CreateAction"
    assert (fits["object"]["@id"], fits["result"]["@id"]) == ("scores.parquet", "verdicts.parquet")
    assert parts[fits["instrument"]["@id"]]["softwareVersion"] == "ab12"
    assert [part["@id"] for part in root["mentions"]] == ["#fits", "#scores"]
    ROCrate(out)  # reads its own form
    release(study, KEY, again, "https://spdx.org/licenses/CC-BY-4.0", "A hospital")
    assert (again / "ro-crate-metadata.json").read_text() == text
    release(study, KEY, tmp_path / "unstated")
    assert "Not stated" in (tmp_path / "unstated" / "ro-crate-metadata.json").read_text()
