"""Project folders: what `radscale init` writes, and studies that run there by the workflow."""

import json
import os
import re
import shutil
import stat
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

import PIL.Image
import pytest
import yaml

from radscale_lib.cli import init, key
from radscale_lib.project.folder import STUDIES, ProjectError, write_project
from radscale_lib.pseudonyms import key_weakness
from radscale_lib.study import load_study
from radscale_lib.study.archive import Archive
from tests.workflow.checkout import ROOT, TINY, Checkout, copy_checkout


@dataclass
class Project(Checkout):
    """A project folder, whose snakemake is that of an environment; by default, of this one."""

    environment_folder: Path | None = None

    @property
    def results(self) -> Path:
        return self.folder / "results/tiny"

    def environment(self) -> dict[str, str]:
        values = super().environment()
        if self.environment_folder is None:
            paths = [str(ROOT), str(ROOT / "workflow/logger")]
            return values | {"PYTHONPATH": os.pathsep.join(paths)}
        del values["PYTHONPATH"]
        return values | {"PATH": f"{self.environment_folder / 'bin'}:{os.environ['PATH']}"}

    def command(self, *options: str, cores: int = 2) -> list[str]:
        return ["snakemake", "--cores", str(cores), *options]

    def radscale(self, *arguments: str) -> str:
        ended = subprocess.run(
            ["radscale", *arguments],
            cwd=self.folder,
            env=self.environment(),
            capture_output=True,
            text=True,
        )
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


def test_a_finished_study_is_finished_in_a_project_folder(
    finished_tiny: Checkout, tmp_path: Path
) -> None:
    """By the checkout's package: same ids, same commands. And the hooks of the module are there."""
    write_project(tmp_path / "Tiny", ROOT / TINY)
    project = Project(tmp_path / "Tiny", study_path="config/config.yaml")
    assert yaml.safe_load(project.study_file.read_text()) == yaml.safe_load(
        (ROOT / TINY).read_text()
    )
    project.results.parent.mkdir()
    project.results.symlink_to(finished_tiny.results)
    said = project.snakemake("--dry-run", "--printshellcmds", "--forcerun", "write_report")
    assert re.search(r"^total +2$", said, re.MULTILINE), said  # with `all`
    assert f"python {ROOT}/scripts/report.py --study results/tiny/settings/" in said
    text = (project.folder / "Snakefile").read_text()
    for hook in ("onstart", "onsuccess"):
        assert f"{hook}:" in (ROOT / "Snakefile").read_text() and f"radscale.{hook}()" in text


def test_weights_that_come_with_a_study_come_with_its_project(tmp_path: Path) -> None:
    write_project(tmp_path / "demo", "demo")
    study = load_study(tmp_path / "demo/config/config.yaml")
    weights = [encoder.weights for encoder in study.encoders.values()]
    assert len(weights) == 2
    for path in weights:
        assert path is not None and not path.is_absolute()
        assert (tmp_path / "demo" / path).read_bytes() == (ROOT / path).read_bytes()


def test_nothing_is_overwritten(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "Snakefile").write_text("mine")
    with pytest.raises(SystemExit, match=r"already has Snakefile, so nothing was written"):
        init.main([str(tmp_path)])
    assert [path.name for path in tmp_path.iterdir()] == ["Snakefile"]


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_begins_a_project(tmp_path: Path, study: str) -> None:
    write_project(tmp_path / "Röntgen 2", study)
    values = yaml.safe_load((tmp_path / "Röntgen 2/config/config.yaml").read_text())
    assert values["name"] == "r-ntgen-2"


@pytest.mark.parametrize(
    ("study", "name", "said"),
    [
        ("papper", None, "papper: cannot be read .*demo, hospital, paper"),
        ("demo", "My Study", "--name My Study: must be of lower-case letters"),
        ("unnamed.yaml", None, "no line 'name: …'"),
        ("broken.yaml", None, "institution: required key is missing"),
    ],
)
def test_what_cannot_begin_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, study: str, name: str | None, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("unnamed.yaml").write_text("{}")
    Path("broken.yaml").write_text("name: broken\n")
    with pytest.raises(ProjectError, match=said):
        write_project(tmp_path / "project", study, name)
    assert not (tmp_path / "project").exists()


def test_a_key_is_written_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pseudonym.key"
    key.main(["new", str(file)])
    text = file.read_bytes()
    archive = Archive(dicom=tmp_path, key_file=file)
    assert key_weakness(archive, text.strip()) is None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert text.decode().strip() not in capsys.readouterr().out
    with pytest.raises(SystemExit, match="already exists and is kept"):
        key.main(["new", str(file)])
    with pytest.raises(SystemExit, match="cannot be written"):
        key.main(["new", str(tmp_path / "absent" / "pseudonym.key")])
    assert file.read_bytes() == text and list(tmp_path.iterdir()) == [file]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh environment with the wheel, built from a clean copy and away from any checkout.

    The packages that it depends on are those of this environment, but for what is ours.
    """
    folder = tmp_path_factory.mktemp("installed")
    source = copy_checkout(folder / "source").folder
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", folder, source], check=True, capture_output=True)
    shutil.rmtree(source)
    venv.create(folder / "venv", with_pip=True)
    [packages] = (folder / "venv/lib").glob("python*/site-packages")
    # A path that is added so brings no editable installs along.
    others = Path(yaml.__file__).parents[1]
    (packages / "others.pth").write_text(f"{others}\n")
    [wheel] = folder.glob("*.whl")
    install = [folder / "venv/bin/pip", "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(install, check=True, capture_output=True)
    snakemake = (
        f"#!{folder}/venv/bin/python\n"
        "import sys\nfrom snakemake.cli import main\nsys.exit(main())\n"
    )
    (folder / "venv/bin/snakemake").write_text(snakemake)
    (folder / "venv/bin/snakemake").chmod(0o755)
    return folder / "venv"


@pytest.mark.long
def test_the_wheel_has_all_that_its_commands_need(installed: Path, tmp_path: Path) -> None:
    """A step by hand, and an encoder by its name."""
    PIL.Image.new("L", (40, 30), 90).save(tmp_path / "film.png")
    shutil.copy(ROOT / "config/smoke.yaml", tmp_path / "study.yaml")

    def radscale(*arguments: str) -> None:
        environment = {key: of for key, of in os.environ.items() if key != "PYTHONPATH"}
        command = [installed / "bin/radscale", *arguments]
        subprocess.run(command, cwd=tmp_path, env=environment, check=True)

    radscale("embed", "timm:test_vit,random=0", "film.png", "--out", "embeddings.parquet")
    assert (tmp_path / "embeddings.parquet").stat().st_size
    radscale("make-phantom", "--study", "study.yaml", "--archive", "public", "--out", "phantom")
    assert (tmp_path / "phantom" / "manifest.json").is_file()


@pytest.mark.long
def test_a_study_runs_from_the_wheel_alone(
    installed: Path, finished_tiny: Checkout, tmp_path: Path
) -> None:
    """Killed, refused a second start, taken up; then the same as in a checkout, also when moved."""
    project = Project(tmp_path, study_path="config/config.yaml", environment_folder=installed)
    project.radscale("init", "tiny", "--study", str(ROOT / TINY))
    project.folder = tmp_path / "tiny"
    where = "import radscale_lib, pathlib; print(pathlib.Path(radscale_lib.__file__).parent)"
    said = subprocess.run(
        [installed / "bin/python", "-c", where],
        cwd=project.folder,
        env=project.environment(),
        capture_output=True,
    )
    assert said.stdout.decode().startswith(str(installed))
    with project.running() as run:
        run.wait_for("start", "pretrain_base")
        second = subprocess.run(
            project.command(),
            cwd=project.folder,
            env=project.environment(),
            capture_output=True,
            text=True,
        )
        assert second.returncode == 1 and "is running this study" in second.stderr
        run.kill()
    said = project.snakemake()
    assert "Report:" in said and (project.results / "report.html").exists()
    # The checkout's plan: nothing, as the wheel's is of the checkout's results.
    listed = json.loads(project.radscale("plan", "--study", "config/config.yaml", "--json"))
    assert listed["jobs"] == []
    checkout = copy_checkout(tmp_path / "checkout", TINY)
    (checkout.folder / "results").mkdir(exist_ok=True)
    shutil.copytree(project.results, checkout.results)
    assert checkout.plan() == []
    shutil.rmtree(project.results)
    shutil.copytree(finished_tiny.results, project.results)
    moved = tmp_path / "elsewhere"
    project.folder.rename(moved)
    project.folder = moved
    assert "Nothing to be done" in project.snakemake()
    for name in ("scores.parquet", "fits.parquet"):
        assert (checkout.results / name).read_bytes() == (project.results / name).read_bytes()


def steps_of(page: Path) -> list[tuple[str, list[str]]]:
    """Commands of a page's blocks of sh, each with the lines of the text that follows it."""
    steps: list[tuple[str, list[str]]] = []
    blocks = re.findall(r"^```(sh|text)\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    for kind, block in blocks:
        if kind == "sh":
            steps.append((block, []))
        else:
            steps[-1][1].extend(block.splitlines())
    return steps


@pytest.mark.long
def test_the_first_archive_is_as_its_page_says(installed: Path, tmp_path: Path) -> None:
    """From an empty folder to the report, by the commands of the page alone."""
    project = Project(tmp_path, environment_folder=installed)
    steps = steps_of(ROOT / "docs/hospital/first-archive.md")
    assert len(steps) >= 8
    done = "set -e\n"
    for commands, expected in steps:
        script = f"cd {tmp_path}\n[ ! -d thorax ] || cd thorax\n{done}{commands}"
        ended = subprocess.run(
            ["bash", "-c", script], env=project.environment(), capture_output=True, text=True
        )
        said = ended.stdout + ended.stderr
        assert ended.returncode == 0, (commands, said[-6000:])
        assert [line for line in expected if line not in said] == [], (commands, said[-6000:])
    assert (tmp_path / "thorax/results/thorax/report.html").is_file()


@pytest.mark.parametrize("name", ["2026", "2026-11-30", "null", "a b"])
def test_a_folder_may_be_called_what_yaml_takes_for_something_else(
    tmp_path: Path, name: str
) -> None:
    write_project(tmp_path / name, "hospital", None)
    text = (tmp_path / name / "config" / "config.yaml").read_text()
    assert yaml.safe_load(text)["name"] == name.replace(" ", "-")
