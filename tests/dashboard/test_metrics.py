"""What a Prometheus gets of ``/metrics``, and that the rules and the Grafana dashboard ask for what is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from flask.testing import FlaskClient
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.samples import Sample

sys.path.insert(0, str(Path(__file__).parent))

from sample import Run, fill, trace_id

from ai_dev_squad.prometheus import MOST_NAMES, OTHER
from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.metrics.counting import Tally
from ai_dev_squad_dashboard.security.tokens import new_token
from ai_dev_squad_dashboard.server import DashboardServer
from ai_dev_squad_dashboard.store import Store, StoreError, open_memory_store
from ai_dev_squad_dashboard.store.deletions import Subject

DEPLOY = Path(__file__).parents[2] / "deploy"
READ, READ_DIGEST = new_token("read")
INGEST, INGEST_DIGEST = new_token("ingest")
LOOKING = {"Authorization": f"Bearer {READ}"}
Series = dict[tuple[str, ...], float]


@pytest.fixture
def store() -> Store:
    """An empty store, which the dashboard closes."""
    return open_memory_store()


@pytest.fixture
def client(store: Store) -> Iterator[FlaskClient]:
    """A dashboard over it."""
    settings = DashboardSettings(
        port=0, logs=(), read_tokens=(READ_DIGEST,), ingest_tokens=(INGEST_DIGEST,), budgets=("team=50/month",)
    )
    app = create_app(settings, store=store, follow=False)
    yield app.test_client(use_cookies=False)
    running(app).close()


def scraped(client: FlaskClient) -> list[Sample]:
    """What a Prometheus reads."""
    answer = client.get("/metrics", headers=LOOKING)
    assert answer.status_code == 200
    return [sample for family in parser.text_string_to_metric_families(answer.text) for sample in family.samples]


def series(samples: list[Sample], name: str, *labels: str) -> Series:
    """The values of one metric by labels."""
    found = [each for each in samples if each.name == f"ai_dev_squad_{name}"]
    return {tuple(each.labels.get(label, "") for label in labels): each.value for each in found}


def test_a_scrape_says_what_the_store_says(client: FlaskClient, store: Store) -> None:
    """Counters begin at nothing and grow by what arrives: calls, costs, tokens of each kind, latency, as SQL sums them up."""
    before = scraped(client)
    assert series(before, "model_calls_total", "model") == {}
    fill(store, time.time_ns() // 1000, runs=30, long_spans=400)

    now = scraped(client)

    def truth(question: str) -> Series:
        return {
            tuple("" if name is None else str(name) for name in row[:-1]): row[-1] for row in store.sql(question).rows
        }

    names = "framework, provider, model"
    columns = ("framework", "provider", "model")
    assert series(now, "model_calls_total", *columns, "status") == {
        **{(*key, "ok"): 0.0 for key in truth(f"SELECT {names}, 0 FROM calls GROUP BY ALL")},
        **{(*key, "error"): 0.0 for key in truth(f"SELECT {names}, 0 FROM calls GROUP BY ALL")},
        **truth(f"SELECT {names}, if(status = 'error', 'error', 'ok') AS s, count(*) FROM calls GROUP BY ALL"),
    }
    assert series(now, "cost_usd_total", *columns) == pytest.approx(
        truth(f"SELECT {names}, coalesce(sum(cost_usd), 0) FROM calls GROUP BY ALL")
    )
    assert series(now, "unpriced_model_calls_total", *columns) == truth(
        f"SELECT {names}, count(*) FILTER (cost_usd IS NULL) FROM calls GROUP BY ALL"
    )
    for kind in ("input", "output", "cache_read", "cache_write", "reasoning"):
        counted = {
            key[:3]: value for key, value in series(now, "tokens_total", *columns, "kind").items() if key[3] == kind
        }
        assert counted == truth(f"SELECT {names}, coalesce(sum({kind}_tokens), 0) FROM calls GROUP BY ALL"), kind
    timed = f"SELECT {names}, count(*) FROM calls WHERE duration_ms >= 0 GROUP BY ALL"
    assert series(now, "model_call_duration_seconds_count", *columns) == truth(timed)
    assert sum(series(now, "model_call_duration_seconds_sum", *columns).values()) == pytest.approx(
        truth("SELECT sum(duration_ms) / 1000 FROM calls WHERE duration_ms >= 0")[()]
    )
    within = truth(f"SELECT {names}, count(*) FROM calls WHERE duration_ms BETWEEN 0 AND 1048.576 GROUP BY ALL")
    bucket = series(now, "model_call_duration_seconds_bucket", *columns, "le")
    assert {key[:3]: value for key, value in bucket.items() if key[3] == "1.048576" and value} == within
    first = "count(*) FROM calls WHERE first_chunk_ms IS NOT NULL"
    assert sum(series(now, "time_to_first_chunk_seconds_bucket", "le", *columns).get(key, 0)
               for key in series(now, "time_to_first_chunk_seconds_bucket", "le", *columns) if key[0] == "+Inf") == truth(f"SELECT {first}")[()]  # fmt: skip
    assert series(now, "tool_calls_total", "framework", "status") == pytest.approx(
        {**{(key[0], status): 0.0 for key in truth("SELECT framework, 0 FROM tools GROUP BY ALL") for status in ("ok", "error")},
         **truth("SELECT framework, if(status = 'error', 'error', 'ok') AS s, count(*) FROM tools GROUP BY ALL")}
    )  # fmt: skip
    assert series(now, "budget_limit_usd", "budget", "period") == {("team", "monthly"): 50.0}
    assert series(now, "store_up") == {(): 1.0}
    assert series(now, "store_spans")[()] == truth("SELECT count(*) FROM spans")[()]


def test_counters_only_grow(client: FlaskClient, store: Store) -> None:
    """What is deleted was counted all the same, and what comes twice counts once: a counter that falls would be taken for a restart."""
    fill(store, time.time_ns() // 1000, runs=3, long_spans=0)
    before = series(scraped(client), "cost_usd_total", "framework", "model")
    store.delete(Subject("trace", trace_id("failed")), by="a test", at_us=time.time_ns() // 1000)
    run = Run("later", "langgraph", time.time_ns() // 1000)
    run.call("gpt-4o", None, 0, 1, tokens=(1_000_000, 0))
    store.write(run.batch)
    store.write(run.batch)
    after = series(scraped(client), "cost_usd_total", "framework", "model")
    assert {key: round(value - before[key], 6) for key, value in after.items()} == {
        **dict.fromkeys(before, 0.0),
        ("langgraph", "gpt-4o"): 2.5,
    }
    assert series(scraped(client), "cost_usd_total", "framework", "model") == after


def test_names_of_senders_cannot_fill_a_prometheus(client: FlaskClient, store: Store) -> None:
    """Of a thousand models two hundred are told apart, none is lost from the sums, and a name is text whatever it has in it."""
    run = Run("many", "langgraph", time.time_ns() // 1000)
    for number in range(1_000):
        run.call(f"gpt-4o-mini-{number}" if number else 'gpt"\n} 1\nup 0\x00\u202e' + "x" * 500, None, 0, 1)
    store.write(run.batch)

    counted = series(scraped(client), "model_calls_total", "model", "status")

    models = {model for model, _ in counted}
    assert len(models) == MOST_NAMES + 1
    assert sum(counted.values()) == 1_000
    assert counted[OTHER, "ok"] == 1_000 - MOST_NAMES
    assert max(map(len, models)) < 200
    assert not any("\x00" in model or "\u202e" in model for model in models)


def test_both_formats_are_spoken(client: FlaskClient, store: Store) -> None:
    """A Prometheus that asks for OpenMetrics gets it, checked by its own strict parser."""
    fill(store, time.time_ns() // 1000, runs=3, long_spans=0)
    wants = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
    answer = client.get("/metrics", headers={**LOOKING, "Accept": wants})
    assert answer.content_type.startswith("application/openmetrics-text")
    families = {family.name for family in openmetrics.text_string_to_metric_families(answer.text)}
    assert {"ai_dev_squad_cost_usd", "ai_dev_squad_model_call_duration_seconds"} <= families


@pytest.mark.parametrize(
    "headers, status",
    [({}, 401), ({"Authorization": f"Bearer {INGEST}"}, 403), (LOOKING, 200)],
    ids=["nobody", "ingest token", "read token"],
)
def test_who_may_scrape(client: FlaskClient, headers: dict[str, str], status: int) -> None:
    """Metrics are for whoever may look."""
    assert client.get("/metrics", headers=headers).status_code == status


def test_a_store_that_fails_is_told(client: FlaskClient, store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that does not answer makes ``store_up`` 0 and no error; what arrived meanwhile is counted when it answers again."""
    scraped(client)

    def fail(known: int = 0, **_: float) -> int:
        raise StoreError("the disk is gone")

    with monkeypatch.context() as failing:
        failing.setattr(store, "newest_span", fail)
        assert series(scraped(client), "store_up") == {(): 0.0}
        assert series(scraped(client), "pending_rows") == {(): 0.0}
    run = Run("meanwhile", "crewai", time.time_ns() // 1000)
    run.call("gpt-4o", None, 0, 1)
    store.write(run.batch)
    assert series(scraped(client), "model_calls_total", "status") == {("error",): 0.0, ("ok",): 1.0}


def test_what_was_there_before_is_not_counted(store: Store) -> None:
    """A counter begins at the start of the process, as counters do."""
    fill(store, time.time_ns() // 1000, runs=2, long_spans=0)
    tally = Tally(store)
    tally.start()
    tally.refresh()
    assert (tally.calls, tally.runs) == ({}, {})
    store.close()


def metrics_in(expression: str) -> set[str]:
    """The metrics that an expression asks for."""
    return set(re.findall(r"\b(?:ai_dev_squad_\w+|up)\b(?!=)", expression))


def known(client: FlaskClient, store: Store) -> set[str]:
    """Every sample's name in a scrape of a dashboard that has seen something."""
    fill(store, time.time_ns() // 1000, runs=3, long_spans=0)
    return {sample.name for sample in scraped(client)} | {"up"}


def test_every_rule_asks_for_what_is_there(client: FlaskClient, store: Store) -> None:
    """The metrics in the alert rules are in a real scrape, and each rule is in the rules' own tests."""
    rules = [rule for group in yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text())["groups"] for rule in group["rules"]]  # fmt: skip
    tests = yaml.safe_load((DEPLOY / "prometheus" / "alerts.test.yml").read_text())["tests"]
    asked = {rule["alert"]: metrics_in(rule["expr"]) for rule in rules}
    there = known(client, store)
    assert {alert: sorted(names - there) for alert, names in asked.items() if names - there or not names} == {}
    assert {test["alertname"] for each in tests for test in each["alert_rule_test"]} == asked.keys()


def test_every_panel_asks_for_what_is_there(client: FlaskClient, store: Store) -> None:
    """The Grafana dashboard has one place for each panel, a source that is chosen there, and queries of metrics in a real scrape."""
    dashboard = json.loads((DEPLOY / "grafana" / "ai-dev-squad.json").read_text())
    there, source = known(client, store), {"type": "prometheus", "uid": "${datasource}"}
    places: set[tuple[int, int]] = set()
    panels: list[dict[str, Any]] = dashboard["panels"]
    for panel in panels:
        at = panel["gridPos"]
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert at["x"] + at["w"] <= 24
        assert not cells & places, panel["title"]
        places |= cells
        assert panel["datasource"] == source
        for target in panel["targets"]:
            assert target["datasource"] == source
            assert metrics_in(target["expr"]), panel["title"]
            assert metrics_in(target["expr"]) <= there, panel["title"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {each["name"] for each in dashboard["templating"]["list"]} == {"datasource", "framework"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
def test_promtool_finds_nothing(client: FlaskClient, store: Store) -> None:
    """Prometheus's own tool takes the rules, their tests, the configuration and a real scrape."""
    folder = DEPLOY / "prometheus"
    for arguments in (
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
        ["check", "config", "--syntax-only", "prometheus.yml"],
    ):
        done = subprocess.run(["promtool", *arguments], cwd=folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    fill(store, time.time_ns() // 1000, runs=3, long_spans=0)
    text = client.get("/metrics", headers=LOOKING).text
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed: apt-get install prometheus"
)
def test_a_real_prometheus_scrapes(store: Store, tmp_path: Path) -> None:
    """A Prometheus with the configuration of ``deploy/`` scrapes a dashboard behind a token and answers a query."""
    import httpx

    settings = DashboardSettings(port=0, logs=(), db=tmp_path / "d.duckdb", read_tokens=(READ_DIGEST,))
    app = create_app(settings, store=store, follow=False)
    server = DashboardServer(app, settings)
    server.start()
    (tmp_path / "token").write_text(READ)
    configured = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text())
    configured["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    configured["rule_files"] = [str(DEPLOY / "prometheus" / "alerts.yml")]
    job = configured["scrape_configs"][0]
    job["authorization"]["credentials_file"] = str(tmp_path / "token")
    job["static_configs"] = [{"targets": [f"127.0.0.1:{server.port}"]}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(configured))
    # Whoever closes it frees the port for the next one that asks.
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    fill(store, time.time_ns() // 1000, runs=3, long_spans=0)
    process = subprocess.Popen(
        ["prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        query = {"query": 'sum(ai_dev_squad_model_calls_total{status="ok"})'}
        wanted = store.sql("SELECT count(*) FROM calls WHERE status <> 'error'").rows[0][0]
        seen = None
        for _ in range(300):
            time.sleep(0.1)
            try:
                # It answers "Service Unavailable" from the moment it listens until it has read its disk.
                said = httpx.get(f"http://127.0.0.1:{port}/api/v1/query", params=query).raise_for_status()
            except httpx.HTTPError:
                continue
            if answer := said.json()["data"]["result"]:
                seen = float(answer[0]["value"][1])
                break
        assert seen == wanted
    finally:
        process.terminate()
        process.wait(30)
        server.stop()
        running(app).close()
