"""All checks of a study, in one list."""

from collections.abc import Callable, Iterator

from radscale_lib.preflight.archives import archive_findings
from radscale_lib.preflight.data import data_findings
from radscale_lib.preflight.finding import Finding
from radscale_lib.preflight.labels import label_findings
from radscale_lib.preflight.settings import pattern_findings, settings_findings
from radscale_lib.preflight.tables import table_findings
from radscale_lib.preflight.weights import weights_findings
from radscale_lib.study.model import Study
from radscale_lib.study.paths import path_problems

CHECKS: tuple[Callable[[Study], Iterator[Finding]], ...] = (
    settings_findings,
    pattern_findings,
    archive_findings,
    table_findings,
    weights_findings,
    data_findings,
    label_findings,
)


def findings(study: Study) -> list[Finding]:
    """Everything that would stop a study or spoil its results, as far as can be seen in advance.

    Reads some headers of DICOM files, the tables, headers of weights, and the catalog if it exists;
    lists no DICOM folder and leaves no files. Something missing does not hide other findings.

    Returns:
        Findings without duplicates; those that stop a run come first.
    """
    found = [Finding(problem) for problem in path_problems(study)]
    for check in CHECKS:
        found += check(study)
    return sorted(dict.fromkeys(found), key=lambda finding: not finding.stops)


def told(study: Study, found: list[Finding]) -> str:
    """The findings that stop a study, as an error message."""
    lines = [f"  - {finding.text}" for finding in found if finding.stops]
    count = f"{len(lines)} problem{'s' * (len(lines) > 1)}"
    return f"study {study.name}: {count}, so nothing was started:\n" + "\n".join(lines)
