"""Start the processes of a run: torchrun on one node, or srun and torchrun over several."""

import argparse
import sys

from radscale_lib.pretrain.launch import LaunchError, launch


def main(argv: list[str] | None = None) -> None:
    """Parse the command line and become the launcher."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--devices", type=int, required=True, help="processes of the run")
    parser.add_argument("--nodes", type=int, default=1, help="nodes they are spread over")
    parser.add_argument("--threads", type=int, default=1, help="CPUs of a node")
    parser.add_argument("--gpus", action="store_true", help="each process has a GPU")
    parser.add_argument("command", nargs=argparse.REMAINDER, help="script and its arguments")
    args = parser.parse_args(argv)
    try:
        launch(args.devices, args.nodes, args.threads, args.gpus, args.command)
    except LaunchError as error:
        sys.exit(str(error))
