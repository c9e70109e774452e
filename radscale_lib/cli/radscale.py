"""The command `radscale`: finds the requested command line, and imports no other."""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple, NoReturn


class Command(NamedTuple):
    """A subcommand: its module has `main(argv)`; without a module, it is a workflow script."""

    module: str
    does: str


def _step(name: str, does: str) -> tuple[str, Command]:
    return name, Command(f"radscale_lib.cli.{name.replace('-', '_')}", does)


def _script(name: str, does: str) -> tuple[str, Command]:
    return name, Command("", does)


GROUPS: dict[str, dict[str, Command]] = {
    "Encoders and predictions, without a study": dict([
        _step("embed", "embed a folder of images with any encoder"),
        _step("export", "write an encoder for another library"),
        _step("fetch-weights", "download published weights from the Hub"),
        _step("score", "score a table of predictions, with intervals"),
    ]),
    "A study of your own": dict([
        _step("init", "write a project folder: study file, Snakefile, profiles"),
        _step("key", "make the secret key of an archive's pseudonyms"),
        _step("make-export", "write simulated films in the form of a hospital's export, for "
                             "practice"),
        _script("plan", "list what a run would do, why, and its cost"),
        _script("status", "show what is done, running, failed and left"),
        _script("accept", "keep existing results after a harmless change"),
        _script("adopt", "take over results that are older than manifests"),
    ]),
    "A study, beside its run": dict([
        _step("evaluate-encoder", "score any encoder on a study's tasks and archive"),
        _step("check", "find what would stop a study, before it runs"),
        _step("verify", "check that results are intact"),
        _step("release", "check and copy what may leave the institution"),
        _step("import-images", "turn a public collection into DICOM files and tables"),
    ]),
    "Steps of a study, each a job of snakemake": dict([
        _step("make-phantom", "draw an archive of simulated radiographs"),
        _step("scan", "list the files of an archive"),
        _step("tables", "prepare reports, labels and tubes for joining"),
        _step("ingest", "turn a partition of DICOM files into a shard"),
        _step("catalog", "merge the partitions of an archive"),
        _step("index-shards", "index every image's bytes and checksum"),
        _step("read-labels", "read labels from reports, by rules or an endpoint"),
        _step("join-labels", "join the labels of all sources"),
        _step("sample-labels", "draw reports for a person to label"),
        _step("audit-labels", "compare labels with a person's answers"),
        _step("subset", "draw a nested subset"),
        _step("subset-card", "describe all subsets"),
        _step("import-weights", "import released weights as a baseline"),
        _step("floor", "make a floor: random weights, or components of pixels"),
        _step("pretrain", "train a run"),
        _step("interpolate", "average an encoder with its base"),
        _step("launch", "start the processes of a run"),
        _step("evaluate", "compute features and predictions of a run"),
        _step("score-run", "score a run's predictions"),
        _step("gather", "merge the scores of all runs"),
        _step("compare", "compare all encoders in pairs"),
        _step("fit", "fit scaling laws, of a study or of any table"),
        _step("similarity", "compute maps of similar patches"),
        _step("examples", "choose the test images that the report shows"),
        _step("figures", "draw the figures"),
        _step("report", "write the report"),
    ]),
}  # fmt: skip
"""All commands, by purpose."""


def main(argv: Sequence[str] | None = None) -> None:
    """Run a subcommand, or list them all.

    Raises:
        SystemExit: with 2 for an unknown command, otherwise with the subcommand's status.
    """
    try:
        try:
            _run(sys.argv[1:] if argv is None else list(argv))
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)  # as shells do
    except BrokenPipeError:  # as under `| head`
        _end_quietly()


def _run(argv: list[str]) -> None:
    name, *arguments = argv or ["--help"]
    if name in ("-h", "--help"):
        print(overview())
        return
    if name == "--version":
        from importlib.metadata import version

        print(f"radscale {version('radscale')}")
        return
    commands = {name: command for group in GROUPS.values() for name, command in group.items()}
    if name not in commands:
        sys.exit(_unknown(name, list(commands)))
    sys.argv = [f"radscale {name}", *arguments]  # argparse takes the program's name from here
    if module := commands[name].module:
        import_module(module).main(arguments)
    else:
        _run_script(name, arguments)


def _run_script(name: str, arguments: list[str]) -> None:
    """Run a script that starts the workflow, or changes the records by which it decides."""
    from runpy import run_path

    from radscale_lib.places import workflow_folder

    sys.path.insert(0, str(workflow_folder()))
    run_path(str(workflow_folder() / "scripts" / f"{name}.py"))["main"](arguments)


def _end_quietly() -> NoReturn:
    """Exit after a closed pipe, without the error of a second flush."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(141)  # as shells do


def overview() -> str:
    """All commands, with one line each."""
    lines = ["usage: radscale COMMAND ...    (details: radscale COMMAND --help)"]
    for title, group in GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:<16} {command.does}" for name, command in group.items()]
    lines += [
        "",
        "Run a study with snakemake, in a folder written by `radscale init` or in a checkout.",
    ]
    return "\n".join(lines)


def _unknown(name: str, known: list[str]) -> int:
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else "radscale --help lists them"
    print(f"radscale: no command {name!r}: {hint}", file=sys.stderr)
    return 2
