"""The workflow as a whole: what snakemake finds in it, and the plan of the full study."""

import re
import subprocess
import sys
from pathlib import Path

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
    command = [sys.executable, "-m", "snakemake", "--snakefile", Path("Snakefile").resolve()]
    return subprocess.run([*command, *options], capture_output=True, text=True)


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
