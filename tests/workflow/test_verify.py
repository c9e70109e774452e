"""`snakemake verify`, results that are damaged or exchanged, and results from before manifests."""

import json
import shlex
import shutil
import subprocess
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from radscale_lib.files import read_json, write_json
from radscale_lib.provenance.manifest import manifest_names, path_of, read_manifest
from radscale_lib.provenance.verify import verify
from tests.workflow import forked
from tests.workflow.checkout import TINY, Checkout

pytestmark = pytest.mark.slow

KINDS = (
    "encoders/rad-dino/n=16/seed=0/encoder.safetensors",
    "features/rad-dino/n=16/seed=0/features.safetensors",
    "data/institution/catalog.parquet",
    "subsets/seed=0/n=16.parquet",
    "data/institution/ledger.parquet",
)


def problems(results: Path) -> dict[str, str]:
    return {problem.file: problem.what for problem in verify(results)[2]}


def run(checkout: Checkout, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [forked.python(), *command],
        cwd=checkout.folder,
        env=checkout.environment(),
        capture_output=True,
        text=True,
        check=False,
    )


def scripted(checkout: Checkout, script: str, *options: str) -> subprocess.CompletedProcess[str]:
    return run(checkout, f"scripts/{script}.py", "--study", TINY, *options)


@pytest.fixture
def results(finished_tiny: Checkout, tmp_path: Path) -> Iterator[Path]:
    """A copy of the tiny study's results."""
    yield Path(shutil.copytree(finished_tiny.results, tmp_path / "tiny"))


def test_a_flipped_bit_of_each_kind_is_named(results: Path) -> None:
    """At places over the whole file, of each kind that steps read."""
    assert problems(results) == {}
    for name in KINDS:
        path = results / name
        sound = path.read_bytes()
        for place in range(0, len(sound), max(len(sound) // 12, 1)):
            flipped = bytes([sound[place] ^ 1 << place % 8])
            path.write_bytes(sound[:place] + flipped + sound[place + 1 :])
            assert problems(results) == {name: "damaged: not what its job wrote"}
        path.write_bytes(sound)
    assert problems(results) == {}


def test_what_is_exchanged_foreign_or_missing_is_named(results: Path) -> None:
    ours, theirs = (f"tasks/findings/{run}/n=0/seed=0/predictions.parquet" for run in BASES)
    (results / ours).rename(results / "kept")
    shutil.copyfile(results / theirs, results / ours)
    (results / "fits.parquet").unlink()
    other = results / "encoders" / "rad-dino" / "n=17" / "seed=0" / "encoder.safetensors"
    other.parent.mkdir(parents=True)
    other.touch()
    size = (results / "kept").stat().st_size == (results / ours).stat().st_size
    assert problems(results) == {
        ours: f"exchanged: it is {theirs}" if size else "damaged: not what its job wrote",
        "fits.parquet": "missing",
        "encoders/rad-dino/n=17/seed=0/encoder.safetensors": "foreign: made by unknown settings",
    }


BASES = ("mi2-open", "rad-dino-open")


def test_verify_is_a_target_that_only_reads(tiny: Checkout) -> None:
    command = ("-m", "snakemake", "verify", "--cores", "1", "--configfile", TINY)
    sound = run(tiny, *command)
    assert sound.returncode == 0 and "0 problems" in sound.stdout, sound.stderr[-3000:]
    path = tiny.results / KINDS[0]
    path.write_bytes(b"x" + path.read_bytes()[1:])
    ended = run(tiny, *command)
    assert ended.returncode == 1
    assert f"{KINDS[0]}: damaged" in ended.stdout
    assert "(encoders/rad-dino/n=16/seed=0)" in ended.stdout


def test_exchanged_shards_are_refused(tiny: Checkout) -> None:
    """By features and decoders, as training does."""
    one, two = (tiny.results / f"data/institution/shards/part={part}.parquet" for part in (0, 1))
    one.rename(one.with_suffix(".kept"))
    two.rename(one)
    one.with_suffix(".kept").rename(two)
    settings = next((tiny.results / "settings").iterdir())
    folder = Path("results/tiny")
    run_of = ("--arm", "rad-dino", "--size", "16", "--seed", "0")
    common = (
        *("--encoder", str(folder / KINDS[0]), "--catalog", str(folder / KINDS[2])),
        *("--shards", str(folder / "data/institution/shards")),
        *("--ranges", str(folder / "data/institution/ranges.arrow")),
    )
    places = ("--features", "elsewhere", "--tasks", "elsewhere")
    script = "scripts/evaluate.py"
    ended = run(tiny, script, "--study", str(settings), *run_of, *common, *places)
    assert ended.returncode != 0
    assert "part=0.parquet" in ended.stderr and "part=1.parquet" in ended.stderr, ended.stderr
    assert not (tiny.folder / "elsewhere").exists()


@pytest.fixture
def older(tiny: Checkout) -> Checkout:
    """The tiny study as an earlier version left it: ids in `.snakemake`, and no manifest."""
    (tiny.results / "ids").mkdir()
    records = tiny.folder / ".snakemake" / "metadata"
    records.mkdir(parents=True, exist_ok=True)
    for name in manifest_names(tiny.results):
        manifest = read_manifest(path_of(tiny.results, name))
        assert manifest is not None
        former = manifest.id[::-1]
        parts = read_json(tiny.results / "provenance" / "ids" / f"{manifest.id}.json")
        write_json(tiny.results / "ids" / f"{former}.json", parts)
        for output in manifest.outputs:
            record = urlsafe_b64encode(f"results/tiny/{output}".encode()).decode()
            (records / record).write_text(json.dumps({"params": ["'x'", f"'{former}'"]}))
    shutil.rmtree(tiny.results / "provenance")
    return tiny


def test_results_from_before_are_adopted(older: Checkout) -> None:
    """Also where today's jobs make and read more: only these run, and what they change."""
    for pattern in ("data/*/tables", "data/*/joins.parquet", "verdicts.parquet"):
        for path in older.results.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    started = run(older, *older.command()[1:])
    assert started.returncode == 1 and "adopt them" in started.stdout + started.stderr
    assert not (older.results / "provenance").exists()
    adopted = scripted(older, "adopt")
    assert adopted.returncode == 0, adopted.stderr[-3000:]
    made = read_manifest(path_of(older.results, "encoders/rad-dino/n=16/seed=0"))
    assert made is not None and made.adopted is not None
    assert made.adopted["settings"] == "as recorded by Snakemake"
    commands = [shlex.split(line) for line in adopted.stdout.splitlines() if line[:4] == "    "]
    assert [command[0] for command in commands] == ["snakemake", "snakemake"]
    for command in commands:
        older.snakemake(*command[command.index("--") :])
    assert {job["rule"] for job in older.plan()} == {"fit_scaling", "draw_figures", "write_report"}


def test_a_training_that_lacks_a_file_is_not_given_up(older: Checkout) -> None:
    """Other jobs are made again; these take weeks."""
    for name in ("encoders/rad-dino/n=16/seed=0/log.parquet", "subsets/seed=0/n=16.parquet"):
        (older.results / name).unlink()
    refused = scripted(older, "adopt")
    assert refused.returncode == 1 and refused.stderr.count("\n  - ") == 3, refused.stderr
    assert "log.parquet: missing, and " in refused.stderr
    assert refused.stderr.count("n=16.parquet: missing, and ") == 2
    assert not (older.results / "provenance").exists()


def test_an_archive_that_an_earlier_version_ingested_is_ingested_again(older: Checkout) -> None:
    """It has no tables made ready for joining, no audit of them and no counts of texts."""
    data = older.results / "data" / "institution"
    shutil.rmtree(data / "tables")
    for name in ("joins", "texts"):
        (data / f"{name}.parquet").unlink()
    adopted = scripted(older, "adopt")
    assert adopted.returncode == 0, adopted.stderr[-3000:]
    planned = [job["rule"] for job in older.plan()]
    assert {"tables_institution", "ingest_partition", "catalog_institution"} <= set(planned)
    assert not {"make_phantom", "tables_public", "catalog_public"} & set(planned)
    for name in ("joins", "texts"):
        assert not (data / f"{name}.parquet").exists()
    assert read_manifest(path_of(older.results, "fits")) is not None


def test_what_contradicts_is_named_and_nothing_adopted(older: Checkout) -> None:
    card = older.results / "encoders/rad-dino/n=16/seed=0/encoder.json"
    write_json(card, read_json(card) | {"base_digest": "0"})
    (older.results / "scores.parquet").write_bytes(b"PAR1")
    [resamples] = [
        path
        for path in (older.results / "ids").iterdir()
        if '"scaling.metrics.findings"' in path.read_text()
        and '"report.dpi"' not in path.read_text()
    ]
    parts = read_json(resamples)
    parts["study"]["scaling.metrics.findings"] = '"auprc"'
    write_json(resamples, parts)
    refused = scripted(older, "adopt")
    assert refused.returncode == 1
    for text in (
        "encoder.json: trained on another",
        "scores.parquet: cannot be read",
        'made with scaling.metrics.findings "auprc", the study has "auroc"',
    ):
        assert text in refused.stderr, refused.stderr
    assert not (older.results / "provenance").exists()
