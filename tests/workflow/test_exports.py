"""`snakemake exports`: final encoders for other libraries, made once, and again after a change."""

import pytest
import timm
from transformers import AutoModel

from tests.workflow.checkout import Checkout


@pytest.mark.slow
def test_final_encoders_are_exported_once(tiny: Checkout) -> None:
    tiny.snakemake("--", "exports")
    folders = sorted(path.parent for path in tiny.results.glob("exports/*/*/*/README.md"))
    runs = [path.relative_to(tiny.results / "exports").as_posix() for path in folders]
    assert runs == [
        "mi2-open/n=0/seed=0",
        "mi2-reports/n=16/seed=0",
        "rad-dino/n=16/seed=0",
        "rad-dino-open/n=0/seed=0",
    ]
    timm.create_model(f"local-dir:{folders[1]}", pretrained=True)
    _, told = AutoModel.from_pretrained(folders[2], output_loading_info=True)
    assert not told["missing_keys"]
    card = (folders[2] / "README.md").read_text()
    assert "Images in the training subset: 16" in card and "| findings | linear | auroc |" in card
    assert "an embedded archive of phantoms" in card
    assert "Nothing to be done" in tiny.snakemake("--", "exports")
    (folders[1] / "model.safetensors").unlink()
    jobs = [job["rule"] for job in tiny.plan("exports")]
    assert jobs == ["export_encoder"]
