"""The command `radscale`: light, complete, and the same as the scripts."""

import json
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest

from radscale_lib.cli.radscale import GROUPS

COMMANDS = {name: command for group in GROUPS.values() for name, command in group.items()}
WORKFLOWS = {name for name, command in COMMANDS.items() if not command.module}
"""Scripts that start or change the workflow."""


def test_every_script_is_a_command_and_runs_its_main() -> None:
    scripts = {path.stem for path in Path("scripts").glob("*.py")}
    modules = {command.module.rpartition(".")[2] for command in COMMANDS.values()} - {""}
    assert scripts - modules == WORKFLOWS == {"accept", "adopt", "plan", "status"}
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
        (["init", ""], 2, "argument folder: is empty"),
        (["make-export", " "], 2, "argument folder: is empty"),
    ],
)
def test_the_command_radscale(arguments: list[str], code: int, said: str) -> None:
    command = [sys.executable, "-m", "radscale_lib.cli", *arguments]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == code and said in run.stdout + run.stderr


def test_a_script_of_the_workflow_is_a_command() -> None:
    command = [sys.executable, "-m", "radscale_lib.cli", "accept", "--help"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0 and "usage: radscale accept" in run.stdout, run.stderr


@pytest.mark.parametrize("arguments", ["--help", "embed --help"])
def test_a_reader_that_stops_costs_no_traceback(arguments: str) -> None:
    command = f"{sys.executable} -m radscale_lib.cli {arguments} | true"
    run = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in run.stderr and "Broken" not in run.stderr
