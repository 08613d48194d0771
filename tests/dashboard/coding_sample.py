"""What coding agents send, in the words of their documentation: requests of OTLP in JSON.

``requests(now_ns)`` gives ``(path, body)`` of some sessions of Claude Code (metrics as deltas), Codex and Gemini CLI (metrics that count
from the start). Times lie before ``now_ns``, so the same moment gives the same requests.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

__all__ = ["ADA", "GRACE", "codex_session", "event", "logs", "metrics", "pairs", "point", "requests", "sum_of"]

SECOND = 1_000_000_000
HOUR = 3600 * SECOND
DAY = 24 * HOUR
ADA, GRACE = "ada@example.com", "grace@example.com"


def codex_session(at_ns: int) -> str:
    """The id of a session that began then, as Codex makes it: UUID version 7, whose first 48 bits are milliseconds since 1970."""
    return str(uuid.UUID(int=(at_ns // 1_000_000 << 80) | (7 << 76) | (2 << 62) | 1))


Pairs = list[dict[str, Any]]


def pairs(given: Mapping[str, Any]) -> Pairs:
    """Attributes as OTLP writes them in JSON."""

    def value(raw: Any) -> dict[str, Any]:
        if isinstance(raw, bool):
            return {"boolValue": raw}
        if isinstance(raw, int):
            return {"intValue": str(raw)}
        return {"doubleValue": raw} if isinstance(raw, float) else {"stringValue": raw}

    return [{"key": name, "value": value(raw)} for name, raw in given.items()]


def event(time_ns: int, body: str, **given: Any) -> dict[str, Any]:
    """A log record; dots in names are written as two underscores."""
    named = {name.replace("__", "."): value for name, value in given.items()}
    return {"timeUnixNano": str(time_ns), "body": {"stringValue": body}, "attributes": pairs(named)}


def logs(service: str, scope: str, records: Iterable[Mapping[str, Any]]) -> tuple[str, dict[str, Any]]:
    """A request with log records."""
    resource = {"attributes": pairs({"service.name": service, "service.version": "1.0.0"})}
    return "/v1/logs", {
        "resourceLogs": [{"resource": resource, "scopeLogs": [{"scope": {"name": scope}, "logRecords": list(records)}]}]
    }


def point(start_ns: int, time_ns: int, value: float, **given: Any) -> dict[str, Any]:
    """A point of a sum."""
    named = {name.replace("__", "."): value for name, value in given.items()}
    return {
        "startTimeUnixNano": str(start_ns),
        "timeUnixNano": str(time_ns),
        "asDouble": value,
        "attributes": pairs(named),
    }


def sum_of(name: str, temporality: int, points: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A metric that adds up: 1 is delta, 2 cumulative."""
    added = {"aggregationTemporality": temporality, "isMonotonic": True, "dataPoints": list(points)}
    return {"name": name, "unit": "", "sum": added}


def metrics(service: str, scope: str, found: Iterable[Mapping[str, Any]]) -> tuple[str, dict[str, Any]]:
    """A request with metrics."""
    resource = {"attributes": pairs({"service.name": service})}
    return "/v1/metrics", {
        "resourceMetrics": [
            {"resource": resource, "scopeMetrics": [{"scope": {"name": scope}, "metrics": list(found)}]}
        ]
    }


def requests(now_ns: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """What came in the last two days."""
    yield from _claude(now_ns - DAY, "c1", ADA)
    yield from _claude(now_ns - HOUR, "c2", GRACE)
    yield from _codex(now_ns - 2 * HOUR)
    yield from _gemini(now_ns - 3 * HOUR)


def _claude(at: int, session: str, who: str) -> Iterator[tuple[str, dict[str, Any]]]:
    scope = "com.anthropic.claude_code"
    common = {"session__id": session, "user__email": who, "user__id": "f00d", "organization__id": "o1"}
    of_prompt = {**common, "prompt__id": f"{session}-p1"}
    model = "claude-sonnet-4-5"
    yield logs(
        "claude-code",
        f"{scope}.events",
        [
            event(at, "claude_code.user_prompt", event__name="user_prompt", event__sequence=0, prompt="Mend the dates",
                  prompt_length=14, **of_prompt),
            event(at + 5 * SECOND, "claude_code.api_request", event__name="api_request", event__sequence=1, model=model,
                  input_tokens=100, output_tokens=400, cache_read_tokens=20_000, cache_creation_tokens=1_900,
                  cost_usd=0.02, duration_ms=4000, request_id=f"req_{session}_1", **of_prompt),
            event(at + 7 * SECOND, "claude_code.tool_decision", event__name="tool_decision", event__sequence=2,
                  tool_name="Edit", decision="accept", source="user_temporary", tool_use_id="t1", **of_prompt),
            event(at + 8 * SECOND, "claude_code.tool_result", event__name="tool_result", event__sequence=3,
                  tool_name="Edit", success="true", duration_ms=120, tool_use_id="t1", decision_type="accept", **of_prompt),
            event(at + 9 * SECOND, "claude_code.tool_result", event__name="tool_result", event__sequence=4,
                  tool_name="Bash", success="false", error_type="ShellError", duration_ms=900, tool_use_id="t2", **of_prompt),
            event(at + 11 * SECOND, "claude_code.tool_decision", event__name="tool_decision", event__sequence=5,
                  tool_name="Bash", decision="reject", source="user_reject", tool_use_id="t3", **of_prompt),
            event(at + 12 * SECOND, "claude_code.api_error", event__name="api_error", event__sequence=6, model=model,
                  error="Overloaded", status_code=529, duration_ms=800, attempt=3, **of_prompt),
            event(at + 90 * SECOND, "claude_code.api_request", event__name="api_request", event__sequence=7, model=model,
                  input_tokens=50, output_tokens=200, cache_read_tokens=22_000, cache_creation_tokens=0,
                  cost_usd=0.01, duration_ms=3000, request_id=f"req_{session}_2", **of_prompt),
        ],
    )  # fmt: skip
    # Temporality is delta unless told otherwise: each point counts what came since the one before.
    for turn in range(2):
        begun, ended = at + turn * 60 * SECOND, at + (turn + 1) * 60 * SECOND

        def one(value: float, begun: int = begun, ended: int = ended, **more: Any) -> dict[str, Any]:
            return point(begun, ended, value, **common, **more)

        yield metrics(
            "claude-code",
            scope,
            [
                sum_of("claude_code.lines_of_code.count", 1, [one(30, type="added"), one(10, type="removed")]),
                sum_of("claude_code.token.usage", 1, [one(75, type="input", model=model)]),
                sum_of("claude_code.cost.usage", 1, [one(0.015, model=model)]),
                sum_of("claude_code.active_time.total", 1, [one(40.5, type="cli")]),
                *([sum_of("claude_code.session.count", 1, [one(1, start_type="fresh")]),
                   sum_of("claude_code.commit.count", 1, [one(1)])] if turn == 0 else []),
            ],
        )  # fmt: skip


def _codex(at: int) -> Iterator[tuple[str, dict[str, Any]]]:
    common = {"conversation__id": codex_session(at), "user__account_id": "acc-1", "user__email": ADA, "model": "gpt-5.1-codex",
              "slug": "gpt-5.1-codex", "app__version": "0.137.0", "originator": "codex-tui"}  # fmt: skip
    yield logs(
        "codex_cli_rs",
        "codex_otel.log_only",
        [
            event(at, "", event__name="codex.conversation_starts", provider_name="OpenAI", approval_policy="on-request", **common),
            event(at + SECOND, "", event__name="codex.user_prompt", prompt="[REDACTED]", prompt_length="20", **common),
            event(at + 9 * SECOND, "", event__name="codex.sse_event", event__kind="response.completed", input_token_count="5000",
                  output_token_count="300", cached_token_count=4000, reasoning_token_count=120, tool_token_count="5300", **common),
            event(at + 10 * SECOND, "", event__name="codex.sse_event", event__kind="response.output_item.done",
                  duration_ms="3", **common),
            event(at + 11 * SECOND, "", event__name="codex.tool_decision", tool_name="shell", call_id="k1", decision="denied",
                  source="user", **common),
            event(at + 12 * SECOND, "", event__name="codex.tool_result", tool_name="shell", call_id="k1", duration_ms="10",
                  success="false", output="exec command rejected by user", **common),
            event(at + 13 * SECOND, "", event__name="codex.tool_result", tool_name="shell", call_id="k2", duration_ms="450",
                  success="true", arguments='{"command":["ls"]}', output="README.md", **common),
            # Taken up again: the session says that it starts once more.
            event(at + HOUR, "", event__name="codex.conversation_starts", provider_name="OpenAI", approval_policy="never", **common),
        ],
    )  # fmt: skip


def _gemini(at: int) -> Iterator[tuple[str, dict[str, Any]]]:
    common = {"session__id": "g1", "installation__id": "i-77"}
    turn = {**common, "prompt_id": "g1########0"}
    yield logs(
        "gemini-cli",
        "gemini-cli",
        [
            event(at, "User prompt", event__name="gemini_cli.user_prompt", prompt_length=12, **turn),
            event(at + 4 * SECOND, "API response", event__name="gemini_cli.api_response", model="gemini-2.5-pro", status_code=200,
                  duration_ms=3500, input_token_count=8000, output_token_count=250, cached_content_token_count=6000,
                  thoughts_token_count=150, tool_token_count=0, total_token_count=8400, **turn),
            event(at + 5 * SECOND, "Tool call", event__name="gemini_cli.tool_call", function_name="replace", duration_ms=35,
                  success=True, decision="accept", tool_type="native", **turn),
            event(at + 6 * SECOND, "Tool call", event__name="gemini_cli.tool_call", function_name="run_shell_command",
                  duration_ms=0, success=False, decision="reject", **turn),
        ],
    )  # fmt: skip
    # Counted from the start of the process, which is sent again and again; and a session without events.
    quiet = {"session__id": "g2", "installation__id": "i-78"}
    for minute in (1, 2, 3):
        seen = at + minute * 60 * SECOND
        yield metrics(
            "gemini-cli",
            "gemini-cli",
            [
                sum_of("gemini_cli.session.count", 2, [point(at, seen, 1, **common), point(at, seen, 1, **quiet)]),
                sum_of("gemini_cli.lines.changed", 2, [point(at, seen, 5 * minute, type="added", **common)]),
                sum_of("gemini_cli.token.usage", 2, [
                    point(at, seen, 2000 * minute, type="input", model="gemini-2.5-flash", **quiet),
                    point(at, seen, 100 * minute, type="output", model="gemini-2.5-flash", **quiet),
                    point(at, seen, 4000 * minute, type="input", model="gemini-2.5-pro", **common),
                ]),
            ],
        )  # fmt: skip
