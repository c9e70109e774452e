"""`snakemake --lint`, which fails on any finding: every kind that is let pass has its reason."""

import re
import subprocess
import sys
from pathlib import Path

ACCEPTED = {
    r"Shell command directly uses variable (SCRIPTS|STUDY_FILE|LAUNCH) from outside of the rule": (
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
    root = Path.cwd()
    run = subprocess.run(
        [sys.executable, "-m", "snakemake", "--lint", "--snakefile", root / "Snakefile",
         "--configfile", root / "config/smoke.yaml", "--directory", tmp_path],
        capture_output=True, text=True,
    )  # fmt: skip
    titles = sorted(set(findings(run.stdout + run.stderr)))
    assert titles, run.stdout + run.stderr
    assert [t for t in titles if not any(re.fullmatch(pattern, t) for pattern in ACCEPTED)] == []
    unused = [pattern for pattern in ACCEPTED if not any(re.fullmatch(pattern, t) for t in titles)]
    assert unused == []
