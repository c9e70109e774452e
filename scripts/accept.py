"""Accept existing results after a harmless change, and record the reason in their manifests."""

import argparse
import sys
from pathlib import Path

from radscale_lib.provenance.manifest import ManifestError
from radscale_lib.study import StudyError, load_study
from workflow import guard
from workflow.accept import NothingToAcceptError, accept
from workflow.dry_run import planned


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="study file")
    parser.add_argument("--reason", required=True, help="why the results still hold")
    parser.add_argument("options", nargs="*", help="targets and options for snakemake, after --")
    args = parser.parse_args(argv)
    try:
        study = load_study(args.study)
        guard.hold(study.folder / ".running")
        jobs = planned(study, args.options or ["--configfile", str(args.study)])
        accepted = accept(study, jobs, args.reason)
    except (StudyError, NothingToAcceptError, guard.AlreadyRunningError, ManifestError) as error:
        sys.exit(str(error))
    print(f"Accepted {len(accepted)} jobs; recorded in {study.folder / 'provenance'}.")


if __name__ == "__main__":
    main()
