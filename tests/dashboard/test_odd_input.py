"""What no page would send: each is answered with what is wrong and what is allowed, and spoils nothing for others."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.alerts import RuleFileError
from ai_dev_squad_dashboard.alerts.rule_entries import read_rule
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.security.tokens import new_token
from ai_dev_squad_dashboard.store import open_memory_store

sys.path.insert(0, str(Path(__file__).parent))
from ai_dev_squad_testing.store_contract.sample import RUN, morning

TOKEN, DIGEST = new_token("act")
ACTING = {"Authorization": f"Bearer {TOKEN}"}
NO_JSON = "the body is no JSON that can be kept ({}); write whole characters and finite numbers"
DEEP = "the body is nested more than 200 levels deep; send less of it"
HUGE = "1" + "0" * 400
RULE_FIELDS = (
    "name, measure, of, over, above, below, where, by, notify, severity, min_count, rearm, repeat, resolved, note"
)
HALF = "Input data was truncated"
"""What the decoder says of half a character at the end of a text."""


@pytest.fixture
def app(tmp_path):
    """A dashboard with two runs, for whoever has the token."""
    store = open_memory_store()
    store.write(morning())
    made = create_app(DashboardSettings(db=tmp_path / "d.duckdb", act_tokens=(DIGEST,)), store=store, follow=False)
    yield made
    running(made).close()


def message(answer) -> tuple[int, str]:
    """The status, and what is said."""
    return answer.status_code, answer.json["error"]["message"]


@pytest.mark.parametrize(
    "method, path",
    [("POST", "/api/feedback"), ("POST", "/api/sql"), ("PUT", "/api/alerts/rules/r")],
    ids=["feedback", "sql", "rule"],
)
def test_bodies_that_are_no_json(app, method, path):
    """Half a character, nesting without end, numbers that are none, other encodings: told, and never an error of ours."""
    client = app.test_client()
    said = {
        body: message(client.open(path, method=method, data=body, headers=ACTING, content_type="application/json"))
        for body in (b'{"a":"\\ud800"}', b"[" * 30_000, b'{"a":' * 5000, b'{"a":NaN}', b'{"a":"\xed\xa0\x80"}', b"\xff\xfe{", b"")
    }  # fmt: skip
    invalid = "JSON is malformed: invalid character (byte {})"
    assert list(said.values()) == [
        (400, NO_JSON.format(HALF)),
        (400, DEEP),
        (400, DEEP),
        (400, NO_JSON.format(invalid.format(5))),
        (400, NO_JSON.format("'utf-8' codec can't decode byte 0xed in position 0: invalid continuation byte")),
        (400, NO_JSON.format(invalid.format(0))),
        (400, NO_JSON.format("Input data was truncated")),
    ]


def test_scores_that_no_number_holds(app):
    """A whole number with four hundred digits is refused like any other that is none."""
    body = f'{{"trace_id":"{RUN}","score":{HUGE}}}'
    answer = app.test_client().post("/api/feedback", data=body, headers=ACTING, content_type="application/json")
    assert message(answer) == (400, f"score={'1' + '0' * 59!r} is no number; use one such as 1 or 0.5")


def test_rules_that_could_not_be_written_down(app):
    """One rule with a number beyond all bounds must not keep the others from telling."""
    client = app.test_client()
    odd = {"above": HUGE, "above, negative": "-1", "min_count": HUGE}
    said = {
        name: message(
            client.put(
                "/api/alerts/rules/odd",
                data=f'{{"measure":"count","above":1,"{name.partition(",")[0]}":{value}}}',
                headers=ACTING,
                content_type="application/json",
            )
        )
        for name, value in odd.items()
    }
    fine = client.put("/api/alerts/rules/fine", json={"measure": "count", "above": 0, "by": ["agent"]}, headers=ACTING)
    running(app).alerting.tick()
    assert said == {
        "above": (400, f"Number out of range - at `$.above`; allowed: {RULE_FIELDS}"),
        "above, negative": (400, "the threshold -1.0 is not from 0 to 1e12; correct it"),
        "min_count": (400, f"min_count 1{'0' * 39} is not from 1 to 1000000000; correct it"),
    }
    assert (fine.status_code, fine.json) == (200, {"name": "fine"})


def test_a_rule_with_half_a_character():
    """It is refused where it is read, whoever wrote it."""
    with pytest.raises(RuleFileError, match=r"a text has half a character in it \('\\ud800'\); write the whole one"):
        read_rule({"name": "r", "measure": "count", "above": 1, "where": {"agent": "\ud800"}})


def test_a_number_of_an_alert_that_there_cannot_be(app):
    """The history is not asked for what no database counts to."""
    client = app.test_client()
    client.put("/api/alerts/rules/fine", json={"measure": "count", "above": 5}, headers=ACTING)
    for path in ("/alerts", "/api/alerts"):
        assert client.get(f"{path}?before={HUGE[:24]}", headers=ACTING).status_code == 400
    assert message(client.get("/api/alerts?before=1e30", headers=ACTING)) == (
        400,
        "before='1e30' is not a number from 1 to 9.0072e+15; correct or remove it",
    )


def test_a_run_is_deleted_by_its_id_in_capitals(app):
    """By the form as by the address: an id is the same however its letters are written."""
    client = app.test_client()
    assert client.post("/delete", data={"kind": "trace", "id": RUN.upper()}, headers=ACTING).status_code == 303
    assert client.get(f"/api/traces/{RUN}", headers=ACTING).status_code == 404
