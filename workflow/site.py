"""The resources and names of a cluster: the site file, `profiles/slurm/site.yaml`."""

import math
import os
import shlex
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError

from radscale_lib.places import workflow_folder
from radscale_lib.study.base import Section
from radscale_lib.study.compute import Compute


class SiteError(ValueError):
    """A site file that cannot be used."""


class Site(Section):
    """Facts about a cluster. They change where and how jobs run, never what they compute."""

    account: str | None = Field(None, description="Account that jobs are charged to.")
    partition: str | None = Field(None, description="Partition of jobs without a GPU.")
    gpu_partition: str | None = Field(None, description="Partition of jobs with GPUs.")
    qos: str | None = Field(None, description="Quality of service of every job.")
    constraint: str | None = Field(None, description="Node feature that every job needs.")
    gpu_model: str | None = Field(None, description="GPU type, as in `--gpus=a100:8`.")
    devices_per_node: int = Field(
        8, ge=1, description="Training processes per node: its GPUs, or the same number on CPUs."
    )
    walltime_minutes: int = Field(
        1440, ge=1, description="Longest time limit; longer trainings are chains of jobs."
    )
    warning_seconds: int = Field(
        300, ge=1, description="A training job is signalled to save this long before its limit."
    )
    gpu_gb: float | None = Field(
        None, gt=0, description="Memory of a GPU, GB: the plan warns of trainings that need more."
    )
    modules: tuple[str, ...] = Field((), description="Environment modules that jobs load.")
    scratch: str | None = Field(
        None, description="Node-local folder to which shards are copied before training."
    )

    sharing: Literal["private", "group"] = Field(
        "private",
        description="Who may open new folders with rows of patients: the user alone (mode 0700), "
        "or the group too (2770).",
    )

    @property
    def folder_mode(self) -> int:
        """Mode of new folders with rows of patients."""
        return 0o2770 if self.sharing == "group" else 0o700

    def nodes(self, devices: int) -> int:
        """Nodes that a run on this many devices needs.

        Raises:
            SiteError: if the devices do not fill their nodes evenly.
        """
        nodes = math.ceil(devices / self.devices_per_node)
        if devices % nodes:
            raise SiteError(
                f"compute.devices {devices} does not fill {nodes} nodes of "
                f"{self.devices_per_node}: change it, or devices_per_node of the site file"
            )
        return nodes

    def everywhere(self) -> dict[str, str]:
        """Resources that every job asks for, by the executor's names."""
        named = {
            "slurm_account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
        }
        return {name: value for name, value in named.items() if value}

    def place(self, gpus: int) -> dict[str, str]:
        """Resources that depend on whether a job needs GPUs; empty text requests nothing.

        Whatever the site does not set is left out, so that a profile can set it.
        """
        asked = {}
        if self.partition or self.gpu_partition:
            asked["slurm_partition"] = (gpus and self.gpu_partition) or self.partition or ""
        if self.gpu_model:
            asked["gpu_model"] = self.gpu_model if gpus else ""
        return asked

    def load_modules(self) -> str:
        """Shell commands before a job's own: load the modules, or fail.

        The shell function `module` is lost if a scheduler runs jobs in a plain sh.
        """
        define = 'type module &> /dev/null || . "$MODULESHOME/init/bash"'
        # `module` itself uses unset variables.
        return f"{define}; set -e; module load {shlex.join(self.modules)}; set -uo pipefail; "

    def training(self, compute: Compute) -> dict[str, Any]:
        """Resources of a training job besides memory, time and GPUs."""
        # The signal goes to job steps, not to the batch script, which is the executor's.
        asked: dict[str, Any] = {"slurm_extra": f"--signal=USR1@{self.warning_seconds}"}
        nodes = self.nodes(compute.devices)
        if nodes > 1:
            asked |= {"mpi": "srun", "nodes": nodes, "tasks": nodes, "tasks_per_gpu": 0}
        return asked


def site_file() -> Path:
    """The site file: RADSCALE_SITE, else the working folder's, else the workflow's own."""
    if given := os.environ.get("RADSCALE_SITE"):
        return Path(given)
    own = Path("profiles/slurm/site.yaml")
    return own if own.is_file() else workflow_folder() / own


def load_site(path: Path) -> Site:
    """Read a site file (YAML).

    Raises:
        SiteError: naming the file, and each key with its problem.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        return Site.model_validate(values)
    except OSError as error:
        raise SiteError(f"{path}: cannot be read ({error.strerror})") from None
    except yaml.YAMLError as error:
        raise SiteError(f"{path}: not valid YAML: {' '.join(str(error).split())}") from None
    except ValidationError as error:
        problems = "\n".join(
            f"  - {'.'.join(map(str, problem['loc'])) or 'file'}: {problem['msg']}"
            for problem in error.errors()
        )
        keys = ", ".join(Site.model_fields)
        raise SiteError(f"{path}:\n{problems}\nKeys of a site file: {keys}") from None
