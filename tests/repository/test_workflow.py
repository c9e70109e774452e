"""The workflow as a whole: what snakemake finds in it, and the plan of the full study."""

import os
import re
from pathlib import Path

from radscale_lib.planning.stages import STAGES
from tests.workflow import forked
from workflow.jobs import stage_of

ACCEPTED = {
    (
        r"Shell command directly uses variable (SCRIPTS|SETTINGS|LAUNCH|SCRATCH)"
        r" from outside of the rule"
    ): (
        "the same for all jobs of a checkout; as parameters they would rerun a moved study, and "
        "what they hold is recorded by the stage id"
    ),
    r"Param \w+ is a prefix of input or output file but hardcoded": (
        "false alarm: the parameter is computed from the same path helper as the file"
    ),
    r"Mixed rules and functions in same snakefile\. \(common\.smk\)": (
        "false alarm: common.smk has functions only"
    ),
}
"""Findings of `snakemake --lint`, which fails on any, that are let pass, and why."""


def snakemake(*options):
    """Run snakemake on the repository's Snakefile."""
    snakefile = Path("Snakefile").resolve()
    return forked.snakemake(Path.cwd(), dict(os.environ), "--snakefile", snakefile, *options)


def findings(text):
    """Titles of findings; those of a file, and of no rule, with its name."""
    file = ""
    for line in text.splitlines():
        if heading := re.match(r"Lints for (rule|snakefile) (.+):$", line):
            kind, subject = heading.groups()
            file = f" ({Path(subject).name})" if kind == "snakefile" else ""
        elif title := re.match(r" {4}\* (.+):$", line):
            yield title[1] + file


def test_lint_finds_nothing_without_a_reason(tmp_path):
    study = Path("config/smoke.yaml").resolve()
    run = snakemake("--lint", "--configfile", study, "--directory", tmp_path)
    titles = sorted(set(findings(run.stdout + run.stderr)))
    assert titles, run.stdout + run.stderr
    assert [t for t in titles if not any(re.fullmatch(pattern, t) for pattern in ACCEPTED)] == []
    unused = [pattern for pattern in ACCEPTED if not any(re.fullmatch(pattern, t) for t in titles)]
    assert unused == []


def test_the_full_study_dry_runs_on_a_machine_without_its_data(tmp_path):
    run = snakemake(
        "--dry-run", "--quiet", "rules", "--configfile", Path("config/paper.yaml").resolve(),
        "--workflow-profile", Path("profiles/slurm").resolve(), "--directory", tmp_path,
    )  # fmt: skip
    output = run.stdout + run.stderr
    assert run.returncode == 0, output
    total = re.search(r"^total\s+(\d+)", output, re.MULTILINE)
    assert total, output
    assert 200 < int(total[1]) < 1500


def test_every_value_in_a_shell_command_is_quoted():
    """`{x:q}` of all but numbers of Snakemake's own: a path may hold anything."""
    commands = {}
    for path in (Path("Snakefile"), *Path("workflow/rules").glob("*.smk")):
        for number, block in enumerate(
            re.findall(r"^ +shell:\n((?: +\".*\"\n)+)", path.read_text(), re.MULTILINE)
        ):
            commands[path.name, number] = block
    assert len(commands) > 15
    values = [
        (place, value)
        for place, block in commands.items()
        for value in re.findall(r"\{(.+?)\}", block)
    ]
    assert len(values) > 100
    unquoted = [at for at in values if not at[1].endswith(":q") and at[1] != "threads"]
    assert unquoted == []


def test_names_in_shell_commands_are_known_to_a_snakefile_that_uses_this_workflow_as_a_module():
    text = "".join(path.read_text() for path in Path("workflow/rules").glob("*.smk"))
    text += Path("Snakefile").read_text()
    given = re.search(r"modifier_stack\[0\]\.globals\.update\((.*?)\)", text, re.DOTALL)[1]
    used = set(re.findall(r"\{([A-Z_]+)(?::q)?\}", "".join(re.findall(r"^ +\".*\"$", text, re.M))))
    assert used and used == set(re.findall(r"(\w+)=", given))


def test_every_rule_with_an_id_has_a_stage():
    """`jobs.stage_of` knows each rule by the stage of its id."""
    found = {}
    for path in Path("workflow/rules").glob("*.smk"):
        for rule in re.split(r"^ *rule ?(?=\w*:)", path.read_text(), flags=re.MULTILINE)[1:]:
            name = re.match(r"(\w+):|:\s+name:\s+f\"(\w+)\{name\}\"", rule)
            stage = re.search(r"\bid=identity\(\s*\"(\w+)\"", rule)
            if name and stage:
                found[name[1] or f"{name[2]}public"] = stage[1]
    assert set(found.values()) == {name for name, stage in STAGES.items() if stage.script}
    assert {rule: stage_of(rule) for rule in found} == found
