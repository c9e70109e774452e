"""What is decided of a job whose manifests are damaged."""

from pathlib import Path
from types import SimpleNamespace

import snakemake.api  # noqa: F401 - before its modules, which import each other
from snakemake.io import IOFile
from snakemake.iocontainers import InputFiles, Params

from radscale_lib.provenance.layout import job_of
from radscale_lib.provenance.manifest import DONE, File, Manifest, path_of, write_manifest
from workflow.provenance import UNKNOWN, Decisions

RUN = "rad-dino/n=20/seed=0"
ENCODER = f"encoders/{RUN}/encoder.safetensors"
FEATURES = f"features/{RUN}/features.safetensors"


def test_a_damaged_manifest_of_an_input_is_told_and_ends_nothing(tmp_path: Path) -> None:
    stated = File(1, "digest")
    for name in (ENCODER, FEATURES):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("x")
        inputs = {} if name == ENCODER else {ENCODER: stated}
        made = Manifest("features", {}, "id", "ab12", "", DONE, inputs, {name: stated})
        write_manifest(path_of(tmp_path, str(job_of(name))), made)
    job = SimpleNamespace(
        input=InputFiles([IOFile(str(tmp_path / ENCODER))]),
        output=[str(tmp_path / FEATURES)],
        params=Params(fromdict={"id": "id.ab12"}),
    )
    assert Decisions(tmp_path, {})._unless_removed(job) == ""
    path_of(tmp_path, f"encoders/{RUN}").write_text("{")
    why = Decisions(tmp_path, {})._unless_removed(job)
    assert why.startswith(UNKNOWN) and "damaged: delete it" in why
