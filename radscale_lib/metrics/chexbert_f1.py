"""CheXbert F1: whether a report affirms what its reference does, by CheXbert's labeller."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from radscale_lib.metrics.base import ReportPairs, TextMetric
from radscale_lib.metrics.lexical_f1 import f1
from radscale_lib.metrics.weights import CHEXBERT_FILES

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

OBSERVATIONS = (
    "Enlarged Cardiomediastinum", "Cardiomegaly", "Lung Opacity", "Lung Lesion", "Edema",
    "Consolidation", "Pneumonia", "Atelectasis", "Pneumothorax", "Pleural Effusion",
    "Pleural Other", "Fracture", "Support Devices", "No Finding",
)  # fmt: skip
"""The labeller's observations, in the order of its heads."""
KEY = "chexbert"
"""Key of a generation task: the folder of the weights."""
CLASSES = 4
"""Classes of an observation: blank, positive, negative, uncertain. "No Finding" has the first
two."""
BATCH = 32
LONGEST = 512


def label_reports(folder: Path, texts: Sequence[str]) -> NDArray[np.bool_]:
    """Which observations each report affirms or holds possible.

    The labeller of Smit et al. 2020 (arXiv 2004.09167): a linear head for each observation on
    BERT's first token. Nothing is downloaded, and no executable content is read.

    Args:
        folder: with `CHEXBERT_FILES`.
        texts: N reports in English.

    Returns:
        [N, 14], in the order of `OBSERVATIONS`.

    Raises:
        ValueError: if the checkpoint is of another model.
    """
    import numpy as np
    import torch
    from transformers import BertConfig, BertModel, BertTokenizer

    tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
    model = BertModel(BertConfig.from_pretrained(folder, local_files_only=True))
    width, count = model.config.hidden_size, len(OBSERVATIONS)
    heads = torch.nn.ModuleList(
        torch.nn.Linear(width, CLASSES if place < count - 1 else 2) for place in range(count)
    )
    labeller = torch.nn.ModuleDict({"bert": model, "linear_heads": heads})
    labeller.load_state_dict(_weights(folder / CHEXBERT_FILES[0], labeller.state_dict()))
    labeller.eval()
    rows = []
    with torch.inference_mode():
        for start in range(0, len(texts), BATCH):
            batch = [" ".join(text.split()) for text in texts[start : start + BATCH]]
            inputs = tokenizer(
                batch, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt"
            )
            first = model(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"]
            ).last_hidden_state[:, 0]
            said = torch.stack([head(first).argmax(1) for head in heads], 1).numpy()
            rows.append((said == 1) | (said == 3))
    return np.concatenate(rows) if rows else np.zeros((0, count), bool)


def _weights(path: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint's tensors under our names."""
    import torch

    state = torch.load(path, map_location="cpu", weights_only=True)["model_state_dict"]
    named = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    # Older releases of transformers kept the positions 0, 1, … among the weights.
    named.pop("bert.embeddings.position_ids", None)
    if set(named) != set(wanted):
        odd = sorted(set(named) ^ set(wanted))[0]
        raise ValueError(f"{path}: not CheXbert's checkpoint for this config.json: {odd}")
    return named


def _statistics(pairs: ReportPairs) -> NDArray[np.int64]:
    import numpy as np

    claimed, true = (
        label_reports(pairs.weights[KEY], texts) for texts in (pairs.generated, pairs.references)
    )
    counts = [claimed & true, claimed & ~true, ~claimed & true]
    return np.stack(counts, axis=-1).astype(np.int64)


METRIC = TextMetric(
    name="chexbert_f1",
    title="CheXbert F1",
    chance=0.0,
    weights=KEY,
    statistics=_statistics,
    of=f1,
    by_label=True,
    labels=OBSERVATIONS,
)
