"""RadGraph F1: agreement of a generated report's entities and relations with its reference's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from radscale_lib.metrics.base import ReportPairs, TextMetric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from radscale_lib.metrics.base import Floats

KEY = "radgraph"
"""Key of a generation task: the folder of the weights."""


def _statistics(pairs: ReportPairs) -> NDArray[np.float64]:
    """Reward "partial" of each report, by the package radgraph, and 1.

    It compares entities with their labels, and whether they have a relation. Nothing is downloaded:
    the BERT that config.json names must be a folder, or in the Hugging Face cache.
    """
    import os

    # Before the import of huggingface_hub, which reads it once.
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import numpy as np

    _old_tokenizers()
    from radgraph import F1RadGraph

    folder = pairs.weights[KEY]
    scorer = F1RadGraph(
        reward_level="partial", model_type=folder.name, model_cache_dir=str(folder.parent), cuda=-1
    )
    _, rewards, _, _ = scorer(refs=pairs.references, hyps=pairs.generated)
    return np.stack([np.asarray(rewards, np.float64), np.ones(len(rewards))], axis=1)


def _old_tokenizers() -> None:
    """Restore tokenizer methods that radgraph 0.1.18 needs and transformers 5 removed."""
    from transformers import PreTrainedTokenizerBase as Tokenizer

    def enclosed(self: Tokenizer, ids: list[int]) -> list[int]:
        return [self.cls_token_id, *ids, self.sep_token_id]

    for name, method in (
        ("encode_plus", Tokenizer.__call__),
        ("build_inputs_with_special_tokens", enclosed),
    ):
        if not hasattr(Tokenizer, name):
            setattr(Tokenizer, name, method)


def _mean(sums: Floats) -> Floats:
    mean: Floats = sums[..., 0] / sums[..., 1]
    return mean


METRIC = TextMetric(
    name="radgraph_f1",
    title="RadGraph F1",
    chance=0.0,
    weights=KEY,
    statistics=_statistics,
    of=_mean,
)
