"""Write manifests for results that are older than manifests, after checking what can be checked."""

import argparse
import sys
from pathlib import Path

from radscale_lib.preflight.results import defects
from radscale_lib.provenance.manifest import ManifestError
from radscale_lib.study import StudyError, load_study
from workflow import guard
from workflow.adopt import CannotAdoptError, adopt, advice
from workflow.dry_run import planned


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument(
        "--records", type=Path, default=Path(".snakemake"), help="Snakemake's folder of the study"
    )
    args = parser.parse_args(argv)
    try:
        study = load_study(args.study)
        guard.hold(study.folder / ".running")
        jobs = planned(study, ["--forceall", "--configfile", str(args.study)])
        adopted = adopt(study, jobs, args.records, defects)
    except (StudyError, CannotAdoptError, guard.AlreadyRunningError, ManifestError) as error:
        sys.exit(str(error))
    where = study.folder / "provenance"
    print(f"Adopted the results of {len(adopted.manifests)} jobs; recorded in {where}.")
    if adopted.first:
        print(advice(adopted, args.study))


if __name__ == "__main__":
    main()
