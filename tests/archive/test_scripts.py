"""The command lines, from a phantom archive to a subset."""

import importlib.util
import json
from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
import yaml

from radscale_lib.archive.ledger import path_digest
from radscale_lib.phantom import write_archive
from radscale_lib.pseudonyms import PHANTOM_KEY
from radscale_lib.shards.reader import ShardReader
from radscale_lib.study import load_study

ROOT = Path(__file__).parents[2]
PARTITIONS = 2


def script(name: str):
    """`main` of a script."""
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)

    def main(*args, **options):
        argv = [str(arg) for arg in args]
        for option, value in options.items():
            argv += [f"--{option}", *map(str, value if isinstance(value, list) else [value])]
        module.main(argv)

    return main


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> Path:
    """The demo study, smaller."""
    values = yaml.safe_load((ROOT / "config" / "config.yaml").read_text())
    values["institution"]["phantom"] |= {"patients": 40, "seed": 31, "pixels": 80, "broken": 8}
    values["splits"] = {"train": 0.2, "validation": 0.2, "test": 0.2}
    values["institution"] |= {"partitions": PARTITIONS, "image": {"shorter_side": 32}}
    values["subsets"]["sizes"] = [5, 10]
    values["labels"]["findings"].remove("edema")
    values["labels"]["others"] = ["edema"]
    path = tmp_path_factory.mktemp("study") / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def phantom(study) -> Path:
    folder = study.parent / "phantom"
    write_archive(load_study(study).institution.phantom, folder)
    return folder


def run_all(study: Path, phantom: Path, out: Path) -> Path:
    common = {"study": study, "archive": "institution"}
    tables = {name: phantom / f"{name}.csv" for name in ("reports", "labels", "tubes")}
    dicom = phantom / "dicom"
    script("scan")(**common, dicom=dicom, out=out / "listing")
    parts = {
        kind: [out / kind / f"part={k}.{suffix}" for k in range(PARTITIONS)]
        for kind, suffix in (
            ("listing", "tsv"),
            ("index", "parquet"),
            ("ledger", "parquet"),
            ("shard", "parquet"),
        )
    }
    for k in range(PARTITIONS):
        paths = {kind: parts[kind][k] for kind in parts}
        script("ingest")(**common, id="abc", dicom=dicom, **tables, **paths)
    script("catalog")(
        **common,
        listings=parts["listing"],
        ledgers=parts["ledger"],
        shards=parts["shard"],
        ledger=out / "ledger.parquet",
        catalog=out / "catalog.parquet",
    )
    for size in (5, 10):
        script("subset")(
            study=study, catalog=out / "catalog.parquet", seed=3, size=size, out=out / f"n={size}"
        )
    return out


@pytest.fixture(scope="module")
def out(study, phantom) -> Path:
    return run_all(study, phantom, study.parent / "out")


def test_the_ledger_explains_every_planted_defect(out, phantom):
    ledger = pl.read_parquet(out / "ledger.parquet")
    rows = {row["path_digest"]: row for row in ledger.to_dicts()}
    manifest = json.loads((phantom / "manifest.json").read_text())
    found = {}
    for planted in manifest["planted"]:
        row = rows[path_digest(PHANTOM_KEY, planted["path"])]
        found[planted["kind"]] = row["outcome"], row["reason"]
    copy = found.pop("duplicate instance")
    assert copy in {("duplicate", "same_sop_instance_uid"), ("accepted", None)}
    assert found == {
        "empty file": ("quarantined", "empty"),
        "not DICOM": ("quarantined", "not_dicom"),
        "no pixel data": ("quarantined", "no_pixels"),
        "no rows": ("quarantined", "missing_tag:Rows"),
        "corrupt JPEG 2000 stream": ("quarantined", "decode_failed"),
        "truncated pixel data": ("quarantined", "truncated"),
        "truncated header": ("quarantined", "truncated"),
    }
    outcomes = dict(ledger["outcome"].value_counts().iter_rows())
    assert outcomes["quarantined"] == 7
    assert outcomes["duplicate"] == 1
    assert sum(outcomes.values()) == manifest["counts"]["files"]
    excluded = ledger.filter(pl.col("outcome") == "excluded")
    assert set(excluded["reason"]) == {"view"}


def test_the_catalog_has_texts_labels_tubes_and_splits(out):
    catalog = pl.read_parquet(out / "catalog.parquet")
    assert catalog["image_id"].is_sorted()
    assert set(catalog["split"]) == {"pool", "train", "validation", "test"}
    assert catalog["findings"].drop_nulls().len() > 0.9 * catalog.height
    assert set(catalog["tube:ett"].drop_nulls()) >= {0, 1}
    assert "finding:edema" not in catalog.columns
    assert set(catalog["other:edema"].drop_nulls()) >= {0, 1}
    assert catalog.filter(~pl.col("labelled"))["other:edema"].null_count() > 0
    for row in catalog.filter(pl.col("tubes").is_not_null()).to_dicts():
        for tube in json.loads(row["tubes"]):
            points = np.array(tube["points"])
            assert (points > -4).all()
            assert (points < [row["width"] + 4, row["height"] + 4]).all()
    images = ShardReader(out / "shard").images(catalog["shard"], catalog["row"])
    assert {min(image.shape) for image in images} == {32}
    assert all(np.ptp(image) > 100 for image in images)


def test_subsets_are_prefixes(out):
    small, large = (pl.read_parquet(out / f"n={size}") for size in (5, 10))
    assert small.equals(large.head(5))
    assert small.columns == ["rank", "image_id", "digest"]


def test_a_second_run_is_the_same_bytes(out, study, phantom, tmp_path):
    again = run_all(study, phantom, tmp_path)
    files = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
    assert len(files) == 4 * PARTITIONS + 6
    for path in files:
        assert (again / path).read_bytes() == (out / path).read_bytes()


def test_errors_end_with_a_message(study, phantom, out, tmp_path, capsys, monkeypatch):
    def fails(name, *args, **options):
        with pytest.raises(SystemExit) as caught:
            script(name)(*args, **options)
        assert caught.value.code == 1
        return capsys.readouterr().err

    common = {"study": study, "archive": "institution"}
    assert "'dicom'" in fails("scan", **common, dicom=tmp_path / "none", out=tmp_path)
    catalog = out / "catalog.parquet"
    message = fails("subset", study=study, catalog=catalog, seed=0, size=999, out=tmp_path / "s")
    assert "999 images are more than the pool" in message
    assert "give a study file" in fails("scan", **common | {"study": "no"}, dicom=".", out=tmp_path)
    listings = [out / "listing" / "part=0.tsv"]
    message = fails(
        "catalog", **common, listings=listings, ledgers=listings, shards=[out / "part=1.parquet"],
        ledger=tmp_path / "l", catalog=tmp_path / "c",
    )  # fmt: skip
    assert "partition 0 has no shard" in message

    real = yaml.safe_load(study.read_text())
    real["institution"].pop("phantom")
    real["institution"] |= {"dicom": "x", "reports": "r", "labels": "l", "tubes": "t"}
    (tmp_path / "real.yaml").write_text(yaml.safe_dump(real))
    monkeypatch.delenv("RADSCALE_KEY", raising=False)
    outputs = {kind: tmp_path / kind for kind in ("index", "ledger", "shard")}
    message = fails(
        "ingest", **common | {"study": tmp_path / "real.yaml"}, id="a", dicom=phantom / "dicom",
        listing=listings[0], **outputs,
    )  # fmt: skip
    assert "set key_file" in message
    (tmp_path / "labels.csv").write_text("accession_number,effusion\n")
    message = fails(
        "ingest", **common, id="a", dicom=phantom / "dicom", labels=tmp_path / "labels.csv",
        listing=listings[0], **outputs,
    )  # fmt: skip
    assert "no column 'cardiomegaly'" in message
    assert not any(path.exists() for path in outputs.values())


def test_import_images(tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "1.png"), np.eye(70, dtype=np.uint8) * 255)
    (tmp_path / "t.csv").write_text("image,patient_id,study_id,view,nodule\n1.png,P,S,PA,1\n")
    options = {"images": tmp_path, "table": tmp_path / "t.csv"}
    script("import_images")("generic", **options, out=tmp_path / "out")
    assert "1 images imported" in capsys.readouterr().err
    assert (tmp_path / "out" / "labels.csv").read_text().endswith(",1\n")
    with pytest.raises(SystemExit):
        script("import_images")("nih", **options, out=tmp_path / "out")
    assert "no column 'Image Index'" in capsys.readouterr().err
