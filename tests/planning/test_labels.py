"""A run is keyed by what it reads: no labels, or those that it learns from."""

from typing import Any

import pytest

from radscale_lib.planning.identity import components, stage_id
from radscale_lib.planning.stages.labels import asked
from radscale_lib.study.definitions import default_definition
from tests.planning.test_stages import study

RULES = {"labels__source": "rules"}
ENDPOINT = {
    "labels__source": "endpoint",
    "labels__endpoint": {"url": "http://127.0.0.1/v1", "model": "m"},
}
DEFINED = {"labels__definitions": {"ett": "A tube in the trachea."}}
PHRASED = {"labels__phrases": {"ett": ["breathing tube"]}}
ARMS = ("mi2-reports", "mi2-reports-labels", "rad-dino")


def id_of(stage: str, changes: dict[str, Any], **names: str) -> str:
    return stage_id(components(study(**changes), stage, **names))


@pytest.mark.parametrize("arm", ARMS)
@pytest.mark.parametrize("source", [RULES, ENDPOINT])
def test_no_training_is_keyed_by_how_labels_are_read(source, arm):
    """A label arm that has other labels trains again since its tables are others."""
    before = id_of("pretrain", source, arm=arm)
    assert id_of("pretrain", source | DEFINED | PHRASED, arm=arm) == before


@pytest.mark.parametrize(("arm", "reads"), zip(ARMS, (False, True, False), strict=True))
def test_only_arms_that_learn_from_labels_are_keyed_by_them(arm, reads):
    more = {
        "labels__findings": ["cardiomegaly", "effusion", "edema"],
        "labels__uncertain": "positive",
    }
    assert (id_of("pretrain", more, arm=arm) != id_of("pretrain", {}, arm=arm)) is reads


def test_a_source_is_keyed_by_what_it_is_told():
    rules, endpoint = {"source": "rules"}, {"source": "endpoint"}
    before = id_of("labels", RULES, **rules)
    assert id_of("labels", RULES | DEFINED, **rules) == before
    assert id_of("labels", RULES | PHRASED, **rules) != before
    before = id_of("labels", ENDPOINT, **endpoint)
    assert id_of("labels", ENDPOINT | PHRASED, **endpoint) == before
    assert id_of("labels", ENDPOINT | DEFINED, **endpoint) != before
    elsewhere = {"url": "http://10.0.0.1/v1", "model": "m", "concurrency": 99}
    assert id_of("labels", ENDPOINT | {"labels__endpoint": elsewhere}, **endpoint) == before
    other = {"url": "http://127.0.0.1/v1", "model": "n"}
    assert id_of("labels", ENDPOINT | {"labels__endpoint": other}, **endpoint) != before


def test_shards_are_made_again_for_new_labels_of_a_table_alone():
    """Labels that are read from reports are in no shard; tubes are, as drawings."""
    more = {"labels__findings": ["cardiomegaly", "effusion", "edema"]}
    institution = {"archive": "institution"}
    assert id_of("ingest", more, **institution) != id_of("ingest", {}, **institution)
    assert id_of("ingest", RULES | more, **institution) == id_of("ingest", RULES, **institution)
    compared = RULES | {"labels__compared": "table"}
    assert id_of("ingest", compared, **institution) == id_of("ingest", {}, **institution)


def test_a_study_of_a_table_has_the_slices_that_it_had():
    keys = components(study(), "ingest", archive="institution")["study"]
    assert {key for key in keys if key.startswith("labels.")} == {"labels.findings", "labels.tubes"}
    keys = components(study(), "pretrain", arm="mi2-reports-labels")["study"]
    assert {key for key in keys if key.startswith("labels.")} == {
        *("labels.findings", "labels.tubes", "labels.others"),
        *("labels.uncertain", "labels.blank"),
    }


def test_what_an_endpoint_costs_is_known_before():
    priced = {"url": "http://127.0.0.1/v1", "model": "m", "price": {"input": 2.0, "output": 8.0}}
    of = asked(study(**ENDPOINT | {"labels__endpoint": priced}), 1000, 100)
    names = ("cardiomegaly", "effusion", "ett", "cvc")
    words = sum(len(str(default_definition(name)).split()) + 2 for name in names)
    assert of.sent == 1000 * (250 + 1.5 * (100 + words)) and of.answered == 1000 * 4 * 25
    assert of.cost == pytest.approx((2 * of.sent + 8 * of.answered) / 1e6)
    assert of.hours == (of.sent + of.answered) / 1000 / 3600
    assert "about 1,000 reports in 1,000 requests" in of.told() and "USD" in of.told()
