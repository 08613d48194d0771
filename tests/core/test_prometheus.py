"""A program that is scraped by a Prometheus itself: what it called, used, spent and has left, and no label that a program could flood."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.request import Request, urlopen

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

import ai_dev_squad
from ai_dev_squad import guard, operations
from ai_dev_squad.costs import BudgetExceeded
from ai_dev_squad.schema import Usage

ALERTS = Path(__file__).resolve().parents[2] / "deploy" / "prometheus" / "alerts.yml"
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}


def work(models: int = 1, *, fails: bool = False) -> str:
    """A run with an agent, a call of each of some models and a tool. Returns its trace."""
    agent = operations.start(operations.AGENT, "planner", framework="my-squad")
    for number in range(models):
        model = f"made-up-{number}" if models > 1 else "gpt-4o-mini"
        request = operations.ModelRequest(model=model, provider="openai")
        call = operations.start(operations.CHAT, model, framework="my-squad", parent=agent, request=request)
        call.usage = Usage(input_tokens=1_000, output_tokens=100, cache_read_input_tokens=200, source="provider")
        call.stop()
    tool = operations.start(operations.TOOL, "weather", framework="my-squad", parent=agent)
    (tool.fail(ValueError("no")) if fails else tool.stop())
    agent.stop()
    return agent.trace_id


def scrape(port: int, accept: dict[str, str] | None = None) -> str:
    with urlopen(Request(f"http://127.0.0.1:{port}/metrics", headers=accept or {}), timeout=20) as answer:
        return answer.read().decode()


def values(text: str, *names: str) -> dict[str, float]:
    """The samples of these metrics, less their prefix."""
    return {
        line.rpartition(" ")[0].removeprefix("ai_dev_squad_"): float(line.rpartition(" ")[2])
        for line in text.splitlines()
        if line.removeprefix("ai_dev_squad_").startswith(names)
    }


def test_a_program_says_what_it_called_used_spent_and_has_left() -> None:
    """Calls, tokens by kind, cost, runs, tools and budgets, from the first call after it was turned on."""
    work()
    port = ai_dev_squad.serve_metrics(0)
    ai_dev_squad.get_cost_tracker().budget_manager.set_budget("team", limit_usd=1.0, period="day")
    work()
    work(fails=True)
    call = 'framework="my-squad",model="gpt-4o-mini",provider="openai"'
    priced = 2 * (800 * 0.15 + 200 * 0.075 + 100 * 0.6) / 1e6
    text = scrape(port)
    assert values(text, "model_calls_total", "tokens_total", "runs_total", "tool_calls_total", "cost_usd_total") == {
        f'model_calls_total{{{call},status="ok"}}': 2.0,
        **{f'tokens_total{{framework="my-squad",kind="{kind}",model="gpt-4o-mini",provider="openai"}}': count
           for kind, count in (("input", 2_000.0), ("output", 200.0), ("cache_read", 400.0))},
        'runs_total{framework="my-squad",status="ok"}': 2.0,
        'tool_calls_total{framework="my-squad",status="ok"}': 1.0,
        'tool_calls_total{framework="my-squad",status="error"}': 1.0,
        f"cost_usd_total{{{call}}}": pytest.approx(priced),
    }  # fmt: skip
    assert values(text, "budget_") == {
        'budget_limit_usd{budget="team",period="daily"}': 1.0,
        'budget_spent_usd{budget="team",period="daily"}': pytest.approx(priced),
        'budget_reserved_usd{budget="team",period="daily"}': 0.0,
        'budget_remaining_usd{budget="team",period="daily"}': pytest.approx(1 - priced),
    }
    assert values(text, "dropped_journal_lines_total", "seen_model_calls_total") == {
        "dropped_journal_lines_total": 0.0,
        "seen_model_calls_total": float(ai_dev_squad.coverage().seen),  # of the process, since it began
    }


def test_a_slow_call_leads_to_its_trace() -> None:
    """The histograms' exemplars, in OpenMetrics, name the trace of the call that was counted last in a bucket."""
    port = ai_dev_squad.serve_metrics(0)
    trace = work()
    families = {family.name: family for family in text_string_to_metric_families(scrape(port, OPENMETRICS))}
    samples = families["ai_dev_squad_model_call_duration_seconds"].samples
    assert {sample.exemplar.labels["trace_id"] for sample in samples if sample.exemplar} == {trace}


def test_a_program_that_makes_up_names_fills_nothing() -> None:
    """200 names are told apart; what comes beyond is counted together, and nothing is lost."""
    port = ai_dev_squad.serve_metrics(0)
    work(models=250)
    found = values(scrape(port), "model_calls_total")
    assert len(found) <= 201
    assert sum(found.values()) == 250
    assert found['model_calls_total{framework="(other)",model="(other)",provider="(other)",status="ok"}'] >= 50


def test_a_call_that_a_budget_refused_is_none() -> None:
    """It is counted as refused, apart from the calls that were made."""
    port = ai_dev_squad.serve_metrics(0)
    ai_dev_squad.get_cost_tracker().budget_manager.set_budget("none", limit_usd=1e-6, period="day", on_exceed="stop")
    request = operations.ModelRequest(
        model="gpt-4o-mini", provider="openai", prompt=lambda: "hello " * 50, max_output_tokens=10
    )
    call = operations.start(operations.CHAT, "gpt-4o-mini", framework="my-squad", request=request)
    with pytest.raises(BudgetExceeded) as refused:
        call.reserve()
    call.fail(refused.value)
    found = values(scrape(port), "model_calls_total", "refused_model_calls_total")
    assert list(found.values()) == [1.0]
    assert "refused" in next(iter(found))


def test_counters_outlive_what_is_configured_anew() -> None:
    """They only grow, whatever else of the settings changes; the collector is the same one."""
    collector = ai_dev_squad.metrics_collector()
    work()
    ai_dev_squad.configure(service_name="other", log_level="ERROR")
    work()
    assert ai_dev_squad.metrics_collector() is collector
    (family,) = [each for each in collector.collect() if each.name == "ai_dev_squad_model_calls"]
    assert [sample.value for sample in family.samples if sample.name.endswith("_total")] == [2.0]


def test_without_the_extra_the_error_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing that was configured changes."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ImportError, match=r"pip install 'ai-dev-squad\[prometheus\]'"):
        ai_dev_squad.serve_metrics(0)
    assert not ai_dev_squad.get_settings().prometheus


def test_a_variable_keeps_no_program_from_running(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the extra is missing, ``AI_DEV_SQUAD_PROMETHEUS`` is told of and does nothing."""
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    monkeypatch.setenv("AI_DEV_SQUAD_PROMETHEUS", "true")
    guard.set_strict(False)
    assert len(work()) == 32


def test_the_rules_of_deploy_ask_for_what_a_program_has() -> None:
    """Alerts on calls, runs, money and latency hold for a program that is scraped itself; the others are the dashboard's own."""
    ai_dev_squad.metrics_collector()
    ai_dev_squad.get_cost_tracker().budget_manager.set_budget("team", limit_usd=1.0, period="day")
    port = ai_dev_squad.serve_metrics(0)
    work()
    there = set(re.findall(r"^(ai_dev_squad_\w+?)(?:_bucket)?[ {]", scrape(port), re.MULTILINE))
    asked = {name.removesuffix("_bucket") for name in re.findall(r"ai_dev_squad_\w+", ALERTS.read_text())}
    assert {
        name for name in asked if re.search("_calls_total|runs_total|cost_usd|call_duration|remaining", name)
    } <= there


@pytest.mark.once
@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
def test_promtool_finds_nothing() -> None:
    """Prometheus's own tool takes what is scraped."""
    port = ai_dev_squad.serve_metrics(0)
    work()
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=scrape(port), capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.once
@pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed: apt-get install prometheus"
)
def test_a_real_prometheus_scrapes_a_program(tmp_path: Path) -> None:
    """With exemplars on it takes OpenMetrics, and answers what the program counted."""
    import httpx

    port = ai_dev_squad.serve_metrics(0)
    work()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        own = probe.getsockname()[1]
    (tmp_path / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 1s}}\nscrape_configs: [{{job_name: x, static_configs: [{{targets: ['127.0.0.1:{port}']}}]}}]\n"
    )
    process = subprocess.Popen(
        ["prometheus", f"--config.file={tmp_path / 'prometheus.yml'}", f"--storage.tsdb.path={tmp_path / 'tsdb'}",
         f"--web.listen-address=127.0.0.1:{own}", "--enable-feature=exemplar-storage"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        seen = None
        for _ in range(300):
            time.sleep(0.1)
            try:
                said = httpx.get(
                    f"http://127.0.0.1:{own}/api/v1/query", params={"query": "sum(ai_dev_squad_tokens_total)"}
                ).raise_for_status()
            except httpx.HTTPError:
                continue
            if answer := said.json()["data"]["result"]:
                seen = float(answer[0]["value"][1])
                break
        assert seen == 1_300.0
    finally:
        process.terminate()
        process.wait(30)
