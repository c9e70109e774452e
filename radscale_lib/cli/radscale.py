"""The command `radscale`: finds the command line that is asked for, and imports no other."""

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NamedTuple


class Command(NamedTuple):
    """A sub-command: its module has `main(argv)`."""

    module: str
    does: str


ENCODERS = {
    "embed": Command("radscale_lib.cli.embed", "embed a folder of images by any encoder"),
    "export": Command("radscale_lib.cli.export", "write an encoder for another library"),
}
"""Commands that need no study."""
GROUPS = {"Encoders and predictions": ENCODERS}


def main(argv: Sequence[str] | None = None) -> None:
    """Run a sub-command, or list them all.

    Raises:
        SystemExit: with 2 for an unknown command, else as the sub-command ends.
    """
    name, *arguments = (sys.argv[1:] if argv is None else list(argv)) or ["--help"]
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
    try:
        import_module(commands[name].module).main(arguments)
    except KeyboardInterrupt:
        sys.exit(130)  # as shells do


def overview() -> str:
    """All commands with a line each."""
    lines = ["usage: radscale COMMAND ...    (radscale COMMAND --help says more)"]
    for title, group in GROUPS.items():
        lines += ["", f"{title}:"]
        lines += [f"  {name:<16} {command.does}" for name, command in group.items()]
    lines += [
        "",
        "A whole study runs by snakemake, in a checkout of the project: see its README.md.",
    ]
    return "\n".join(lines)


def _unknown(name: str, known: list[str]) -> int:
    from difflib import get_close_matches

    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else "radscale --help lists them"
    print(f"radscale: no command {name!r}: {hint}", file=sys.stderr)
    return 2
