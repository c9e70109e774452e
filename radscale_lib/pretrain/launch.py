"""Start the processes of one run, on this node or on every node of a SLURM job."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from typing import NoReturn

PORTS = range(20000, 40000)
"""Rendezvous ports, chosen by job id so that jobs on the same node use different ones."""


class LaunchError(RuntimeError):
    """The processes cannot be started here."""


def launch(devices: int, nodes: int, threads: int, gpus: bool, command: Sequence[str]) -> NoReturn:
    """Replace this process by the launcher of a run's processes.

    Args:
        devices: processes of the run, over all nodes.
        nodes: 1: torchrun on this node, if there is more than one process; more: srun starts
            torchrun on each node of this job.
        threads: CPUs for all processes of a node together.
        gpus: whether each process needs a GPU.
        command: script and arguments of each process.

    Raises:
        LaunchError: for more than one node outside a SLURM job.
    """
    if devices == 1:
        _become(sys.executable, *command)
    # SLURM signals every process of a step; launchers leave the reaction to the training processes.
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    share = str(devices // nodes)
    if nodes == 1:
        _become(*_torchrun(share), "--standalone", *command)
    if "SLURM_JOB_ID" not in os.environ:
        raise LaunchError(
            f"{devices} processes on {nodes} nodes need a SLURM job: run with "
            "--workflow-profile profiles/slurm, or raise devices_per_node of the site file"
        )
    _become(
        *("srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1"),
        *(f"--cpus-per-task={threads}", "--kill-on-bad-exit=1"),
        *((f"--gres=gpu:{share}",) if gpus else ()),
        *(sys.executable, "-m", "radscale_lib.pretrain.launch", share, *command),
    )


def join_nodes(share: str, command: Sequence[str]) -> NoReturn:
    """Replace this task of a SLURM step, one per node, by the node's torchrun."""
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    environment = os.environ
    port = PORTS[int(environment["SLURM_JOB_ID"]) % len(PORTS)]
    _become(
        *_torchrun(share),
        *("--nnodes", environment["SLURM_NNODES"], "--node-rank", environment["SLURM_NODEID"]),
        *("--master-addr", _first_node(environment["SLURM_JOB_NODELIST"])),
        *("--master-port", str(port)),
        *command,
    )


def _torchrun(share: str) -> list[str]:
    return [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", share]


def _first_node(nodes: str) -> str:
    """Host name or address of the first of a job's nodes."""
    listed = subprocess.run(
        ["scontrol", "show", "hostnames", nodes], capture_output=True, text=True, check=True
    )
    first = listed.stdout.split()[0]
    try:
        socket.getaddrinfo(first, None)
    except OSError:  # nodes whose names differ between SLURM and the network
        shown = subprocess.run(
            ["scontrol", "show", "node", first, "--oneliner"],
            capture_output=True,
            text=True,
            check=True,
        )
        facts = dict(fact.split("=", 1) for fact in shown.stdout.split() if "=" in fact)
        return facts["NodeAddr"]
    return first


def _become(*command: str) -> NoReturn:
    os.execvp(command[0], command)


if __name__ == "__main__":
    join_nodes(sys.argv[1], sys.argv[2:])
