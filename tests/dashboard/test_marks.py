"""Marks: made on a page, by API, in a program or over OTLP; shown on the run, asked of in SQL, deleted with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import mean, stdev

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.security.tokens import new_token
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.store.base import Marked
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, SpanRow
from ai_dev_squad_dashboard.views import marked
from ai_dev_squad_testing.store_contract.sample import OTHER_RUN, RUN, T0, morning

READ, READ_DIGEST = new_token("read")
ACT, ACT_DIGEST = new_token("act")
LOOKING, ACTING = ({"Authorization": f"Bearer {token}"} for token in (READ, ACT))


@pytest.fixture
def dashboard():
    """A dashboard over a morning's runs."""
    store = open_memory_store()
    store.write(morning())
    settings = DashboardSettings(port=0, logs=(), read_tokens=(READ_DIGEST,), act_tokens=(ACT_DIGEST,))
    app = create_app(settings, store=store, follow=False)
    yield app.test_client(use_cookies=False)
    running(app).close()


def marks(client, trace_id=RUN):
    """What the page of a run says of its marks, without the time."""
    found = client.get(f"/api/traces/{trace_id}", headers=LOOKING).json["marks"]
    return [{key: value for key, value in mark.items() if key != "time_us" and value is not None} for mark in found]


def test_marks_by_api_are_shown_asked_of_and_deleted(dashboard):
    """Who may act marks a run; it stands on the run's page, beside cost in SQL, and goes with the run."""
    mark = {"trace_id": RUN, "span_id": f"{3:016x}", "name": "helpful", "score": 0.5, "label": "so-so", "comment": "<i>slow"}  # fmt: skip
    made = dashboard.post("/api/feedback", json=mark, headers=ACTING)
    refused = dashboard.post("/api/feedback", json=mark, headers=LOOKING)
    asked = {"sql": "SELECT m.name, m.score, m.label, m.comment, r.cost_usd FROM marks m JOIN runs r USING (trace_id)"}

    assert (made.status_code, refused.status_code) == (201, 403)
    wanted = {key: value for key, value in mark.items() if key != "trace_id"}
    assert marks(dashboard) == [{**wanted, "by": made.json["by"]}]
    assert "&lt;i&gt;slow" in dashboard.get(f"/traces/{RUN}", headers=LOOKING).text
    rows = dashboard.post("/api/sql", json=asked, headers=LOOKING).json["rows"]
    assert rows == [["helpful", 0.5, "so-so", "<i>slow", 0.25]]
    assert dashboard.delete(f"/api/traces/{RUN}", headers=ACTING).status_code == 200
    assert dashboard.post("/api/sql", json=asked, headers=LOOKING).json["rows"] == []


def test_marks_from_the_page_come_back_to_it(dashboard):
    """The form of a run keeps a mark and leads back."""
    given = {"trace_id": OTHER_RUN, "name": "", "score": "1", "label": ""}
    answer = dashboard.post("/feedback", data=given, headers=ACTING)

    assert (answer.status_code, answer.headers["Location"]) == (303, f"/traces/{OTHER_RUN}#marks")
    assert [(mark["name"], mark["score"]) for mark in marks(dashboard, OTHER_RUN)] == [("feedback", 1.0)]


def test_what_is_no_mark_is_refused(dashboard):
    """Without a run, without anything to keep, or with something of a wrong kind, nothing is kept."""
    wrong = [
        {}, {"trace_id": "x", "score": 1}, {"trace_id": RUN}, {"trace_id": RUN, "score": "nan"}, {"trace_id": RUN, "score": True},
        {"trace_id": RUN, "label": "x" * 101}, {"trace_id": RUN, "label": 7}, {"trace_id": RUN, "score": 1, "span_id": "1"}, ["x"],
    ]  # fmt: skip

    assert [dashboard.post("/api/feedback", json=each, headers=ACTING).status_code for each in wrong] == [400] * 9
    assert marks(dashboard) == []


def test_evaluations_of_any_program_are_marks(dashboard):
    """An event ``gen_ai.evaluation.result`` is a mark, from OTLP as from a journal, and one from both; one that cannot be read has no words."""
    given = {"gen_ai.evaluation.name": "relevance", "gen_ai.evaluation.score.label": "yes", "gen_ai.evaluation.score.value": 1}  # fmt: skip
    rows = [
        LogRow(
            T0 + at, "INFO", "gen_ai.evaluation.result", "", trace_id=RUN, details=json.dumps({where: given}).encode()
        )
        for at, where in enumerate(("attributes", "metadata"))
    ]
    store = running(dashboard.application).store
    store.write(Batch(logs=[*rows, rows[0]._replace(details=b"{", time_us=T0 - 1)]))

    mark = {"name": "relevance", "label": "yes", "score": 1.0}
    assert marks(dashboard) == [mark, {"name": "feedback"}]


def test_a_program_keeps_what_its_users_think(tmp_path):
    """``feedback`` is a line of the journal about a run, redacted; a mistake is told at once."""
    ai_dev_squad.configure(log_dir=str(tmp_path / "logs"))
    agent = operations.start(operations.AGENT, "planner", framework="mine")
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD"
    ai_dev_squad.feedback(agent.trace_id, name="helpful", score=1, label="good", comment=f"with {key}")
    for wrong in ({}, {"score": float("nan")}):
        with pytest.raises(ValueError, match="score"):
            ai_dev_squad.feedback(agent.trace_id, **wrong)
    with pytest.raises(ValueError, match="no trace id"):
        ai_dev_squad.feedback("x", score=1)
    agent.stop()
    ai_dev_squad.shutdown()
    lines = [line for line in ai_dev_squad.read_journal(tmp_path / "logs") if line.event_type.startswith("gen_ai")]

    (line,) = lines
    assert (line.trace_id, line.event_type) == (agent.trace_id, "gen_ai.evaluation.result")
    assert line.metadata["gen_ai.evaluation.score.value"] == 1.0
    assert key not in line.metadata["gen_ai.evaluation.explanation"]


def test_traces_are_narrowed_to_what_somebody_marked(dashboard):
    """By API and on the page, which names what the list is narrowed to; a score may be below zero."""
    mark = {"trace_id": RUN, "name": "helpful", "score": -0.5, "label": "bad"}
    assert dashboard.post("/api/feedback", json=mark, headers=ACTING).status_code == 201
    address = "from=2027-01-15T07:00:00&to=2027-01-16"
    for query, found in (
        ("mark=bad", [RUN]),
        ("mark=any&min_score=-0.5", [RUN]),
        ("mark=good", []),
        ("min_score=0", []),
        ("note=1", []),
    ):
        rows = dashboard.get(f"/api/traces?{address}&{query}", headers=LOOKING).json["rows"]
        assert [row["trace_id"] for row in rows] == found, query
    page = dashboard.get(f"/traces?{address}&mark=bad&max_score=0", headers=LOOKING).text
    assert '<span class="filter-name">Marked</span> <bdi>bad</bdi>' in page
    assert '<span class="filter-name">Score at most</span> <bdi>0</bdi>' in page
    assert dashboard.post("/api/feedback", json={**mark, "comment": "why"}, headers=ACTING).status_code == 201
    page = dashboard.get(f"/traces?{address}&note=1", headers=LOOKING)
    assert '<span class="filter-name">Has a note</span><a' in page.text
    assert 'name="note" value="1" checked' in page.text
    assert RUN in page.text


def test_marks_stand_beside_what_their_runs_cost(dashboard):
    """By whatever the runs have in common: how many, mean, labels, cost, and what a good run costs where six tell of it."""
    runs = [f"{number:032x}" for number in range(1, 13)]
    call = {"operation": "chat", "model": "m", "usage_source": "provider", "cost_usd": 0.5, "user_id": "eve"}
    running(dashboard.application).store.write(
        Batch(spans=[SpanRow(run, f"{1:016x}", None, T0 + place, 1, "m", **call) for place, run in enumerate(runs)])
    )
    for place, run in enumerate(runs):
        mark = {"trace_id": run, "name": "helpful", "score": float(place < 8), "label": "good" if place < 8 else "bad"}
        assert dashboard.post("/api/feedback", json=mark, headers=ACTING).status_code == 201
    address = "/api/costs?from=2027-01-15T07:00:00&to=2027-01-16&marks_by=user"

    (row,) = dashboard.get(address, headers=LOOKING).json["marked"]
    assert row == {
        "key": "eve", "name": "helpful", "runs": 12, "scored": 12, "cost_usd": 6.0, "unpriced_calls": 0, "good_runs": 8,
        "labels": [{"label": "good", "runs": 8, "share": pytest.approx(2 / 3)}, {"label": "bad", "runs": 4, "share": pytest.approx(1 / 3)}],
        # Wilson's interval of 8 of 12.
        "mean": pytest.approx(2 / 3), "low": pytest.approx(0.391, abs=0.001), "high": pytest.approx(0.862, abs=0.001),
        "cost_per_good_run_usd": pytest.approx(0.75), "cost_per_good_run_low_usd": pytest.approx(0.58, abs=0.001),
        "cost_per_good_run_high_usd": pytest.approx(1.28, abs=0.001),
    }  # fmt: skip
    few = dashboard.get(f"{address}&good=bad", headers=LOOKING).json["marked"][0]
    assert (few["good_runs"], few["cost_per_good_run_usd"]) == (4, None)
    scored = dashboard.get(f"{address}&good_score=0.5&good=bad", headers=LOOKING).json["marked"][0]
    assert (scored["good_runs"], scored["cost_per_good_run_usd"]) == (8, pytest.approx(0.75))
    file = dashboard.get(f"{address}&table=marked&format=csv", headers=LOOKING).text.splitlines()
    assert file[0].startswith("key,name,runs,scored,mean,low,high,labels,cost_usd,")
    assert file[1].startswith("eve,helpful,12,12,0.66")
    assert dashboard.get(address.replace("user", "colour"), headers=LOOKING).status_code == 400
    page = dashboard.get(address.replace("/api", ""), headers=LOOKING).text
    assert "What was thought of it" in page
    assert "too few" in dashboard.get(f"{address.replace('/api', '')}&good=bad", headers=LOOKING).text


@pytest.mark.parametrize(
    "scores, low, high",
    [
        ([1.0, 2.0, 3.0, 4.0, 5.0], None, None),
        ([3.0] * 9, None, None),
        ([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 1.537, 5.463),  # Student: 2.5706 with five degrees of freedom
        ([0.0, 0.5, 1.0, 1.0, 0.5, 0.0, 1.0], 0.159, 0.984),  # 2.4469 with six
        ([1.0] * 6, 0.610, 1.0),  # Wilson: six of six say nothing of all
    ],
)
def test_the_interval_of_a_mean_is_told_where_enough_is_known(scores, low, high):
    """From six scores on that differ: Student's, and Wilson's for zeros and ones."""
    given = Marked(
        "m", "n", len(scores), len(scores), mean(scores), stdev(scores), min(scores), max(scores), (), 0, 1.0, 0
    )
    (row,) = (marked._row(each, None) for each in (given,))
    assert (row.low, row.high) == (
        (None, None) if low is None else (pytest.approx(low, abs=0.004), pytest.approx(high, abs=0.004))
    )
    assert (row.good_runs, row.cost_per_good_run_usd) == (None, None)
