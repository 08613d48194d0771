"""What ten thousand rules of alerts cost at two thousand spans a second: reading what arrived, adding up, deciding, keeping.

Model and tool calls of 400 agents, 30 models, 100 tools, 40 services, 2,000 users and 20,000 sessions are written to a store in a
file, a second's worth at a time; then a round of alerts runs, as it does every second. What the writing costs is not in it.
"""

from __future__ import annotations

import argparse
import gc
import random
import tempfile
import time
from pathlib import Path
from statistics import fmean, median
from typing import Any

import environments
from report import Report, Target, main
from worker import in_turns, serve

_RATE = 2_000
_RULES = 10_000
_LIMIT = 0.05
_SECOND = 1_000_000
_VARIANTS = ("no rules", "10,000 rules", "10,000 rules on one sum")


def _rules(name: str) -> str:
    """Rules as a company might have them: most about one agent each, some about a model, tool or service, a few about each user."""
    if name == "no rules":
        return '[[rule]]\nname = "none"\nmeasure = "loops"\n'
    if name == "10,000 rules on one sum":
        return "\n".join(
            f'[[rule]]\nname = "r{number}"\nmeasure = "cost_usd"\nover = "1h"\nabove = {1e6 + number}\n'
            for number in range(_RULES)
        )
    draw = random.Random(2)
    made = [
        '[[rule]]\nname = "each user"\nmeasure = "cost_usd"\nover = "1d"\nabove = 1e6\nby = ["user"]\n',
        '[[rule]]\nname = "each model"\nmeasure = "p95_ms"\nover = "5m"\nabove = 1e7\nby = ["model"]\n',
        '[[rule]]\nname = "each tool"\nmeasure = "error_rate"\nof = "tools"\nover = "15m"\nabove = 0.9\nby = ["tool"]\n',
        '[[rule]]\nname = "silence"\nmeasure = "silence"\nover = "5m"\n',
    ]
    wanted = (
        ("agent", "agent", 400, 7000),
        ("model", "model", 30, 1000),
        ("tool", "tool", 100, 1000),
        ("service", "service", 40, 992),
    )
    for field, prefix, names, number in wanted:
        for one in range(number):
            measure, threshold = draw.choice(
                (
                    ("cost_usd", 1e6),
                    ("tokens", 1e11),
                    ("errors", 1e6),
                    ("error_rate", 1.0),
                    ("count", 1e8),
                    ("p95_ms", 1e7),
                )
            )
            of = ' of = "tools"\n' if field == "tool" and measure not in {"cost_usd", "tokens"} else ""
            over = draw.choice(("5m", "1h", "1d"))
            made.append(
                f'[[rule]]\nname = "{field} {one}"\nmeasure = "{measure}"\n{of}over = "{over}"\n'
                f'above = {threshold + one}\nwhere = {{ {field} = "{prefix}-{one % names}" }}\n'
            )
    # And some whose agents are never seen.
    made += [
        f'[[rule]]\nname = "gone {one}"\nmeasure = "count"\nabove = 5\nwhere = {{ agent = "gone-{one}" }}\n'
        for one in range(_RULES - len(made))
    ]
    return "\n".join(made)


def _second(draw: random.Random, at_us: int) -> list[Any]:
    from ai_dev_squad_dashboard.store.rows import SpanRow

    rows = []
    for number in range(_RATE):
        is_tool = number % 3 == 0
        lasts_us = draw.randrange(1, 3 * _SECOND)
        ago_us = draw.randrange(3 * _SECOND)
        names = {
            "framework": "langgraph",
            "service": f"service-{draw.randrange(40)}",
            "session_id": f"session-{draw.randrange(20_000)}",
            "user_id": f"user-{draw.randrange(2000)}",
            "agent": f"agent-{draw.randrange(400)}",
            "status": "error" if draw.random() < 0.02 else "ok",
        }
        kind: dict[str, Any] = (
            {"name": "tool", "operation": "execute_tool", "tool": f"tool-{draw.randrange(100)}"}
            if is_tool
            else {
                "name": "chat", "operation": "chat", "model": f"model-{draw.randrange(30)}", "provider": "openai",
                "usage_source": "provider", "input_tokens": draw.randrange(4000), "output_tokens": 100, "cost_usd": 0.01,
            }
        )  # fmt: skip
        rows.append(
            SpanRow(
                trace_id=f"{draw.randrange(1, 1 << 128):032x}",
                span_id=f"{draw.randrange(1, 1 << 64):016x}",
                parent_span_id=f"{draw.randrange(1, 1 << 64):016x}",
                start_us=at_us - ago_us - lasts_us,
                duration_us=lasts_us,
                **names,
                **kind,
            )
        )
    return rows


def _work(name: str) -> None:
    """Seconds of traffic, one after the other; the processor's time of the rounds of alerts only, the engine's threads included."""
    from ai_dev_squad_dashboard.alerts import read_rules
    from ai_dev_squad_dashboard.alerts.alerting import Alerting
    from ai_dev_squad_dashboard.ingest.queue import IngestQueue
    from ai_dev_squad_dashboard.settings import DashboardSettings
    from ai_dev_squad_dashboard.store import open_store
    from ai_dev_squad_dashboard.store.rows import Batch

    # As the dashboard's process does.
    gc.set_threshold(50_000, 20, 20)
    home = Path(tempfile.mkdtemp(prefix="alert-rules-"))
    path = home / "alerts.toml"
    path.write_text(_rules(name), encoding="utf-8")
    settings = DashboardSettings(db=home / "d.duckdb", alerts=path)
    store = open_store(settings.db)
    queue = IngestQueue(store, max_pending_rows=100_000)
    draw, now_us = random.Random(1), [time.time_ns() // 1000]
    alerting = Alerting(store, queue, settings, read_rules(path), clock=lambda: now_us[0])
    alerting.tick()

    def run(seconds: int) -> dict[str, Any]:
        used = []
        for _ in range(seconds):
            now_us[0] += _SECOND
            queue.submit(Batch(spans=_second(draw, now_us[0]))).result(60)
            before = time.process_time()
            alerting.tick()
            used.append(time.process_time() - before)
        return {
            "s": fmean(used),
            "most": max(used),
            "versions": environments.versions("ai-dev-squad-dashboard", "duckdb"),
        }

    serve(run)


def measure(options: argparse.Namespace) -> Report:
    """A minute and a half of traffic for each set of rules, alternating."""
    repetitions, seconds = (2, 3) if options.quick else (9, 10)
    report = Report(
        title="Rules of alerts",
        how=f"{_RATE:,} spans a second; that ended up to 3 s ago; processor time of a round, which is due every second: "
        f"mean of {seconds} s, median of {repetitions} interleaved repetitions.",
        columns={"rules": "", "ms/round": ".1f", "us/span": ".1f", "worst ms/round": ".1f", "% of a processor": ".2f"},
    )
    python = environments.python_of(environments.OURS)
    assert python is not None
    answers = in_turns(python, __file__, _VARIANTS, repetitions, seconds=seconds)
    for name in answers:
        used = median(answer["s"] for answer in answers[name])
        report.used(answers[name][0]["versions"])
        report.rows.append(
            {
                "rules": name,
                "ms/round": used * 1e3,
                "us/span": used / _RATE * 1e6,
                "worst ms/round": max(answer["most"] for answer in answers[name]) * 1e3,
                "% of a processor": used * 100,
            }
        )
        if name != "no rules":
            report.targets.append(Target(f"{name}: at most {_LIMIT:.0%} of a processor", f"{used:.2%}", used <= _LIMIT))
    return report


if __name__ == "__main__":
    main(measure, _work, __doc__)
