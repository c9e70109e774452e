"""The site file: what it turns into, and what it says of mistakes."""

import os
import subprocess
from pathlib import Path

import pytest

from radscale_lib.study.compute import Compute
from workflow.site import Site, SiteError, load_site

ROOT = Path(__file__).parents[2]


def test_the_site_file_of_the_repository_asks_for_nothing_by_name() -> None:
    site = load_site(ROOT / "profiles/slurm/site.yaml")
    assert site.everywhere() == {} and site.place(1) == {}


def test_partition_and_model_by_need_of_a_gpu() -> None:
    site = Site(partition="cpu", gpu_partition="gpu", gpu_model="a100", account="x", qos="long")
    assert site.everywhere() == {"slurm_account": "x", "qos": "long"}
    assert site.place(0) == {"slurm_partition": "cpu", "gpu_model": ""}
    assert site.place(2) == {"slurm_partition": "gpu", "gpu_model": "a100"}


@pytest.mark.parametrize(("devices", "nodes"), [(1, 1), (8, 1), (16, 2), (12, 2)])
def test_nodes(devices: int, nodes: int) -> None:
    site = Site(devices_per_node=8)
    assert site.nodes(devices) == nodes
    asked = site.training(Compute(device="cuda", devices=devices))
    assert asked["slurm_extra"] == "--signal=USR1@300"
    assert asked.get("nodes", 1) == asked.get("tasks", 1) == nodes
    assert ("mpi" in asked) == (nodes > 1)


def test_devices_that_do_not_fill_their_nodes() -> None:
    with pytest.raises(SiteError, match=r"compute\.devices 9 does not fill 2 nodes of 8"):
        Site(devices_per_node=8).nodes(9)


@pytest.mark.parametrize(
    ("text", "message"),
    [("partitoin: gpu", "partitoin"), ("walltime_minutes: 0", "walltime_minutes"), ("[", "YAML")],
)
def test_mistakes_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(SiteError, match=message):
        load_site(path)
    with pytest.raises(SiteError, match="cannot be read"):
        load_site(tmp_path / "absent.yaml")


@pytest.mark.parametrize("define", [True, False])
def test_modules_are_loaded_or_the_job_fails(tmp_path: Path, define: bool) -> None:
    """By a shell that has lost `module`, as a job's may."""
    (tmp_path / "init").mkdir()
    loads = 'module() { [ "$*" = "load cuda/12 gcc" ] && echo "loaded $unset"; }'
    (tmp_path / "init/bash").write_text(loads if define else "")
    ended = subprocess.run(
        ["bash", "-c", Site(modules=("cuda/12", "gcc")).load_modules() + "echo command"],
        env={"MODULESHOME": str(tmp_path), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stdout == ("loaded \ncommand\n" if define else "")
    assert (ended.returncode == 0) == define
