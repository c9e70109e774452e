"""A real SLURM cluster on this machine: loopback, several nodes, fake GPUs; no systemd, no cgroups.

By hand, from the top of the checkout (see docs/hospital/slurm.md):

    python -m tests.slurm.cluster --folder /tmp/cluster
"""

import argparse
import ctypes
import fcntl
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

CLIENTS = (
    *("sbatch", "srun", "squeue", "scancel", "scontrol"),
    *("sinfo", "sacct", "sacctmgr", "sshare"),
)
DAEMONS = ("munged", "slurmctld", "slurmd")
ACCOUNTING_DAEMONS = ("slurmdbd", "mariadbd", "mariadb-install-db")
PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client")
ACCOUNTING_PACKAGES = ("slurmdbd", "mariadb-server")
MODULES = Path("/usr/share/modules/init/bash")
"""Where Debian's environment-modules defines `module`."""
SYSTEM_PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin"
MARK = "RADSCALE_TEST_CLUSTER"
"""Variable with the cluster's folder, in the environment of everything that belongs to it."""

PARTITIONS = """\
PartitionName=cpu Nodes=ALL Default=YES PriorityTier=10 PreemptMode=OFF
PartitionName=gpu Nodes=ALL PriorityTier=10 PreemptMode=OFF
PartitionName=spare Nodes=ALL PriorityTier=1 PreemptMode=REQUEUE
PartitionName=spare_grace Nodes=ALL PriorityTier=1 PreemptMode=REQUEUE GraceTime=30
PartitionName=spare_cancel Nodes=ALL PriorityTier=1 PreemptMode=CANCEL
"""

CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmctldPort={port}
SrunPortRange={srun_first}-{srun_last}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SwitchType=switch/none
MailProg=/bin/true
SlurmdParameters=config_overrides
ReturnToService=2
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill,UsePss
SlurmctldTimeout=30
SlurmdTimeout=15
KillWait=5
MinJobAge={min_job_age}
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
{accounting}
GresTypes=gpu
NodeName=node[1-{nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port=[{node_first}-{node_last}] \
CPUs={cpus} SocketsPerBoard=1 CoresPerSocket={cpus} ThreadsPerCore=1 RealMemory={memory} \
Gres=gpu:a100:{gpus} Feature=big
{partitions}"""

ACCOUNTING = """\
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=127.0.0.1
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge.socket
AccountingStoreFlags=job_comment
AccountingStorageTRES=gres/gpu"""

DATABASE_DAEMON = """\
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
DbdAddr=127.0.0.1
DbdHost={host}
DbdPort={port}
CommunicationParameters=NoInAddrAny
SlurmUser=root
StorageType=accounting_storage/mysql
StorageHost=127.0.0.1
StoragePort={database_port}
StorageLoc=slurm_acct_db
StorageUser=slurm
StoragePass={password}
PidFile={folder}/slurmdbd.pid
LogFile={folder}/log/slurmdbd.log
"""


OWNER = "owner.lock"
"""File in a cluster's folder that the process which runs it has locked."""


class CannotRunHereError(RuntimeError):
    """This machine cannot run the cluster; the text says why."""


def install(accounting: bool) -> None:
    """Install Debian's packages of SLURM if their programs are missing; starts no service.

    Raises:
        CannotRunHereError: not root, no apt-get, or no packages.
    """
    if os.geteuid() != 0:
        raise CannotRunHereError("slurmd must be root to start jobs as their owners")
    needed = DAEMONS + (ACCOUNTING_DAEMONS if accounting else ())
    if not all(shutil.which(name, path=SYSTEM_PATH) for name in needed):
        install_packages(*PACKAGES, *(ACCOUNTING_PACKAGES if accounting else ()))


def install_packages(*packages: str) -> None:
    """Install packages of Debian without starting their services.

    Raises:
        CannotRunHereError: not root, no apt-get, or no packages.
    """
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise CannotRunHereError(f"no {', '.join(packages)}: needs root and apt-get")
    # Debian's way to keep packages from starting their services.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in (
            ["apt-get", "update", "-qq"],
            ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
        ):
            ended = subprocess.run(
                command, env=environment, capture_output=True, text=True, check=False
            )
            if ended.returncode:
                raise CannotRunHereError(f"{' '.join(command)}: {ended.stderr.strip()[-300:]}")
    finally:
        if ours:
            policy.unlink()


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Look five times a second until a condition holds.

    Raises:
        TimeoutError: naming what was waited for.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.2)


class Cluster:
    """A cluster whose daemons are children of this process, and die with it.

    Two clusters can run side by side: each has its own munge key and its own ports.
    """

    def __init__(
        self,
        folder: Path,
        accounting: bool = False,
        nodes: int = 4,
        cpus: int = 16,
        memory: int = 100_000,
        gpus: int = 2,
        min_job_age: int = 300,
    ) -> None:
        """Describe a cluster; nothing is started.

        Args:
            folder: for everything the cluster writes.
            accounting: run slurmdbd and MariaDB, so that `sacct` works.
            nodes: number of nodes, node1 and on.
            cpus: CPUs of a node, whatever the machine has.
            memory: MB of a node.
            gpus: fake GPUs of a node.
            min_job_age: seconds that squeue shows an ended job.
        """
        self.folder = folder
        self.accounting = accounting
        self.nodes = [f"node{number}" for number in range(1, nodes + 1)]
        self.shape = {"cpus": cpus, "memory": memory, "gpus": gpus, "min_job_age": min_job_age}
        self.daemons: dict[str, subprocess.Popen[bytes]] = {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def environment(self) -> dict[str, str]:
        """For a process that is a user's login shell on the cluster."""
        return {
            MARK: str(self.folder),
            "SLURM_CONF": str(self.folder / "slurm.conf"),
            "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
        }

    def run(self, *command: str, check: bool = True, timeout: float = 60) -> str:
        """Run a client; its output.

        Raises:
            RuntimeError: with what it said, if it failed.
        """
        ended = subprocess.run(
            command,
            env=os.environ | self.environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=timeout,
        )
        if check and ended.returncode:
            raise RuntimeError(f"{' '.join(command)}: {ended.stderr.strip()}")
        return ended.stdout

    def jobs(self, states: str = "all") -> dict[str, tuple[str, str]]:
        """State and comment (rule and wildcards) of the jobs that squeue shows, by id."""
        table = self.run("squeue", "--noheader", f"--states={states}", "--format=%i|%T|%k")
        rows = [line.split("|", 2) for line in table.splitlines()]
        return {job: (state, comment) for job, state, comment in rows}

    def active(self, rule: str = "") -> dict[str, str]:
        """Id and state of queued, running and ending jobs, of one rule or all."""
        states = "PENDING,RUNNING,COMPLETING,CONFIGURING,SUSPENDED"
        return {
            job: state for job, (state, comment) in self.jobs(states).items() if rule in comment
        }

    def start(self) -> None:
        """Write the configuration and start every daemon.

        Raises:
            CannotRunHereError, TimeoutError: if it does not come up.
        """
        with Path(tempfile.gettempdir(), "radscale-test-clusters.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # one at a time chooses its ports
            install(self.accounting)
            end_orphans()
            self._write_configuration()
            self._start_daemons()

    def _start_daemons(self) -> None:
        self.spawn(
            "munged",
            *("munged", "--foreground", "--force", f"--key-file={self.folder}/munge.key"),
            *(f"--socket={self.folder}/munge.socket", f"--pid-file={self.folder}/munge.pid"),
            *(f"--log-file={self.folder}/log/munged.log", f"--seed-file={self.folder}/munge.seed"),
        )
        munge = ["munge", "--no-input", f"--socket={self.folder}/munge.socket"]
        wait_until(lambda: self._succeeds(*munge), 10, "munged")
        if self.accounting:
            self._start_accounting()
        self.start_controller()
        for node in self.nodes:
            self.start_node(node)
        wait_until(lambda: self._idle() == len(self.nodes), 30, "idle nodes")

    def start_controller(self) -> None:
        """Start slurmctld and wait until it answers."""
        self.spawn("slurmctld", "slurmctld", "-D")
        wait_until(lambda: "is UP" in self.run("scontrol", "ping", check=False), 30, "slurmctld")

    def start_node(self, node: str) -> None:
        """Start the daemon of a node."""
        self.spawn(node, "slurmd", "-D", "-N", node)

    def start_database_daemon(self) -> None:
        """Start slurmdbd and wait until it answers."""
        self.spawn("slurmdbd", "slurmdbd", "-D")
        answers = ("sacctmgr", "--noheader", "show", "cluster")
        wait_until(lambda: self._succeeds(*answers), 30, "slurmdbd")

    def kill(self, name: str, number: int = signal.SIGTERM) -> None:
        """End one daemon, by `slurmctld`, `slurmdbd` or the name of a node."""
        daemon = self.daemons.pop(name)
        daemon.send_signal(number)
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def stop(self) -> None:
        """Cancel all jobs, end all daemons of this cluster, and what jobs left running."""
        if "slurmctld" in self.daemons:
            self.run("scancel", "--user=root", check=False)
            # What does not end is ended below.
            with suppress(TimeoutError, RuntimeError, subprocess.TimeoutExpired):
                wait_until(lambda: not self.active(), 20, "end of jobs")
        for name in reversed(list(self.daemons)):
            self.kill(name)
        for process in self.leftovers():
            _kill(process)
        self._owned.close()

    def leftovers(self) -> list[int]:
        """Processes of this cluster: without cgroups, some outlive their job."""
        return [process for process, folder in _marked() if folder == self.folder]

    def spawn(self, name: str, *command: str) -> None:
        """Start a daemon in the foreground that ends with this process."""
        log = (self.folder / "log" / f"{name}.out").open("ab")
        program = shutil.which(command[0], path=SYSTEM_PATH)
        if program is None:
            raise CannotRunHereError(f"no {command[0]}")
        self.daemons[name] = subprocess.Popen(
            [program, *command[1:]],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=self.environment | {"PATH": SYSTEM_PATH},
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        log.close()

    def _write_configuration(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)
        for name in ("bin", "log", "state", "gpus"):
            (self.folder / name).mkdir(parents=True)
        self._owned = (self.folder / OWNER).open("w")
        fcntl.flock(self._owned, fcntl.LOCK_EX)
        port = _free_block(100)
        host = socket.gethostname().split(".")[0]
        self._places = {
            "folder": str(self.folder),
            "host": host,
            "port": port + 1,
            "database_port": port + 2,
            "password": os.urandom(12).hex(),
        }
        none = "AccountingStorageType=accounting_storage/none"
        accounting = ACCOUNTING if self.accounting else none
        values = {
            **self._places,
            **self.shape,
            "port": port,
            "srun_first": port + 40,
            "srun_last": port + 99,
            "node_first": port + 10,
            "node_last": port + 9 + len(self.nodes),
            "nodes": len(self.nodes),
            "accounting": accounting.format(**self._places),
            "partitions": PARTITIONS,
        }
        (self.folder / "slurm.conf").write_text(CONFIGURATION.format(**values))
        # A GPU needs a file whose name ends in its index and that is a character device.
        gpus = self.shape["gpus"]
        for index in range(gpus):
            (self.folder / f"gpus/nvidia{index}").symlink_to("/dev/null")
        (self.folder / "gres.conf").write_text(
            f"AutoDetect=off\nNodeName=node[1-{len(self.nodes)}] Name=gpu Type=a100 "
            f"File={self.folder}/gpus/nvidia[0-{gpus - 1}]\n"
        )
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o400)
        for node in self.nodes:
            (self.folder / f"spool.{node}").mkdir()
        # Jobs lose SLURM_CONF on their way through the executor plugin.
        for client in CLIENTS:
            real = shutil.which(client, path="/usr/bin:/bin:/usr/local/bin")
            if real:
                script = self.folder / "bin" / client
                script.write_text(
                    f'#!/bin/sh\nSLURM_CONF={self.folder}/slurm.conf exec {real} "$@"\n'
                )
                script.chmod(0o755)

    def _start_accounting(self) -> None:
        data = self.folder / "database"
        install_database = [
            *("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={data}"),
            *("--auth-root-authentication-method=normal", "--skip-test-db"),
        ]
        subprocess.run(install_database, check=True, capture_output=True)
        sock = f"--socket={self.folder}/mariadb.socket"
        self.spawn(
            "mariadbd",
            *("mariadbd", "--no-defaults", "--user=root", f"--datadir={data}", sock),
            *("--bind-address=127.0.0.1", f"--port={self._places['database_port']}"),
            *("--skip-name-resolve", f"--pid-file={self.folder}/mariadbd.pid"),
            *("--innodb-buffer-pool-size=64M", "--innodb-lock-wait-timeout=900"),
            "--innodb-flush-log-at-trx-commit=0",
        )
        ping = ("mariadb-admin", "--no-defaults", sock, "ping")
        wait_until(lambda: self._succeeds(*ping), 30, "mariadbd")
        self.run(
            *("mariadb", "--no-defaults", sock, "--user=root", "--execute"),
            "create database slurm_acct_db; create user 'slurm'@'127.0.0.1' identified by "
            f"'{self._places['password']}'; grant all on slurm_acct_db.* to 'slurm'@'127.0.0.1'",
        )
        file = self.folder / "slurmdbd.conf"
        file.touch(0o600)
        file.write_text(DATABASE_DAEMON.format(**self._places))
        self.start_database_daemon()
        for what in (
            "cluster test",
            "account study Description=study Organization=test",
            "qos urgent",
            "user root Account=study DefaultAccount=study QOS=+urgent",
        ):
            self.run("sacctmgr", "--immediate", "add", *what.split())

    def _idle(self) -> int:
        states = self.run("sinfo", "--noheader", "--Node", "--partition=cpu", "--format=%T")
        return states.split().count("idle")

    def _succeeds(self, *command: str) -> bool:
        try:
            self.run(*command, timeout=5)
        except (RuntimeError, subprocess.TimeoutExpired):
            return False
        return True


def _marked() -> Iterator[tuple[int, Path]]:
    """Processes that belong to a test cluster, and its folder."""
    mark = f"{MARK}=".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = path.read_bytes().split(b"\0")
        except OSError:  # ended meanwhile, or not ours to look into
            continue
        for folder in (value[len(mark) :] for value in variables if value.startswith(mark)):
            yield int(path.parent.name), Path(os.fsdecode(folder))


def end_orphans() -> None:
    """End the processes of clusters whose own process was killed."""
    for process, folder in list(_marked()):
        try:
            with (folder / OWNER).open() as owner:
                fcntl.flock(owner, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        except FileNotFoundError:
            pass
        _kill(process)


def _kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


def _die_with_parent() -> None:
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _free_block(size: int) -> int:
    """The first of a block of free ports."""
    table = Path("/proc/net/tcp").read_text()
    used = {int(port, 16) for port in re.findall(r"^ *\d+: \w{8}:(\w{4})", table, re.MULTILINE)}
    for first in range(21000, 32000, size):
        if not used & set(range(first, first + size)):
            return first
    raise CannotRunHereError("no free block of ports between 21000 and 32000")


def main() -> None:
    """Run a cluster until interrupted."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="everything is written here")
    parser.add_argument("--accounting", action="store_true", help="slurmdbd, so that sacct works")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Cluster(arguments.folder.resolve(), arguments.accounting) as cluster:
        for name, value in cluster.environment.items():
            print(f"export {name}={value}", flush=True)
        with suppress(KeyboardInterrupt):
            signal.pause()


if __name__ == "__main__":
    main()
