"""Results of the lab to look at: a real run over three scenarios, an earlier one, and one through another instrumentation."""

from __future__ import annotations

import json
from pathlib import Path

DATA = Path(__file__).parent / "data" / "parity.json"


def real() -> dict:
    """The run as the lab wrote it; every cell passes."""
    return json.loads(DATA.read_text(encoding="utf-8"))


def cell(matrix: dict, scenario: str, framework: str) -> dict:
    """A cell of a run, to be changed."""
    return next(one for one in matrix["cells"] if (one["scenario"], one["framework"]) == (scenario, framework))


def refuse(found: dict, verdict: str, reason: str, source: str = "") -> None:
    """Let a cell be one that could not be run."""
    keep = {"scenario": found["scenario"], "framework": found["framework"]}
    found.clear()
    found.update(keep, verdict=verdict, reason=reason, source=source)


def lose_a_call(found: dict) -> None:
    """Let a cell have captured one model call less than there were."""
    lost = found["captured"].pop()
    found["verdict"] = "fails"
    found["reason"] = "calls: model calls by how they ended: {'ok': 1} captured, {'ok': 2} true"
    found["output"] = "Traceback (most recent call last):\n  <script>window.hacked = 1</script>"
    for check in found["checks"]:
        if check["name"] == "calls":
            check.update(ok=False, captured="1 ok", truth="2 ok", detail="one call is missing")
    found["measures"]["tokens"]["median"] -= lost["input_tokens"] + lost["output_tokens"]


def verdicts() -> dict:
    """The run with one cell of each verdict."""
    matrix = real()
    lose_a_call(cell(matrix, "tool_call", "crewai"))
    refuse(
        cell(matrix, "handoff", "crewai"),
        "framework can't",
        "CrewAI has no handoff",
        "https://docs.crewai.com/concepts",
    )
    refuse(cell(matrix, "plain_call", "autogen"), "adapter can't", "the adapter does not see it", "javascript:alert(1)")
    return matrix


def earlier() -> dict:
    """A run of the day before: another CrewAI, a cell that failed, and an overhead that was three times as high."""
    matrix = real()
    matrix["created"] = "2026-11-21T08:00:00Z"
    matrix["versions"]["crewai"]["crewai"] = "1.15.29"
    found = cell(matrix, "plain_call", "langgraph")
    found.update(verdict="fails", reason="trace: 2 traces, not 1")
    for one in (cell(matrix, "handoff", "autogen")["measures"]["framework"],):
        one["median"] *= 30
        one["values"] = [value * 30 for value in one["values"]]
        one["interval"] = {name: value * 30 for name, value in one["interval"].items()}
    return matrix


def through_openinference() -> dict:
    """A run through another instrumentation, which lost a call."""
    matrix = real()
    matrix["created"] = "2026-11-22T09:00:00Z"
    matrix["observer"] = "openinference"
    lose_a_call(cell(matrix, "handoff", "langgraph"))
    return matrix


def providers() -> dict:
    """A table of providers: one that passes, one that is no client, one that is not installed, and one that loses its cache."""
    call = {
        "model": "m", "input_tokens": 1200, "output_tokens": 160, "cached_tokens": 1024, "reasoning_tokens": 64,
        "cost_usd": 0.0002,
    }  # fmt: skip
    given = {"scenario": "openai", "client": {"openai": "2.54.0"}, "captured": [call], "truth": [call]}
    passed = [
        {**given, "framework": name, "streamed": way, "verdict": "passes"}
        for name in ("langgraph", "autogen")
        for way in (False, True)
    ]
    lost = {
        "scenario": "bedrock",
        "framework": "langgraph",
        "streamed": True,
        "verdict": "fails",
        "reason": "<i>0 cached",
    }
    missing = {
        "scenario": "bedrock",
        "framework": "langgraph",
        "verdict": "not installed",
        "reason": "pip install boto3",
    }
    cannot = {
        "scenario": "bedrock", "framework": "autogen", "verdict": "framework can't", "reason": "no such client",
        "source": "https://example.org/clients",
    }  # fmt: skip
    rows = [("openai", "OpenAI", "chat completions"), ("bedrock", "Amazon Bedrock", "Converse")]
    return {
        "version": 1,
        "created": "2026-11-23T10:00:00Z",
        "providers": [{"name": name, "title": title, "wire": wire, "model": "m"} for name, title, wire in rows],
        "cells": [*passed, missing, lost, cannot, {**cannot, "streamed": True}],
    }


def six() -> dict:
    """The run with one cell of each verdict, on three more frameworks: each as one of the first three came out."""
    matrix = verdicts()
    twins = {"agent_framework": "autogen", "openai_agents": "crewai", "pydantic_ai": "langgraph"}
    packages = {
        "agent_framework": "agent-framework-core",
        "openai_agents": "openai-agents",
        "pydantic_ai": "pydantic-ai-slim",
    }
    for name, twin in twins.items():
        matrix["cells"] += [{**one, "framework": name} for one in matrix["cells"] if one["framework"] == twin]
        matrix["versions"][name] = {packages[name]: "2.68.0", "openai": "3.57.0"}
        for scenario in matrix["scenarios"]:
            scenario["programs"][name] = scenario["programs"][twin].replace("LLM", "Model")
    return matrix


def fill(logs: Path, frameworks: int = 3) -> None:
    """Write all of them where a dashboard that follows ``logs`` looks for them."""
    folder = logs / "parity"
    write(folder / "parity.json", six() if frameworks == 6 else verdicts())
    write(folder / "providers.json", providers())
    write(folder / "history" / "2026-11-22T18-22-50Z.json", verdicts())
    write(folder / "history" / "2026-11-21T08-00-00Z.json", earlier())
    write(folder / "history" / "2026-11-22T09-00-00Z.json", through_openinference())


def write(path: Path, matrix: object) -> None:
    """Write one file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(matrix), encoding="utf-8")
