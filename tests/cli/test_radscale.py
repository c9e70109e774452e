"""The command `radscale`: light, complete, and the same as the scripts."""

import json
import os
import shutil
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import PIL.Image
import pytest

from radscale_lib.cli.radscale import GROUPS

COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}
IN_A_CHECKOUT = {"accept", "adopt", "plan", "status"}
"""Scripts that start or change the workflow: these need its Snakefile."""


def test_every_script_is_a_command_and_runs_its_main() -> None:
    scripts = {path.stem for path in Path("scripts").glob("*.py")}
    modules = {command.module.rpartition(".")[2] for command in COMMANDS.values()}
    assert scripts - IN_A_CHECKOUT <= modules
    for name in sorted(scripts & modules):
        text = Path("scripts", f"{name}.py").read_text()
        assert f"from radscale_lib.cli.{name} import main\n" in text
    for name in sorted(modules):
        text = Path("radscale_lib/cli", f"{name}.py").read_text()
        assert "def main(argv: " in text, name


def test_the_console_script_is_this_command() -> None:
    entry = tomllib.loads(Path("pyproject.toml").read_text())["project"]["scripts"]["radscale"]
    module, _, function = entry.partition(":")
    assert import_module(module).main is getattr(import_module(module), function)


LIGHT = """
import json, sys
import {module}
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""


@pytest.mark.parametrize("module", ["radscale_lib", "radscale_lib.cli.radscale"])
def test_help_imports_nothing_but_the_standard_library(
    module: str, capfd: pytest.CaptureFixture[str]
) -> None:
    said = subprocess.run(
        [sys.executable, "-c", LIGHT.format(module=module)], check=True, capture_output=True
    )
    loaded = set(json.loads(said.stdout))
    assert loaded <= {"radscale_lib", *sys.stdlib_module_names, *_started()}, loaded


def _started() -> set[str]:
    """What this Python loads by itself, such as the hooks of editable installs."""
    code = "import sys, json; print(json.dumps([n.partition('.')[0] for n in sys.modules]))"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return set(json.loads(said.stdout))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--help"], 0, "embed a folder of images"),
        ([], 0, "usage: radscale COMMAND"),
        (["--version"], 0, "radscale 0."),
        (["embedd"], 2, "did you mean 'embed'?"),
        (["embed", "--help"], 0, "usage: radscale embed"),
        (["embed"], 2, "radscale embed: error"),
    ],
)
def test_the_command_radscale(arguments: list[str], code: int, said: str) -> None:
    command = [sys.executable, "-m", "radscale_lib.cli", *arguments]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == code and said in run.stdout + run.stderr


@pytest.mark.slow
def test_the_wheel_has_all_that_its_commands_need(tmp_path: Path) -> None:
    """Built and unpacked, away from the checkout: a step by hand, and an encoder by its name."""
    root, source = Path.cwd(), tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(root / name, source)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(root / "radscale_lib", source / "radscale_lib", ignore=ignored)
    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "-w", tmp_path, source], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    shutil.unpack_archive(wheel, tmp_path / "installed", "zip")
    PIL.Image.new("L", (40, 30), 90).save(tmp_path / "film.png")
    shutil.copy(root / "config/smoke.yaml", tmp_path / "study.yaml")

    def radscale(*arguments: str) -> None:
        subprocess.run(
            [sys.executable, "-m", "radscale_lib.cli", *arguments],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": str(tmp_path / "installed")},
            check=True,
        )

    radscale("embed", "timm:test_vit,random=0", "film.png", "--out", "embeddings.parquet")
    assert (tmp_path / "embeddings.parquet").stat().st_size
    radscale("make-phantom", "--study", "study.yaml", "--archive", "public", "--out", "phantom")
    assert (tmp_path / "phantom" / "manifest.json").is_file()


@pytest.mark.parametrize("arguments", ["--help", "embed --help"])
def test_a_reader_that_stops_costs_no_traceback(arguments: str) -> None:
    command = f"{sys.executable} -m radscale_lib.cli {arguments} | true"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in run.stderr and "Broken" not in run.stderr
