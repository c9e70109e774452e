"""Metrics of reports that have weights: loaded from a folder, or left out."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel, BertTokenizer

from radscale_lib.metrics.chexbert_f1 import OBSERVATIONS, label_reports
from radscale_lib.study.archive import Labels
from radscale_lib.tasks.bootstrap import PatientDraws
from radscale_lib.tasks.report_scoring import Reports, score_reports

WORDS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "no", "pleural", "effusion", "heart")
WORDS += ("edema", ".", "tube", "in", "place")
TEXTS = ["No pleural effusion .", "heart \n edema", "tube in place", ""] * 3


@pytest.fixture(scope="module")
def chexbert(tmp_path_factory):
    """A labeller of the published form, of random weights."""
    folder = tmp_path_factory.mktemp("chexbert")
    (folder / "vocab.txt").write_text("\n".join(WORDS) + "\n")
    config = BertConfig(
        **{"vocab_size": len(WORDS), "hidden_size": 8, "num_hidden_layers": 1},
        **{"num_attention_heads": 2, "intermediate_size": 8},
    )
    config.save_pretrained(folder)
    torch.manual_seed(0)
    heads = torch.nn.ModuleList(torch.nn.Linear(8, 4) for _ in range(13))
    heads.append(torch.nn.Linear(8, 2))
    for parameter in heads.parameters():
        parameter.data *= 8
    model = torch.nn.ModuleDict({"bert": BertModel(config), "linear_heads": heads})
    state = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    state["module.bert.embeddings.position_ids"] = torch.arange(512)[None]
    torch.save({"epoch": 1, "model_state_dict": state}, folder / "chexbert.pth")
    model.eval()
    return folder, model


def test_labels_are_the_heads_of_the_checkpoint(chexbert):
    folder, model = chexbert
    tokenizer = BertTokenizer.from_pretrained(folder)
    for text, row in zip(TEXTS, label_reports(folder, TEXTS), strict=True):
        inputs = tokenizer(" ".join(text.split()), return_tensors="pt")
        first = model["bert"](**inputs).last_hidden_state[:, 0]
        said = [int(head(first).argmax()) in (1, 3) for head in model["linear_heads"]]
        assert row.tolist() == said
    assert 0 < label_reports(folder, TEXTS).mean() < 1


def test_a_checkpoint_of_another_model_is_refused(chexbert, tmp_path):
    folder, _ = chexbert
    for name in ("config.json", "vocab.txt"):
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    torch.save({"model_state_dict": {"bert.x": torch.zeros(1)}}, tmp_path / "chexbert.pth")
    with pytest.raises(ValueError, match=r"chexbert.pth: not CheXbert's checkpoint for"):
        label_reports(tmp_path, TEXTS)


def test_its_f1_is_scored_where_weights_are_given(chexbert):
    folder, _ = chexbert
    draws = PatientDraws.draw([str(index) for index in range(len(TEXTS))], 20, 0)
    generated = TEXTS[1:] + TEXTS[:1]
    found = score_reports(Reports(generated, TEXTS, Labels(), {}, "zh"), draws)
    assert {score.metric for score in found} == {"bleu", "chrf", "rouge_l"}
    found = score_reports(
        Reports(generated, TEXTS, Labels(), {}, "zh", {"chexbert": folder}), draws
    )
    by_target = {score.target: score for score in found if score.metric == "chexbert_f1"}
    assert set(by_target) == {*OBSERVATIONS, "micro", "macro"}
    ours, theirs = label_reports(folder, generated), label_reports(folder, TEXTS)
    hits, wrong = (ours & theirs).sum(), (ours != theirs).sum()
    assert by_target["micro"].value == pytest.approx(2 * hits / (2 * hits + wrong))
    same = score_reports(Reports(TEXTS, TEXTS, Labels(), {}, "zh", {"chexbert": folder}), draws)
    assert {s.value for s in same if s.target == "micro"} == {1.0}
    assert np.isfinite(by_target["macro"].value)
