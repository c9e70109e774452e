"""What is said of an endpoint before anything is sent."""

import pytest

from radscale_lib.preflight.labels import label_findings
from radscale_lib.study import parse_study
from tests.study.test_wrong_studies import ENDPOINT, edited


def found(tmp_path, **endpoint):
    edits = {"labels.source": "endpoint", "labels.endpoint": ENDPOINT | endpoint}
    study = parse_study(edited(edits)).model_copy(update={"results": tmp_path})
    return list(label_findings(study))


def test_cost_is_told_and_stops_nothing(tmp_path):
    (finding,) = found(tmp_path)
    assert not finding.stops
    assert finding.text.startswith("labels.endpoint: about ") and "tokens sent" in finding.text


def test_texts_that_leave_are_told(tmp_path):
    _, finding = found(tmp_path, url="https://8.8.8.8/v1", texts_leave_institution=True)
    assert not finding.stops
    assert "report texts leave the institution for 8.8.8.8" in finding.text


@pytest.mark.parametrize(
    ("addresses", "said"),
    [(["8.8.8.8"], "is outside of this machine and its private network"), (None, "no address of")],
)
def test_names_are_looked_up(tmp_path, monkeypatch, addresses, said):
    def known(*args, **more):
        if addresses is None:
            raise OSError
        return [(2, 1, 6, "", (each, 80)) for each in addresses]

    monkeypatch.setattr("socket.getaddrinfo", known)
    (finding,) = found(tmp_path, url="http://model.example/v1")
    assert finding.stops and said in finding.text


def test_a_cue_is_no_phrase_and_junk_no_audit(tmp_path):
    junk = tmp_path / "filled.csv"
    junk.write_bytes(b"\x00junk")
    edits = {
        "labels.source": "rules",
        "labels.phrases": {"effusion": ["No", "fluid"]},
        "labels.audit": {"table": str(junk)},
    }
    phrase, audit = label_findings(parse_study(edited(edits)))
    assert phrase.stops and phrase.text.startswith("labels.phrases.effusion: 'No' tells whether")
    assert audit.stops and "filled.csv" in audit.text and "junk" not in audit.text
