"""Wrong study files, one per kind of mistake, each with the message it must give."""

import json
from pathlib import Path

import pytest
import yaml

from radscale_lib.study import StudyError, load_study, parse_study

SMOKE = yaml.safe_load(Path("config/smoke.yaml").read_text())
REMOVED = object()
DICOM_ONLY = {"dicom": "archive/dicom"}


def edited(edits):
    """The smallest study with values set, or removed, by dotted key."""
    study = json.loads(json.dumps(SMOKE))  # a copy in which YAML aliases share nothing
    for key, value in edits.items():
        *path, last = key.split(".")
        section = study
        for part in path:
            section = section[part]
        if value is REMOVED:
            del section[last]
        else:
            section[last] = value
    return study


RECIPE = {"paradigm": "supervised", "optimiser": {"samples": 80, "batch": 16, "lr": 1e-3}}
LABELS = {"encoder": "rad-dino", "supervision": ["labels"], "recipe": RECIPE}
NO_REPORTS = {"evaluation.tasks.reports": REMOVED, "scaling.metrics.reports": REMOVED}
ENDPOINT = {"url": "http://127.0.0.1:8000/v1", "model": "m"}
ADDRESS = "write one as http://127.0.0.1:8000/v1"
PORT = "an address's port is a number from 1 to 65535"
HOST = "no host has such a name: between its dots are 1 to 63 letters, and 253 in all"
BLANK = "blank: write some words, or remove the key"
TIMM = {"kind": "timm", "name": "test_vit"}
IMAGE = {"image": SMOKE["institution"]["image"]}
WRONG = {
    "a shared archive that nobody ingested": (
        {"institution": {"ingested": "absent/archive"}},
        "institution.ingested: no ingested archive 'institution' in 'absent/archive': give the "
        "folder of a study's results, <results>/<name>, after `snakemake ingest` there",
    ),
    "a shared archive with settings of its own": (
        {"institution": {"ingested": "absent/archive", **IMAGE}},
        "institution.image: the archive of institution.ingested has its settings already: remove "
        "image, or ingested",
    ),
    "nothing to train or to evaluate": (
        {"arms": {}, "bases": REMOVED},
        "arms: neither arms nor baselines: name an encoder to train, or one to evaluate",
    ),
    "a device without power": (
        {"compute": {"watts": 0}},
        "compute.watts: must be greater than 0 (got 0)",
    ),
    "examples by a word": (
        {"report.examples": "some"},
        "report.examples: must be a valid boolean, unable to interpret input (got 'some')",
    ),
    "a share that is less than a step": (
        {"arms.rad-dino.keep": [0.05, 0.5]},
        "arms.rad-dino: keep 0.05 of 5 steps is less than one: keep 0.2 or more",
    ),
    "two shares of one step": (
        {"arms.rad-dino.keep": [0.4, 0.41]},
        "arms.rad-dino: keep [0.4, 0.41] of 5 steps names a step twice: name fewer shares",
    ),
    "checkpoints chosen by a task of another kind": (
        {"arms.rad-dino.keep": [0.4], "scaling.checkpoint_by": "reports"},
        "scaling.checkpoint_by: 'reports' is not a classification task: use one of "
        "['findings', 'tubes']",
    ),
    "checkpoints chosen that nobody keeps": (
        {"scaling.checkpoint_by": "findings"},
        "scaling.checkpoint_by: no arm keeps an encoder on the way: give one 'keep', or remove "
        "this",
    ),
    "arms without sizes": (
        {"subsets": {}},
        "subsets.sizes: required key is missing: add it",
    ),
    "baseline of no encoder": (
        {"baselines": {"dinov2": {"encoder": "dino"}}},
        "baselines.dinov2.encoder: 'dino' is not an encoder: use one of ['mi2', 'rad-dino']",
    ),
    "baseline that an arm starts from": (
        {"baselines": {"again": {"encoder": "mi2"}}},
        "baselines.again.encoder: 'mi2' is a baseline already, as the initial weights of an arm: "
        "remove the entry",
    ),
    "baseline named as an arm": (
        {"baselines": {"rad-dino": {"encoder": "vit"}}, "encoders.vit": TIMM | {"random": 1}},
        "baselines.rad-dino: the name is taken by an arm or its initial weights: rename it",
    ),
    "baseline named as a floor": (
        {
            "baselines": {"mi2-random": {"encoder": "vit"}},
            "encoders.vit": TIMM | {"random": 1},
            "evaluation.floors": True,
        },
        "evaluation.floors: 'mi2-random' is the name of a floor: rename the arm or baseline, or "
        "set floors to false",
    ),
    "baseline without weights": (
        {"baselines": {"vit": {"encoder": "vit"}}, "encoders.vit": TIMM},
        "encoders.vit.weights: no weights, which baselines.vit evaluates: name local ones, or give "
        "'random', a seed of random weights",
    ),
    "timm without a model": (
        {"encoders.vit": {"kind": "timm"}},
        "encoders.vit.name: no model: name one of timm's, or give a folder with timm's config.json",
    ),
    "open_clip without a model": (
        {"encoders.clip": {"kind": "open_clip"}},
        "encoders.clip.name: no model: name one of open_clip's, or give a folder with "
        "open_clip_config.json",
    ),
    "open_clip of no such model": (
        {"encoders.clip": {"kind": "open_clip", "name": "ViT-B-33"}},
        "encoders.clip.name: 'ViT-B-33' is none of open_clip's models: use one that "
        "open_clip.list_models() lists",
    ),
    "transformers without a configuration": (
        {"encoders.dino": {"kind": "transformers"}},
        "encoders.dino.weights: no config.json in the folder: give a folder in Hugging Face form",
    ),
    "code without leave": (
        {
            "encoders.dino": {
                "kind": "transformers",
                "config": {"model_type": "x", "auto_map": {"AutoModel": "mine.Model"}},
            }
        },
        "encoders.dino.trust_remote_code: the folder brings code of its own (mine.Model), which is "
        "not run unless this is true: read it, then set it, or give a folder of a model that "
        "transformers has",
    ),
    "a head of no known kind": (
        {"evaluation.tasks.findings.heads": {"tree": {"kind": "forest"}}},
        "evaluation.tasks.findings.heads.tree.kind: must be one of 'attention', 'knn', 'linear', "
        "'zero-shot' (got 'forest')",
    ),
    "a template without a place": (
        {
            "evaluation.tasks.findings.heads": {
                "words": {"kind": "zero-shot", "templates": ["x-ray chest"]}
            }
        },
        "evaluation.tasks.findings.heads.words.templates.0: 'x-ray chest' needs {} once, where the "
        "prompt stands, and no more (got 'x-ray chest')",
    ),
    "prompts of no label": (
        {
            "evaluation.tasks.findings.heads": {
                "words": {
                    "kind": "zero-shot",
                    "prompts": {"oedema": {"present": ["oedema"], "absent": ["no oedema"]}},
                }
            }
        },
        "evaluation.tasks.findings.heads.words.prompts.oedema: no such label: use one of "
        "['cardiomegaly', 'effusion']",
    ),
    "positions without their columns": (
        {"evaluation.tasks.tubes.target": "positions"},
        "labels.positions: [] leaves task 'tubes' without a target: name its columns",
    ),
    "positions that are tubes too": (
        {"labels.positions": ["ett"]},
        "labels: positions: ['ett'] are labels of the study already: remove them here",
    ),
    "a test archive that is learnt from": (
        {"test_archives": {"other": {"phantom": SMOKE["institution"]["phantom"], **IMAGE}}},
        "test_archives.other.phantom.seed: 11 with the same settings gives the images of "
        "'institution' again: give another seed",
    ),
    "a test archive of another preparation": (
        {"test_archives": {"other": {"phantom": {"patients": 5, "seed": 3}}}},
        "test_archives.other.image: differs from institution.image, so scores would also reflect "
        "the preparation: make both equal",
    ),
    "a test archive named like the institution": (
        {"test_archives": {"public": {"phantom": {"patients": 5, "seed": 3}, **IMAGE}}},
        "test_archives.public: the name is taken by an archive from which encoders learn: rename "
        "it",
    ),
    "a test archive without an unknown label": (
        {
            "test_archives": {
                "other": {
                    "phantom": {"patients": 5, "seed": 3},
                    "without_labels": ["mass"],
                    **IMAGE,
                }
            }
        },
        "test_archives.other.without_labels: ['mass'] not among the study's labels: use some of "
        "['cardiomegaly', 'effusion', 'ett', 'cvc']",
    ),
    "a test archive of another study": (
        {
            "test_archives": {
                "other": {"phantom": {"patients": 5, "seed": 3}, "ingested": "results/a", **IMAGE}
            }
        },
        "test_archives.other.ingested: a test archive is compared, during its ingest, with the "
        "archives from which this study learns: remove this key and give dicom",
    ),
    "a test archive without tables": (
        {"test_archives": {"other": {"dicom": "films", **IMAGE}}},
        "test_archives.other: there is no table to score with: give reports, labels or tubes",
    ),
    "no head": (
        {"evaluation.tasks.findings.heads": {}},
        "evaluation.tasks.findings.heads: must not be empty: name at least one (got {})",
    ),
    "a share of more than all labels": (
        {"evaluation.tasks.findings.heads": {"few": {"kind": "knn", "label_shares": [1.5]}}},
        "evaluation.tasks.findings.heads.few.label_shares.0: must be less than 1 (got 1.5)",
    ),
    "a head that is fitted and not there": (
        {"scaling.heads": {"findings": "knn"}},
        "scaling.heads.findings: 'knn' is not a head of this task: use one of ['linear']",
    ),
    "several heads and none is named": (
        {
            "evaluation.tasks.findings.heads": {
                "near": {"kind": "knn"},
                "linear": {"kind": "linear"},
            }
        },
        "scaling.heads.findings: missing, and the task has several heads: name the one that is "
        "fitted and drawn, one of ['near', 'linear']",
    ),
    "the head of a task that is not there": (
        {"scaling.heads": {"finding": "linear"}},
        "scaling.heads.finding: no such task: remove it, or use one of ['findings', 'reports', "
        "'segmentation', 'tubes']",
    ),
    "interpolation of what is no arm": (
        {"arms.wise": {"interpolates": "rad-din"}},
        "arms.wise.interpolates: 'rad-din' is not an arm that is trained: use one of "
        "['mi2-reports', 'mi2-reports-labels', 'rad-dino']",
    ),
    "interpolation of an interpolation": (
        {"arms.wise": {"interpolates": "wiser"}, "arms.wiser": {"interpolates": "rad-dino"}},
        "arms.wise.interpolates: 'wiser' is not an arm that is trained: use one of ['mi2-reports', "
        "'mi2-reports-labels', 'rad-dino']",
    ),
    "interpolation beyond its ends": (
        {"arms.wise": {"interpolates": "rad-dino", "share": 1.5}},
        "arms.wise.share: must be less than or equal to 1 (got 1.5)",
    ),
    "interpolation that trains": (
        {"arms.wise": {"interpolates": "rad-dino", "recipe": RECIPE}},
        "arms.wise: an interpolation trains nothing: remove 'recipe', or 'interpolates'",
    ),
    "interpolation of another encoder": (
        {"arms.wise": {"interpolates": "rad-dino", "encoder": "mi2"}},
        "arms.wise.encoder: differs from that of arms.rad-dino: remove it",
    ),
    "interpolation of seeds that are not trained": (
        {"arms.wise": {"interpolates": "rad-dino", "seeds": [0, 1]}},
        "arms.wise.seeds: [1] not among those of arms.rad-dino [0]: remove them here",
    ),
    "interpolation of sizes that are not trained": (
        {"arms.wise": {"interpolates": "rad-dino", "sizes": [40]}, "arms.rad-dino.sizes": [20]},
        "arms.wise.sizes: [40] not among those of arms.rad-dino [20]: remove them here",
    ),
    "supervised by reports": (
        {"arms.labels": LABELS | {"supervision": ["labels", "reports"]}},
        "arms.labels: supervision ['labels', 'reports']: supervised learns from labels only: "
        "remove reports",
    ),
    "supervised by nothing": (
        {"arms.labels": LABELS | {"supervision": []}},
        "arms.labels: supervision [] pairs images with nothing, and supervised needs pairs: give "
        "[labels]",
    ),
    "more than a tower continued from a tower": (
        {"bases.rad-dino-open": LABELS},
        "arms.rad-dino.recipe.paradigm: 'dinov2' continues more than an image tower, which is all "
        "that bases.rad-dino-open (supervised) makes: train that base with the same paradigm",
    ),
    "groups of what is not kept": (
        {"evaluation.subgroups": ["view", "sex"]},
        "evaluation.subgroups: the archive does not keep 'sex': add it to "
        "institution.demographics, or remove it here",
    ),
    "a shortcut of no tube": (
        {"evaluation.shortcuts": {"effusion": "cvcs"}},
        "evaluation.shortcuts.effusion: 'cvcs' is not in labels.tubes: use one of ['ett', 'cvc']",
    ),
    "a metric without its weights": (
        {"scaling.metrics.reports": "chexbert_f1"},
        "scaling.metrics.reports: 'chexbert_f1' needs weights: give their folder as "
        "evaluation.tasks.reports.chexbert, or use another metric",
    ),
    "a label that is called as means are": (
        {"labels.findings": ["edema", "micro"]},
        "labels: 'micro' is the name of scores over all labels: rename the label",
    ),
    "labels of nothing but reports, without any": (
        {
            "institution": {**DICOM_ONLY, "labels": "l.csv", "tubes": "t.csv"},
            "labels.compared": "rules",
            "arms": {"labels": LABELS},
            **NO_REPORTS,
        },
        "labels.source: 'rules' needs institution.reports: set it, or use table",
    ),
    "labels of a table that there is not": (
        {
            "institution": {**DICOM_ONLY, "reports": "r.csv", "tubes": "t.csv"},
            "labels.source": ["rules", "table"],
        },
        "labels.source: 'table' needs institution.labels: set it, or use rules, which read the "
        "reports",
    ),
    "no labels, but reports": (
        {
            "institution": {**DICOM_ONLY, "reports": "r.csv", "tubes": "t.csv"},
            "arms.mi2-reports-labels": REMOVED,
            "evaluation.tasks.tubes": REMOVED,
            "scaling.metrics.tubes": REMOVED,
        },
        "evaluation.tasks.findings: classification needs institution.labels: set it or remove the "
        "task, or read labels from the reports (labels.source: rules)",
    ),
    "no such source": (
        {"labels.source": "gpt"},
        "labels.source: must be 'table', 'rules' or 'endpoint' (got 'gpt')",
    ),
    "no source of labels": (
        {"labels.source": []},
        "labels.source: no source: name one or more of table, rules, endpoint",
    ),
    "rules in a language without phrases": (
        {
            "institution": {
                **DICOM_ONLY,
                **{"reports": "r.csv", "labels": "l.csv", "tubes": "t.csv", "language": "ja"},
            },
            "labels.compared": "rules",
            **NO_REPORTS,
        },
        "labels.source: 'rules' has no phrases in 'ja': use endpoint or table",
    ),
    "endpoint that is not described": (
        {"labels.source": "endpoint"},
        "labels.endpoint: labels.source asks an endpoint: give its url and model",
    ),
    "endpoint that nothing asks": (
        {"labels.endpoint": ENDPOINT},
        "labels.endpoint: no source asks it: add endpoint to labels.source, or remove it",
    ),
    "endpoint outside of the institution": (
        {"labels.source": "endpoint", "labels.endpoint": {**ENDPOINT, "url": "https://8.8.8.8/v1"}},
        "labels.endpoint: url: 8.8.8.8 is outside of this machine and its private network: report "
        "texts would leave the institution: name another server, or set "
        "labels.endpoint.texts_leave_institution: true",
    ),
    "endpoint with a password in its address": (
        {"labels.source": "endpoint", "labels.endpoint": {**ENDPOINT, "url": "http://a:b@c/v1"}},
        "labels.endpoint.url: an address without user, password or query is needed: put the key "
        "into RADSCALE_ENDPOINT_KEY",
    ),
    "endpoint of no address, with a password": (
        {"labels.source": "endpoint", "labels.endpoint": {**ENDPOINT, "url": "ftp://a:b@c/v1"}},
        "labels.endpoint.url: this is not an address: write one as http://127.0.0.1:8000/v1",
    ),
    "endpoint of no address": (
        {"labels.source": "endpoint", "labels.endpoint": {**ENDPOINT, "url": "localhost:8000"}},
        "labels.endpoint.url: 'localhost:8000' is not an address: write one as "
        "http://127.0.0.1:8000/v1 (got 'localhost:8000')",
    ),
    **{
        f"endpoint with {name}": (
            {"labels.source": "endpoint", "labels.endpoint": {**ENDPOINT, "url": url}},
            f"labels.endpoint.url: {said} (got {url!r})",
        )
        for name, url, said in (
            ("a port that there is not", "http://h:99999/v1", PORT),
            ("port 0", "http://h:0/v1", PORT),
            ("a word as its port", "http://h:http/v1", PORT),
            ("a host that is too long", f"http://{'a' * 64}/v1", HOST),
            ("a host of too many letters", f"http://{'a.' * 130}b/v1", HOST),
            ("a host without letters", "http://a..b/v1", HOST),
            ("a blank", "http://127.0.0.1 /v1", f"an address has no blanks: {ADDRESS}"),
            ("a line's end", "http://127.0.0.1/v1\n", f"an address has no blanks: {ADDRESS}"),
            ("half a bracket", "http://[::1/v1", f"'http://[::1/v1' is not an address: {ADDRESS}"),
            (
                "letters that are not sent",
                "http://127.0.0.1/größe",
                "an address's path is in ASCII: write other letters as %..",
            ),
        )
    },
    **{
        f"{key} of an endpoint that is {value!r}": (
            {"labels.source": "endpoint", "labels.endpoint": {**ENDPOINT, key: value}},
            f"labels.endpoint.{key}: {said} (got {value!r})",
        )
        for key, value, said in (
            ("timeout", -1, "must be greater than 0"),
            ("timeout", 1e300, "must be less than or equal to 86400"),
            ("timeout", float("inf"), "must be a finite number"),
            ("timeout", float("nan"), "must be a finite number"),
            ("tokens_per_second", float("inf"), "must be a finite number"),
            ("model", " ", BLANK),
            ("model", "", BLANK),
        )
    },
    "blank definition": (
        {"labels.source": "rules", "labels.definitions": {"effusion": " \n"}},
        f"labels.definitions.effusion: {BLANK} (got ' \\n')",
    ),
    "blank phrase": (
        {"labels.source": "rules", "labels.phrases": {"effusion": ["fluid", "?"]}},
        f"labels.phrases.effusion.1: {BLANK} (got '?')",
    ),
    "phrase that ends with an ellipsis": (
        {"labels.source": "rules", "labels.phrases": {"effusion": ["fluid ..."]}},
        "labels.phrases.effusion.0: an ellipsis stands between words: write some on both sides of "
        "it (got 'fluid ...')",
    ),
    "texts that are sent unscrubbed": (
        {
            "labels.source": "endpoint",
            "labels.endpoint": ENDPOINT,
            "institution.scrub_reports": False,
        },
        "institution.scrub_reports: only scrubbed texts are sent to an endpoint: set true, which "
        "leaves texts without names and dates as they are",
    ),
    "label that a model is not told": (
        {
            "institution": {**DICOM_ONLY, "reports": "r.csv", "tubes": "t.csv"},
            "labels.source": "endpoint",
            "labels.endpoint": ENDPOINT,
            "labels.others": ["kerley_lines"],
            "public.phantom": REMOVED,
            "public.dicom": "other",
            "public.reports": "p.csv",
            "public.labels": "q.csv",
        },
        "labels.definitions.kerley_lines: a model needs to know what the label means: give a "
        "sentence",
    ),
    "definition of no label": (
        {"labels.definitions": {"edema": "Water."}},
        "labels.definitions.edema: no such label: use one of ['cardiomegaly', 'effusion', 'ett', "
        "'cvc']",
    ),
    "a key of a server in the study": (
        {
            "labels.source": "endpoint",
            "labels.endpoint": {"url": "http://127.0.0.1:1/v1", "model": "m", "key": "sk-secret"},
        },
        "labels.endpoint.key: unknown key: remove it, or use one of ['url', 'model', "
        "'texts_leave_institution', 'concurrency', 'attempts', 'timeout', 'characters', "
        "'tokens_per_second', 'price']",
    ),
    "a model of two lines": (
        {
            "labels.source": "endpoint",
            "labels.endpoint": {"url": "http://127.0.0.1:1/v1", "model": "a\nb"},
        },
        "labels.endpoint.model: has a line's end or a sign that does not show: write it on one "
        "line (got 'a\\nb')",
    ),
    "a blank currency": (
        {
            "labels.source": "endpoint",
            "labels.endpoint": {
                "url": "http://127.0.0.1:1/v1",
                "model": "m",
                "price": {"currency": " "},
            },
        },
        "labels.endpoint.price.currency: blank, or not on one line: write a currency as USD or € "
        "(got ' ')",
    ),
    "a label without a name": (
        {"labels.findings": ["edema", "!!"]},
        "labels: '!!' cannot be a label's name: it has neither a letter nor a digit",
    ),
    "audit of a table": (
        {"labels.audit": {"reports": 10}},
        "labels.audit: no source reads reports: name rules or endpoint, or remove the audit",
    ),
    "bar without an audit": (
        {"labels.source": "rules", "labels.audit": {"least": {"recall": 0.9}}},
        "labels.audit.least: there is no filled table to judge by: run snakemake audit_labels, "
        "fill its table, and name it as labels.audit.table",
    ),
    "a label besides that is one of the study": (
        {"labels.others": ["edema", "ett"]},
        "labels: others: ['ett'] are labels of the study already: remove them here",
    ),
    "a label besides that a phantom has not": (
        {"labels.others": ["edema", "fracture"]},
        "labels.others: ['fracture'] not among the phantom's labels: use some of "
        "['cardiomegaly', 'effusion', 'pneumothorax', 'consolidation', 'nodule', 'edema', "
        "'atelectasis', 'ett', 'ngt', 'cvc', 'chest_tube']",
    ),
    "words of nothing in common": (
        {"arms.mi2-reports.recipe.near_duplicates": 0},
        "arms.mi2-reports.recipe.near_duplicates: must be greater than 0 (got 0)",
    ),
    "a rate of nothing": (
        {"arms.rad-dino.recipe.optimiser.factors": {"head.*": {"lr": 0}}},
        "arms.rad-dino.recipe.optimiser.factors.head.*.lr: must be greater than 0 (got 0)",
    ),
    "claim about an arm that is not there": (
        {"scaling.claims": {"mine": {"better": "mi2", "than": "rad-dino"}}},
        "scaling.claims.mine.better: 'mi2' is not an arm: use one of ['mi2-reports', "
        "'mi2-reports-labels', 'rad-dino']",
    ),
    "claim against what is not there": (
        {"scaling.claims": {"mine": {"better": "rad-dino", "than": "open"}}},
        "scaling.claims.mine.than: 'open' is neither an arm nor a baseline: use one of "
        "['mi2-reports', 'mi2-reports-labels', 'rad-dino', 'mi2-open', 'rad-dino-open']",
    ),
    "claim of an arm against itself": (
        {"scaling.claims": {"mine": {"better": "rad-dino", "than": "rad-dino"}}},
        "scaling.claims.mine: better and than are both 'rad-dino': compare two",
    ),
    "slope of a baseline": (
        {"scaling.claims": {"mine": {"better": "rad-dino", "than": "mi2-open", "what": "slope"}}},
        "scaling.claims.mine.what: baseline 'mi2-open' has no slope: compare values, or two arms",
    ),
    "slope at a size": (
        {
            "scaling.claims": {
                "mine": {"better": "rad-dino", "than": "mi2-reports", "what": "slope", "at": 20}
            }
        },
        "scaling.claims.mine.at: slopes are those at the largest size: remove 'at'",
    ),
    "claim on an unknown task": (
        {"scaling.claims": {"mine": {"better": "rad-dino", "than": "mi2-open", "on": ["tube"]}}},
        "scaling.claims.mine.on: 'tube' is not a task: use some of ['findings', 'tubes', "
        "'segmentation', 'reports']",
    ),
    "claim at a size that is not studied": (
        {"scaling.claims": {"mine": {"better": "rad-dino", "than": "mi2-open", "at": 30}}},
        "scaling.claims.mine.at: 30 is not a size of 'rad-dino': use one of [20, 40]",
    ),
    "claim with a name of the abstract's": (
        {"scaling.claims": {"continuing-pays": {"better": "rad-dino", "than": "mi2-open"}}},
        "scaling.claims.continuing-pays: the name is taken by a claim of the paper's abstract: "
        "rename it",
    ),
    "unknown key": (
        {"arms.rad-dino.recipe.local_cropss": 6},
        "arms.rad-dino.recipe.local_cropss: unknown key: did you mean 'local_crops'?",
    ),
    "unknown key like no other": (
        {"subsets.whatever": 1},
        "subsets.whatever: unknown key: remove it, or use one of ['sizes', 'unit', 'last_unit', "
        "'order']",
    ),
    "missing key": (
        {"arms.mi2-reports.recipe.optimiser": {"batch": 16, "lr": 0.1}},
        "arms.mi2-reports.recipe.optimiser.samples: required key is missing: add it",
    ),
    "missing section": ({"scaling": REMOVED}, "scaling: required key is missing: add it"),
    "wrong type": (
        {"institution.partitions": "two"},
        "institution.partitions: must be a valid integer, unable to parse string as an integer "
        "(got 'two')",
    ),
    "value where a section belongs": (
        {"institution": "archive/dicom"},
        "institution: must be a mapping of keys: see docs/reference/study-file.md "
        "(got 'archive/dicom')",
    ),
    "a language without words": (
        {"institution.language": "it"},
        "institution.language: must be 'de', 'en', 'es', 'fr', 'ja', 'pt' or 'zh' (got 'it')",
    ),
    "lexical F1 in a language without phrases": (
        {
            "institution": {
                "dicom": "d",
                "reports": "r.csv",
                "labels": "l.csv",
                "tubes": "t.csv",
                "language": "zh",
            },
        },
        "scaling.metrics.reports: 'lexical_f1' has no phrases in 'zh': use 'bleu' or "
        "'chrf' or 'rouge_l'",
    ),
    "a phantom in another language": (
        {"institution.language": "de"},
        "institution: language: a phantom archive writes English: remove it",
    ),
    "value out of range": (
        {"splits.test": 1.2},
        "splits.test: must be less than or equal to 1 (got 1.2)",
    ),
    "more than all images of one patient": (
        {"institution.most_of_one_patient": 2},
        "institution.most_of_one_patient: must be less than or equal to 1 (got 2)",
    ),
    "fewer patients than none": (
        {"splits.empty_below": -1},
        "splits.empty_below: must be greater than or equal to 0 (got -1)",
    ),
    "pattern in the folder of results": (
        {"results": "results/{date}"},
        "results: no folder of results may have '{' '}' in its path, which would be read as a "
        "pattern: choose another (got 'results/{date}')",
    ),
    "choice unknown": (
        {"subsets.unit": "series"},
        "subsets.unit: must be 'patient', 'study' or 'image' (got 'series')",
    ),
    "body part that no image has": (
        {"institution.select": {"body_parts": ["CHEST", "Thorax"]}},
        "institution.select: body_parts: 'Thorax' is not a defined term, so no image would have "
        "it: "
        "write one as DICOM has it, such as CHEST, or 'unknown'",
    ),
    "grid of another resize": (
        {"institution.image": {"interpolation": "opencv-area", "alignment": "origin"}},
        "institution.image: alignment 'origin' is a grid of the B-spline, and 'opencv-area' has "
        "one of its own: remove 'alignment', or set interpolation: bspline",
    ),
    "join of no table": (
        {"institution": {**DICOM_ONLY, "joins": {"labels": {"ignore": ["case"]}}}},
        "institution: joins.labels: there is no table to join: set 'labels', or remove it here",
    ),
    "two columns from one": (
        {"institution.joins": {"labels": {"columns": {"ett": "Tube", "cvc": "Tube"}}}},
        "institution.joins.labels: columns: 'Tube' is given for two columns: give one for each",
    ),
    "encoding unknown": (
        {"institution.joins": {"reports": {"encoding": "windows"}}},
        "institution.joins.reports.encoding: 'windows' is not an encoding: write one as utf-8, "
        "utf-16, cp1252 or gb18030 (got 'windows')",
    ),
    "size that the strides do not divide": (
        {"encoders.mi2.image.image_size": 40},
        "encoders.mi2.image.image_size: 40 is not a multiple of 32, the product of a DaViT's "
        "strides, so its levels do not cover the image evenly: use 32",
    ),
    "kind unknown": (
        {"encoders.mi2.kind": "biomedclip"},
        "encoders.mi2.kind: must be one of 'mi2', 'open_clip', 'rad-dino', 'timm', 'transformers' "
        "(got 'biomedclip')",
    ),
    "kind missing": (
        {"evaluation.tasks.tubes": {"target": "tubes"}},
        "evaluation.tasks.tubes.kind: required key is missing: add it",
    ),
    "name no folder": (
        {"name": "Chest Study"},
        "name: must be a name of lower-case letters, digits and hyphens (got 'Chest Study')",
    ),
    "sizes not ascending": (
        {"subsets.sizes": [40, 20]},
        "subsets.sizes: [40, 20] must ascend without repeats: write [20, 40]",
    ),
    "no sizes": (
        {"subsets.sizes": []},
        "subsets.sizes: must not be empty: name at least one (got [])",
    ),
    "size above the archive": (
        {"subsets.sizes": [20, 40, 4000]},
        "subsets.sizes: 4000 is above what the pool of a phantom of 60 patients can hold (120): "
        "raise institution.phantom.patients or lower the size",
    ),
    "arm's size not in the study": (
        {"arms.rad-dino.sizes": [20, 30]},
        "arms.rad-dino.sizes: [30] not among subsets.sizes [20, 40]: add them there or remove "
        "them here",
    ),
    "batch does not divide samples": (
        {"arms.rad-dino.recipe.optimiser.samples": 100},
        "arms.rad-dino.recipe.optimiser: samples 100 is not a multiple of batch 16: use 112",
    ),
    "batch does not divide over devices": (
        {"compute": {"devices": 16}, "arms.rad-dino.recipe.optimiser.batch": 8},
        "arms.rad-dino.recipe.optimiser.batch: 8 does not divide over compute.devices 16: change "
        "one of the two",
    ),
    "encoder unknown": (
        {"arms.rad-dino.encoder": "raddino"},
        "arms.rad-dino.encoder: 'raddino' is not an encoder: use one of ['mi2', 'rad-dino']",
    ),
    "paradigm does not fit the encoder": (
        {"arms.rad-dino.encoder": "mi2"},
        "arms.rad-dino.recipe.paradigm: 'dinov2' does not train a mi2 encoder: use 'unicl' or "
        "'supervised'",
    ),
    "arm without supervision": (
        {"arms.mi2-reports.supervision": []},
        "arms.mi2-reports: supervision [] pairs images with nothing, and unicl needs pairs: give "
        "[reports], [labels] or both",
    ),
    "base without supervision": (
        {"bases.mi2-open.supervision": REMOVED},
        "bases.mi2-open: supervision [] pairs images with nothing, and unicl needs pairs: give "
        "[reports], [labels] or both",
    ),
    "supervision that is not used": (
        {"arms.rad-dino.supervision": ["labels"]},
        "arms.rad-dino: supervision ['labels'] is not used by dinov2, which learns from images "
        "only: remove it",
    ),
    "seed twice": (
        {"arms.rad-dino.seeds": [0, 1, 0]},
        "arms.rad-dino.seeds: 0 appears twice: name each once",
    ),
    "labels arm without label names": (
        {
            "labels": {},
            "bases.mi2-open.supervision": ["reports"],
            "evaluation.tasks": {"reports": SMOKE["evaluation"]["tasks"]["reports"]},
            "scaling.metrics": {"reports": "bleu"},
        },
        "arms.mi2-reports-labels.supervision: 'labels' needs label names: name columns in "
        "labels.findings",
    ),
    "task without label names": (
        {"labels.findings": []},
        "labels.findings: [] leaves task 'findings' without a target: name its columns",
    ),
    "task without a metric": (
        {"scaling.metrics.tubes": REMOVED},
        "scaling.metrics.tubes: the task has no metric to fit: give one of ['auprc', 'auroc']",
    ),
    "metric of another task": (
        {"scaling.metrics.segmentation": "auroc"},
        "scaling.metrics.segmentation: 'auroc' is not a metric of this task: use one of "
        "['cldice', 'continuity', 'dice', 'surface_dice']",
    ),
    "metric of which smaller is better": (
        {"scaling.metrics.segmentation": "tip_error"},
        "scaling.metrics.segmentation: smaller is better for 'tip_error', and laws are fitted "
        "to metrics for which larger is better: use one of ['cldice', 'continuity', 'dice', "
        "'surface_dice']",
    ),
    "decoder of no kind": (
        {"evaluation.tasks.segmentation.heads": {"deep": {"kind": "unet"}}},
        "evaluation.tasks.segmentation.heads.deep.kind: must be one of 'linear', 'pyramid', "
        "'upernet' (got 'unet')",
    ),
    "several decoders, and none named": (
        {
            "evaluation.tasks.segmentation.heads": {
                "linear": {"kind": "linear"},
                "pyramid": {"kind": "pyramid"},
            }
        },
        "scaling.heads.segmentation: missing, and the task has several heads: name the one that "
        "is fitted and drawn, one of ['linear', 'pyramid']",
    ),
    "films that are neither cut nor padded": (
        {"evaluation.tasks.segmentation.unseen": "squeezed"},
        "evaluation.tasks.segmentation.unseen: must be 'missed' or 'padded' (got 'squeezed')",
    ),
    "no rate of a decoder": (
        {"evaluation.tasks.segmentation.decoder.lr": []},
        "evaluation.tasks.segmentation.decoder.lr: must not be empty: name at least one (got [])",
    ),
    "rates of a decoder that are no rates": (
        {"evaluation.tasks.segmentation.heads.pyramid.lr": [1e-3, 0]},
        "evaluation.tasks.segmentation.heads.pyramid.lr.1: must be greater than 0 (got 0)",
    ),
    "a decoder without a seed": (
        {"evaluation.tasks.segmentation.decoder.seeds": 0},
        "evaluation.tasks.segmentation.decoder.seeds: must be greater than or equal to 1 (got 0)",
    ),
    "metric of no task": (
        {"scaling.metrics.survival": "auroc"},
        "scaling.metrics.survival: no such task: remove it, or use one of "
        "['findings', 'reports', 'segmentation', 'tubes']",
    ),
    "patch does not divide the image": (
        {"encoders.rad-dino.image.patch": 14},
        "encoders.rad-dino.image: image_size 32 is not a multiple of patch 14: use 28",
    ),
    "heads do not divide the width": (
        {"encoders.mi2.text.heads": 3},
        "encoders.mi2.text: width 16 does not divide over 3 heads: use 18",
    ),
    "local crop off the patch grid": (
        {"arms.rad-dino.recipe.local_size": 20},
        "arms.rad-dino.recipe.local_size: 20 is not a multiple of the encoder's patch 8: use 16",
    ),
    "activations of a tower that is not there": (
        {"arms.rad-dino.recipe.recompute": ["text"]},
        "arms.rad-dino.recipe.recompute: dinov2 trains no text tower, but image",
    ),
    "interval upside down": (
        {"arms.mi2-reports.recipe.crop_scale": [1.0, 0.5]},
        "arms.mi2-reports.recipe.crop_scale: [1, 0.5] is not an interval: write it as [0.5, 1]",
    ),
    "splits leave no pool": (
        {"splits": {"train": 0.6, "validation": 0.1, "test": 0.3}},
        "splits: train + validation + test = 1 leaves no patients to pretrain on: lower them "
        "below 1 together",
    ),
    "empty split": (
        {"splits.validation": 0},
        "splits: validation is 0 and every task needs it: raise it",
    ),
    "phantom and DICOM": (
        {"institution.dicom": "archive/dicom"},
        "institution: give exactly one of 'phantom' and 'dicom' (found both)",
    ),
    "neither phantom nor DICOM": (
        {"public.phantom": REMOVED},
        "public: give exactly one of 'phantom' and 'dicom' (found neither)",
    ),
    "phantom with a table": (
        {"institution.labels": "labels.csv"},
        "institution: a phantom archive writes its own reports, labels and tubes: remove labels, "
        "or give a 'dicom' folder instead of the phantom",
    ),
    "no initial weights": (
        {"bases.rad-dino-open": REMOVED},
        "encoders.rad-dino.weights: no initial weights: give released weights, or one entry of "
        "'bases' that trains them (found 0)",
    ),
    "released weights and a base": (
        {"encoders.rad-dino.weights": "weights/rad-dino"},
        "bases.rad-dino-open: encoder 'rad-dino' has released weights (weights/rad-dino): remove "
        "one of the two",
    ),
    "both archives the same": (
        {"public.phantom": SMOKE["institution"]["phantom"]},
        "public.phantom.seed: 11 with the same settings gives the institution's images again: "
        "give another seed and site: public",
    ),
    "arm named like a baseline": (
        {"arms.rad-dino-open": SMOKE["arms"]["rad-dino"]},
        "arms.rad-dino-open: the name is taken by a baseline: rename the arm",
    ),
    "colour of no arm": (
        {"report.colours": {"rad-dnio": "#aa0000"}},
        "report.colours.rad-dnio: no such arm: use one of "
        "['mi2-reports', 'mi2-reports-labels', 'rad-dino']",
    ),
    "no colour": (
        {"report.colours": {"rad-dino": "red"}},
        "report.colours.rad-dino: must be a colour as '#rrggbb', in quotation marks (got 'red')",
    ),
    "label that a phantom lacks": (
        {"labels.findings": ["effusion", "fracture"]},
        "labels.findings: ['fracture'] not among the phantom's labels: use some of "
        "['cardiomegaly', 'effusion', 'pneumothorax', 'consolidation', 'nodule', 'edema', "
        "'atelectasis']",
    ),
    "adapters without a released model": (
        {"evaluation.tasks.reports.lora_rank": 8},
        "evaluation.tasks.reports: lora_rank 8 adapts a released language model and this one is "
        "trained from scratch: set it to 0, or language_model to a folder",
    ),
    "tokens that make no grid": (
        {"evaluation.tasks.reports.visual_tokens": 5},
        "evaluation.tasks.reports.visual_tokens: not a square number: use 4 or 9 (got 5)",
    ),
    "phrases of no label": (
        {"evaluation.tasks.reports.phrases": {"oedema": ["fluid overload"]}},
        "evaluation.tasks.reports.phrases.oedema: no such label: use one of "
        "['cardiomegaly', 'effusion', 'ett', 'cvc']",
    ),
    "key of a language model": (
        {"evaluation.tasks.reports.language_model": {"vocabluary": 300}},
        "evaluation.tasks.reports.language_model.vocabluary: unknown key: did you mean "
        "'vocabulary'?",
    ),
}


@pytest.mark.parametrize(("edits", "message"), WRONG.values(), ids=WRONG.keys())
def test_each_mistake_has_its_message(edits, message):
    with pytest.raises(StudyError) as raised:
        parse_study(edited(edits), "my-study.yaml")
    assert str(raised.value) == f"my-study.yaml: 1 problem:\n  - {message}"


def test_a_real_archive_without_tables_names_each_task_and_arm_that_needs_one():
    with pytest.raises(StudyError) as raised:
        parse_study(edited({"institution": DICOM_ONLY}))
    assert str(raised.value).splitlines() == [
        "study: 7 problems:",
        "  - arms.mi2-reports.supervision: 'reports' needs a reports table: set "
        "institution.reports or remove 'reports' here",
        "  - arms.mi2-reports-labels.supervision: 'reports' needs a reports table: set "
        "institution.reports or remove 'reports' here",
        "  - arms.mi2-reports-labels.supervision: 'labels' needs a label table: set "
        "institution.labels or remove 'labels' here",
        "  - evaluation.tasks.findings: classification needs institution.labels: set it or remove "
        "the task",
        "  - evaluation.tasks.tubes: classification needs institution.labels: set it or remove "
        "the task",
        "  - evaluation.tasks.segmentation: segmentation needs institution.tubes: set it or "
        "remove the task",
        "  - evaluation.tasks.reports: generation needs institution.reports: set it or remove the "
        "task",
    ]


def test_bases_without_a_public_archive():
    with pytest.raises(StudyError) as raised:
        parse_study(edited({"public": REMOVED}))
    assert [line.strip(" -") for line in str(raised.value).splitlines()[1:]] == [
        "bases.mi2-open: there is no 'public' archive to train it on: add one",
        "bases.rad-dino-open: there is no 'public' archive to train it on: add one",
    ]


def test_every_problem_is_listed_at_once():
    with pytest.raises(StudyError, match="3 problems") as raised:
        parse_study(edited({"nmae": "x", "splits.test": -1, "institution.partitions": 0}))
    for key in ("nmae", "splits.test", "institution.partitions"):
        assert f"\n  - {key}: " in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "{path}: cannot be read (No such file or directory): give a study file"),
        ("- a\n- b\n", "{path}: a study file is a mapping of keys: see config/config.yaml"),
        ("", "{path}: a study file is a mapping of keys: see config/config.yaml"),
    ],
    ids=["absent", "a list", "empty"],
)
def test_no_study_file(tmp_path, content, message):
    path = tmp_path / "study.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(StudyError) as raised:
        load_study(path)
    assert str(raised.value) == message.format(path=path)


@pytest.mark.parametrize(
    ("content", "part"),
    [
        ("name: [demo\n", "not valid YAML: "),
        ("name: a\nsplits: {}\nname: b\n", "key 'name' appears twice: remove one"),
        ("splits: {test: 0.1, test: 0.2}\n", "key 'test' appears twice: remove one"),
    ],
    ids=["no YAML", "key twice", "inner key twice"],
)
def test_no_valid_yaml_names_the_line(tmp_path, content, part):
    path = tmp_path / "study.yaml"
    path.write_text(content)
    with pytest.raises(StudyError) as raised:
        load_study(path)
    assert str(raised.value).startswith(f"{path}: not valid YAML: ")
    assert part in str(raised.value)
    assert ": line " in str(raised.value)
