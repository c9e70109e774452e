"""Metrics of reports that have weights: loaded from a folder, or left out."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from transformers import BertConfig, BertModel, BertTokenizer

from radscale_lib.metrics.chexbert_f1 import OBSERVATIONS, label_reports
from radscale_lib.metrics.radgraph_f1 import METRIC as RADGRAPH_F1
from radscale_lib.preflight.settings import settings_findings
from radscale_lib.study import parse_study
from radscale_lib.study.archive import Labels
from radscale_lib.study.paths import path_problems
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


@pytest.fixture(scope="module")
def radgraph(tmp_path_factory):
    """A model of the package's published form, of random weights, beside its tiny BERT."""
    folder = tmp_path_factory.mktemp("radgraph")
    bert, model = folder / "bert", folder / "radgraph-xl"
    vocabulary = model / "vocabulary"
    vocabulary.mkdir(parents=True)
    config = BertConfig(
        **{"vocab_size": len(WORDS) + 4, "hidden_size": 16, "num_hidden_layers": 1},
        **{"num_attention_heads": 2, "intermediate_size": 16},
    )
    torch.manual_seed(0)
    BertModel(config).save_pretrained(bert)
    # The package recognises special tokens by the first two letters and digits.
    (bert / "vocab.txt").write_text("\n".join([*WORDS, "a", "b", "1", "2"]) + "\n")
    named = {"bert": {"model_name": str(bert), "max_length": 128}}
    described = {
        "dataset_reader": {"max_span_width": 4, "token_indexers": named},
        "model": {
            **{"initializer": {}, "module_initializer": {}},
            "type": "dygie",
            "embedder": {"token_embedders": named},
            "modules": {
                "ner": {},
                "coref": {"spans_per_word": 0.3, "max_antecedents": 10, "coref_prop": 0},
                "relation": {"spans_per_word": 0.5},
                "events": {"trigger_spans_per_word": 0.3, "argument_spans_per_word": 0.8},
            },
            **{"feature_size": 4, "max_span_width": 4, "target_task": "relation"},
            "feedforward_params": {"num_layers": 1, "hidden_dims": 8, "dropout": 0.0},
            "loss_weights": {"ner": 1, "relation": 1, "coref": 0, "events": 0},
        },
    }
    (model / "config.json").write_text(json.dumps(described))
    (vocabulary / "non_padded_namespaces.txt").write_text("*labels\n*tags\n")
    entities = ("Observation::definitely present", "Anatomy::definitely present")
    names = {"ner": entities, "relation": ("located_at", "modify")}
    for kind, labels in names.items():
        file = vocabulary / f"radgraph-xl__{kind}_labels.txt"
        file.write_text("\n".join(["", *labels]) + "\n")
    (model / "weights.th").write_bytes(b"")
    return model


def test_radgraph_f1_is_the_packages_own(radgraph, monkeypatch):
    """The package builds the model of the configuration; its weights are those of the folder."""
    pytest.importorskip("radgraph")
    from radgraph.dygie.models.dygie import DyGIE

    made = {}

    def first(model, state, strict):
        torch.manual_seed(1)
        made.update({name: torch.randn_like(each) for name, each in model.state_dict().items()})
        torch.save(made, radgraph / "weights.th")

    torch.save({}, radgraph / "weights.th")
    texts = ["no pleural effusion .", "heart in place . edema", "edema in place .", "tube ."]
    pairs = SimpleNamespace(generated=texts, references=texts, weights={"radgraph": radgraph})
    with monkeypatch.context() as patch:
        patch.setattr(DyGIE, "load_state_dict", first)
        RADGRAPH_F1.statistics(pairs)
    assert RADGRAPH_F1.statistics(pairs).tolist() == [[1, 1]] * len(texts)
    pairs.generated = texts[1:] + texts[:1]
    rewards = RADGRAPH_F1.statistics(pairs)
    assert 0 < rewards[:, 0].mean() < 1 and (rewards[:, 1] == 1).all()


def test_weights_that_are_missing_stop_a_study_before_it_starts(chexbert, radgraph, tmp_path):
    values = yaml.safe_load(Path("config/smoke.yaml").read_text())

    def said(key, folder):
        task = values["evaluation"]["tasks"]["reports"] | {key: str(folder)}
        tasks = values["evaluation"]["tasks"] | {"reports": task}
        study = parse_study(values | {"evaluation": values["evaluation"] | {"tasks": tasks}})
        return "\n".join([*path_problems(study), *(f.text for f in settings_findings(study))])

    assert "chexbert" not in said("chexbert", chexbert[0])
    shutil.copytree(chexbert[0], tmp_path / "chexbert")
    (tmp_path / "chexbert/chexbert.pth").unlink()
    assert f"chexbert: no chexbert.pth in '{tmp_path}/chexbert': put the published weights" in said(
        "chexbert", tmp_path / "chexbert"
    )
    assert f"reports.chexbert: no folder '{tmp_path}/none'" in said("chexbert", tmp_path / "none")
    for name in ("weights.th", "vocabulary/non_padded_namespaces.txt"):
        copy = tmp_path / name.partition("/")[0] / "radgraph-xl"
        shutil.copytree(radgraph, copy)
        (copy / name).unlink()
        assert f"radgraph: no {name} in '{copy}'" in said("radgraph", copy)
    config = copy / "config.json"
    shutil.copytree(radgraph, copy, dirs_exist_ok=True)
    config.write_text(config.read_text().replace(str(radgraph.parent / "bert"), "org/no-bert"))
    assert "radgraph: the BERT 'org/no-bert'" in said("radgraph", copy)
    config.write_text("{}")
    assert "is not RadGraph's: put the published archive there" in said("radgraph", copy)
