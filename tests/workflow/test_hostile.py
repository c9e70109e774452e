"""One study with hostile strings wherever a user or a DICOM header supplies one: to its report.

Spaces, quotes, `$`, line breaks, marks that turn the direction of text, formulas, terminal escapes,
HTML and TeX: nothing of it is executed, and nothing breaks.
"""

import csv
import hashlib
import re
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
import yaml
from lxml import etree, html

from radscale_lib.phantom.archive import write_archive
from radscale_lib.study.archive import Phantom
from tests.workflow.checkout import copy_checkout
from workflow.journal import NAME, read_journal

PLACE = "a \"b\" 'c' $(touch owned) `touch owned` $HOME & <I> [x]* =1+1 \u202ez"
"""Of the checkout."""
RESULTS = f"results {re.sub('[][<>*]', '', PLACE)}"
INPUT = f"{PLACE} \\ \n \x1b[31m"
"""Of tables."""
DICOM = f"dicom {INPUT} {{x}} <i>"
"""Of the folder of DICOM files; Snakemake takes these for patterns elsewhere."""
SCANNERS = ("DX $x_{ $ Pro", "=1+1\x1b[31m<script>alert(1)</script>\u202e", "-2+3\tcmd", "@SUM(1)")
FINDINGS = ("=1+1 <script>alert(1)</script> $x_{ $", '-"quo\'ted"\x1b[31m $(touch owned)')
TUBES = ("@tube \u202e$\\alpha", "+tube, <b>")
TITLE = "Title \u202e <script>alert(1)</script> $x_{ $ =1+1 \x1b[31m\n&amp;"
NAMES = dict(zip(("cardiomegaly", "effusion", "ett", "cvc"), (*FINDINGS, *TUBES), strict=True))
OWNED = "owned"
ESCAPE = "\x1b[31m"


def hostile_archive(folder: Path, site: str, patients: int) -> dict[str, str]:
    """A phantom archive with hostile headers, file names, label names and reports."""
    phantom = Phantom(patients=patients, seed=11, site=site, pixels=64, broken=1)
    write_archive(phantom, folder)
    for number, path in enumerate(sorted((folder / "dicom").rglob("*.dcm"))):
        try:
            dataset = pydicom.dcmread(path)
            dataset.SpecificCharacterSet = "ISO_IR 192"
            dataset.Manufacturer = SCANNERS[1]
            dataset.ManufacturerModelName = SCANNERS[number % len(SCANNERS)]
            dataset.SeriesDescription = f"Chest {SCANNERS[1]} PA"
            dataset.save_as(path)
        except Exception:  # one of the planted defects
            assert number >= 0
        path.rename(path.with_name(f"{number}{INPUT}.dcm"))
    (folder / "dicom").rename(folder / DICOM)
    for name in ("reports", "labels", "tubes"):
        path = folder / f"{name}.csv"
        with path.open(newline="") as file:
            rows = [[NAMES.get(cell, cell) for cell in row] for row in csv.reader(file)]
        if name == "reports":
            rows[1:] = [[key, *(f"{text} {INPUT}" for text in texts)] for key, *texts in rows[1:]]
        with path.open("w", newline="") as file:
            csv.writer(file).writerows(rows)
    (folder / "key").write_text(hashlib.sha256(b"no secret").hexdigest())
    (folder / "key").chmod(0o600)
    return {
        "dicom": str(folder / DICOM),
        "key_file": str(folder / "key"),
        **{name: str(folder / f"{name}.csv") for name in ("reports", "labels", "tubes")},
    }


def hostile_study(folder: Path) -> dict[str, object]:
    values = yaml.safe_load(Path("tests/workflow/tiny.yaml").read_text())
    image = {"shorter_side": 32}
    values["name"], values["results"] = "hostile", RESULTS
    values["institution"] = {
        **hostile_archive(folder / f"institution {INPUT}", "institution", 30),
        **{"partitions": 1, "image": image},
    }
    values["public"] = {**hostile_archive(folder / f"public {INPUT}", "public", 12), "image": image}
    values["disclosure"] = {"smallest_cell": 1}  # a study of few patients has no tables otherwise
    values["labels"] = {"findings": list(FINDINGS), "tubes": list(TUBES)}
    for kind, name in (("arms", "rad-dino"), ("bases", "rad-dino-open")):
        del values[kind][name]
    values["bases"]["mi2-open"]["supervision"] = ["reports", "labels"]
    values["arms"]["mi2-reports"]["supervision"] = ["reports", "labels"]
    del values["encoders"]["rad-dino"], values["evaluation"]["tasks"]["segmentation"]
    del values["scaling"]["metrics"]["segmentation"]
    values["evaluation"]["tasks"]["reports"] = {
        **{"kind": "generation", "visual_tokens": 4, "max_tokens": 8},
        "language_model": {"vocabulary": 300, "width": 16, "layers": 1, "heads": 1},
        "decoder": {"steps": 4, "batch": 8, "lr": 1e-3, "test_images": 4},
        "phrases": {FINDINGS[0]: ["=1+1 $(touch owned)", f"{ESCAPE}\u202e"]},
    }
    values["scaling"]["metrics"]["reports"] = "lexical_f1"
    values["report"] = {"title": TITLE, "formats": ["svg", "pdf"]}
    return values


@pytest.mark.slow
def test_hostile_strings_reach_the_report_and_do_nothing(tmp_path: Path) -> None:
    checkout = copy_checkout(tmp_path / f"checkout {PLACE}")
    study = checkout.folder / "x$(touch owned) 'y' \"z\" {q}.yaml"
    study.write_text(yaml.safe_dump(hostile_study(tmp_path), sort_keys=False))
    said = ""
    for target in ("plan", "all", "status"):
        ended = subprocess.run(
            [
                *(sys.executable, "-m", "snakemake", "--cores", "2", target),
                *("--configfile", str(study)),
            ],
            cwd=checkout.folder,
            env=checkout.environment() | {"TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout[-2000:] + ended.stderr[-6000:]
        said += ended.stdout + ended.stderr
    assert "\nnothing is left to do\n" in ended.stdout
    assert "Study 'hostile'" in said
    assert ESCAPE not in said and "\u202e" not in said
    results = checkout.folder / RESULTS / "hostile"
    assert {entry.state for entry in read_journal(results / NAME).entries} == {"done"}
    assert [path for path in tmp_path.rglob("owned*")] == []

    page = html.fromstring((results / "report.html").read_text(encoding="utf-8"))
    assert len(page.xpath("//script")) == 1 and page.xpath("//script/@src") == []  # ours
    assert "alert" not in page.xpath("string(//script)") and page.xpath("//b") == []
    heading = page.xpath("//h1")[0].text_content()
    assert "<script>alert(1)</script> $x_{ $ =1+1" in heading
    text = page.text_content()
    assert "\x1b" not in text and "\u202e" not in text
    for figure in (results / "figures").glob("*.svg"):
        etree.parse(figure)
    cells = [
        cell
        for table in (results / "tables").glob("*.csv")
        for row in csv.reader(table.open(newline="", encoding="utf-8"))
        for cell in row
    ]
    formulas = [cell for cell in cells if re.match(r"[=+\-@\t\r]", cell) and not number(cell)]
    assert formulas == []
    assert f"'{FINDINGS[0]}" in cells and not any(ESCAPE in cell for cell in cells)


def number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
