"""Deterministic runs of the three frameworks, for tests of pages: everything a page may have to show is in here once.

``sample(now_us)`` gives the batches to write. What a test looks for has a name: ``trace_id("failed")`` is the run
that failed. Times lie before ``now_us``, so the same moment gives the same rows.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from random import Random
from typing import Any

from ai_dev_squad_dashboard.ingest.carried import carried
from ai_dev_squad_dashboard.ingest.excerpts import answer_in, question_in
from ai_dev_squad_dashboard.store.rows import Batch, LogRow, OpenRow, SpanRow

__all__ = ["HOSTILE", "STACK", "Run", "fill", "huge_content", "long_trace", "said", "sample", "trace_id"]

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE

# USD per million tokens: input, cached input, output.
PRICES = {
    "gpt-4o": (2.5, 1.25, 10.0),
    "gpt-4o-mini": (0.15, 0.075, 0.6),
    "o4-mini": (1.1, 0.275, 4.4),
    "claude-sonnet-4-5": (3.0, 0.3, 15.0),
}
PROVIDERS = {"gpt": "openai", "o4-": "openai", "cla": "anthropic", "qwe": "ollama", "squ": "openai", "tex": "openai"}
OPENING = {"invoke_workflow": "agent.start", "invoke_agent": "agent.start", "task": "task.start"}
CLOSING = {"invoke_workflow": "agent.stop", "invoke_agent": "agent.stop", "task": "task.complete"}
USERS = ("ada@example.com", "grace", "user-7", "\u5f20\u4f1f")
TENANTS = ("acme", "globex")
MODEL_CALLS = {"chat", "text_completion", "embeddings"}


HOSTILE = {
    "html": '<script>window.hacked = 1</script><img src=x onerror="window.hacked = 1"><b>bold</b>',
    "template": "{{ 7 * 7 }} {% include '/etc/passwd' %} ${7*7}",
    "ansi": "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b[2J",
    "bidi": "access = \u202e\u2066// only admins\u2069 \u2066denied",
    "unicode": "zero\u200bwidth \ufeffmark \u0000nul pa\u0443pal Z\u0351\u036b\u0343\u036a\u0302\u036b\u033d\u034f\u0334\u0319\u0324",
    "link": "javascript:window.hacked=1",
    "closing": "</textarea></pre></main></script><style>*{display:none}</style>",
}
"""Texts that try to be more than text."""

STACK = """Traceback (most recent call last):
  File "/app/squad/tools.py", line 48, in run_tests
    return subprocess.run(command, check=True, timeout=30)
  File "/usr/lib/python3.12/subprocess.py", line 1209, in communicate
    raise TimeoutExpired(self.args, orig_timeout)
subprocess.TimeoutExpired: Command 'pytest -q' timed out after 30 seconds
"""

ISSUES = (
    ("parse-dates", "Dates before 1970 are parsed wrong"),
    ("retry-upload", "Retry uploads that time out"),
    ("dark-mode", "Add a dark mode to the settings page"),
    ("slow-search", "Search takes four seconds on large projects"),
    ("csv-export", "Export the table as CSV"),
)
READ_FILE = {
    "type": "function",
    "name": "read_file",
    "description": "Read a file of the repository",
    "parameters": {"type": "object", "properties": {"path": {"type": "string"}}, "required": ["path"]},
}


def trace_id(key: str) -> str:
    """The trace id of the run called ``key``."""
    return hashlib.sha256(key.encode()).hexdigest()[:32]


def said(role: str, text: str) -> dict[str, Any]:
    """A message of one text part."""
    return {"role": role, "parts": [{"type": "text", "content": text}]}


@dataclass
class Run:
    """One trace being written. Offsets and durations are seconds from its start."""

    key: str
    framework: str
    start_us: int
    session: str | None = None
    service: str = "dev-squad"
    task: str | None = None
    batch: Batch = field(default_factory=Batch)
    _number: int = 0

    @property
    def trace_id(self) -> str:
        """The trace id."""
        return trace_id(self.key)

    def new_id(self) -> str:
        """The next span id."""
        self._number += 1
        return hashlib.sha256(f"{self.key}/{self._number}".encode()).hexdigest()[:16]

    def span(
        self,
        operation: str,
        name: str,
        parent: str | None,
        at: float,
        lasts: float,
        *,
        agent: str | None = None,
        span_id: str | None = None,
        status: str = "ok",
        error: tuple[str, str] | None = None,
        stack: str | None = None,
        details: dict[str, Any] | None = None,
        text: str | None = None,
        journal: bool = True,
        **more: Any,
    ) -> str:
        """Add a finished operation and its two journal lines. Returns its span id."""
        span_id = span_id or self.new_id()
        start_us = self.start_us + round(at * SECOND)
        details = {"attributes": {"gen_ai.operation.name": operation}, **(details or {})}
        if stack:
            details["stacktrace"] = stack
        details.setdefault("resource", {"service.name": self.service, "service.version": "1.4.0"})
        row = SpanRow(
            trace_id=self.trace_id,
            span_id=span_id,
            parent_span_id=parent,
            start_us=start_us,
            duration_us=round(lasts * SECOND),
            name=name,
            operation=operation,
            status=status,  # type: ignore[arg-type]
            framework=self.framework,
            service=self.service,
            session_id=self.session,
            user_id=USERS[int(self.trace_id[:2], 16) % len(USERS)] if self.session else None,
            labels=json.dumps(
                {"tenant": TENANTS[int(self.trace_id[:2], 16) % len(TENANTS)], "environment": "production"}
            )
            if parent is None and self.session
            else None,
            agent=agent,
            tool=name if operation == "execute_tool" else None,
            error_type=error[0] if error else None,
            error_message=error[1] if error else None,
            source="journal" if journal else "otlp",
            instrumentation="ai_dev_squad",
            ingested_us=start_us + round(lasts * SECOND) + 40_000,
            details=json.dumps(details).encode(),
            text=text,
            task=self.task if parent is None else None,
            version="1.4.0",
            asked=question_in(details.get("input")) if operation in MODEL_CALLS or parent is None else None,
            answered=answer_in(details.get("output")) if operation in MODEL_CALLS or parent is None else None,
            **more,
        )
        self.batch.spans.append(row)
        if journal:
            self._lines(row)
        return span_id

    def call(
        self,
        model: str,
        parent: str | None,
        at: float,
        lasts: float,
        *,
        tokens: tuple[int, int] | None = (900, 180),
        cached: int = 0,
        reasoning: int = 0,
        usage_source: str = "provider",
        first_chunk: float | None = None,
        attempt: int | None = None,
        input: list[Any] | None = None,  # noqa: A002 - named as in the details
        output: list[Any] | None = None,
        system: list[Any] | None = None,
        tools: list[Any] | None = None,
        operation: str = "chat",
        **more: Any,
    ) -> str:
        """Add a model call with its usage and its price."""
        provider = PROVIDERS[model[:3]]
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": operation,
            "gen_ai.request.model": model,
            "gen_ai.request.temperature": 0.2,
            "gen_ai.request.stream": first_chunk is not None,
            "server.address": "api.example.com",
        }
        if attempt:
            attributes["ai_dev_squad.attempt"] = attempt
        if first_chunk is not None:
            attributes["gen_ai.response.time_to_first_chunk"] = first_chunk
        content = {"input": input, "output": output, "system": system, "tools": tools}
        details = {"attributes": attributes, **{key: value for key, value in content.items() if value is not None}}
        details.update(more.pop("details", {}))
        usage: dict[str, Any] = {"usage_source": usage_source if tokens else "missing"}
        if tokens:
            usage |= {
                "input_tokens": tokens[0],
                "output_tokens": tokens[1],
                "cache_read_tokens": cached,
                "reasoning_tokens": reasoning,
            }
            price = PRICES.get(model)
            if price is None:
                usage["cost_reason"] = f"no price is known for {provider}/{model}"
            else:
                full, hit, out = price
                usage |= {
                    "cost_usd": ((tokens[0] - cached) * full + cached * hit + tokens[1] * out) / 1_000_000,
                    "cache_saving_usd": cached * (full - hit) / 1_000_000,
                    "price": f"{provider}/{model}",
                    "price_date": "2026-11-01",
                    "price_source": "genai-prices",
                }
        else:
            usage["cost_reason"] = "the provider sent no usage"
        text = more.pop("text", None)
        if text is None and (input or output):
            text = " ".join(
                str(part.get("content", ""))
                for message in (input or []) + (output or [])
                if isinstance(message, dict)
                for part in message.get("parts", ())
                if isinstance(part, dict)
            )
        full, hit, _ = PRICES.get(model, (0.0, 0.0, 0.0))
        paid = tokens and ((tokens[0] - cached) * full + cached * hit) / 1_000_000
        cost = usage.get("cost_usd")
        more["carried"] = carried(content, usage.get("input_tokens"), cost, lambda: paid / cost if cost else None)
        return self.span(
            operation,
            model,
            parent,
            at,
            lasts,
            details=details,
            text=text,
            provider=provider,
            model=model,
            first_chunk_us=None if first_chunk is None else round(first_chunk * SECOND),
            **usage,
            **more,
        )

    def tool(
        self,
        name: str,
        parent: str,
        at: float,
        lasts: float,
        *,
        arguments: Any = None,
        result: Any = None,
        **more: Any,
    ) -> str:
        """Add a tool call."""
        content = {"input": arguments, "output": result}
        details = {key: value for key, value in content.items() if value is not None}
        details["attributes"] = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": name,
            "gen_ai.tool.type": "function",
        }
        text = " ".join(json.dumps(value) for value in content.values() if value is not None) or None
        return self.span("execute_tool", name, parent, at, lasts, details=details, text=text, **more)

    def open(self, operation: str, name: str, parent: str | None, at: float, *, agent: str | None = None) -> str:
        """Add an operation that has begun and not ended."""
        span_id = self.new_id()
        start_us = self.start_us + round(at * SECOND)
        self.batch.opened.append(
            OpenRow(self.trace_id, span_id, parent, start_us, name, operation, self.framework, self.session, agent)
        )
        self.line(at, OPENING.get(operation, "llm.request"), f"{operation} {name}", span_id=span_id, agent=agent)
        return span_id

    def line(
        self,
        at: float,
        event_type: str,
        message: str,
        *,
        level: str = "INFO",
        span_id: str | None = None,
        agent: str | None = None,
        **details: Any,
    ) -> None:
        """Add a journal line."""
        self.batch.logs.append(
            LogRow(
                time_us=self.start_us + round(at * SECOND),
                level=level,
                event_type=event_type,
                message=message,
                framework=self.framework,
                service=self.service,
                session_id=self.session,
                agent=agent,
                trace_id=self.trace_id,
                span_id=span_id,
                details=json.dumps(details).encode() if details else None,
            )
        )

    def _lines(self, row: SpanRow) -> None:
        at = (row.start_us - self.start_us) / SECOND
        opening = OPENING.get(row.operation, "llm.request" if row.operation in MODEL_CALLS else "tool.call")
        closing = CLOSING.get(row.operation, "llm.response" if row.operation in MODEL_CALLS else "tool.result")
        who = {"span_id": row.span_id, "agent": row.agent}
        self.line(at, opening, f"{row.operation} {row.name}", **who)
        more: dict[str, Any] = {"status": row.status, "duration_ms": row.duration_us / 1000}
        if row.error_type:
            more["error"] = {"type": row.error_type, "message": row.error_message}
        level = {"error": "ERROR", "cancelled": "WARNING"}.get(row.status, "INFO")
        message = f"{row.operation} {row.name}: {row.status}"
        self.line(at + row.duration_us / SECOND, closing, message, level=level, **who, **more)


def sample(now_us: int, *, runs: int = 90, long_spans: int = 10_000) -> list[Batch]:
    """Everything: ``runs`` everyday runs over the last two days, then the particular ones. ``long_spans=0`` leaves out the long trace."""
    batches = [_everyday(now_us, number) for number in range(runs)]
    batches += [
        _conversation(now_us),
        _failed(now_us),
        _retried(now_us),
        _interrupted(now_us),
        _resumed(now_us),
        _left_early(now_us),
        _hostile(now_us),
        _multimodal(now_us),
        _partial(now_us),
        _foreign(now_us),
        _running(now_us),
        _budget_lines(now_us),
    ]
    if long_spans:
        batches.append(long_trace(now_us, long_spans))
    return batches


def fill(store: Any, now_us: int, **options: Any) -> None:
    """Write the sample to a store."""
    for batch in sample(now_us, **options):
        store.write(batch)


def _everyday(now_us: int, number: int) -> Batch:
    """A squad that plans, codes and reviews, on each framework in turn."""
    random = Random(number)
    framework = ("langgraph", "crewai", "autogen")[number % 3]
    # Closer together towards now, and some in the period before.
    ago = round((number / 90) ** 1.6 * 44 * HOUR) + 2 * MINUTE + random.randrange(MINUTE)
    slug, issue = ISSUES[number % len(ISSUES)]
    run = Run(
        f"everyday-{number}",
        framework,
        now_us - ago,
        session=f"{slug}-{number // 6}",
        task=slug if number % 2 else None,
    )
    root = run.new_id()
    at, agents = 0.02, []
    for agent, model, turns in (
        ("planner", "gpt-4o", 1),
        ("coder", "gpt-4o-mini", 1 + number % 3),
        ("reviewer", "o4-mini", 1),
    ):
        began = at
        parent = run.new_id()
        at += 0.01
        for turn in range(turns):
            lasts = 0.4 + random.random() * (4 if model == "o4-mini" else 1.6)
            size = (600 + random.randrange(3000) + 800 * turn, 60 + random.randrange(600))
            run.call(
                model if number % 11 else "qwen3-coder:30b",
                parent,
                at,
                lasts,
                agent=agent,
                tokens=size,
                cached=size[0] // 2 // 128 * 128 if turn else 0,
                reasoning=size[1] // 2 if model == "o4-mini" else 0,
                usage_source="estimated" if number % 13 == 5 else "provider",
                first_chunk=0.18 + random.random() / 3 if number % 2 else None,
                **_talk(issue, agent, turn) if number % 4 == 0 else {},
            )
            at += lasts + 0.004
            if agent == "coder":
                failed = number % 9 == 4 and turn == 0
                tool = "run_tests" if turn else "read_file"
                run.tool(
                    tool,
                    parent,
                    at,
                    0.05 + random.random() * (6 if turn else 0.1),
                    agent=agent,
                    arguments={"path": "src/dates.py"} if number % 4 == 0 else None,
                    result="42 passed in 1.21s" if number % 4 == 0 and not failed else None,
                    status="error" if failed else "ok",
                    error=("FileNotFoundError", "src/dates.py is not there") if failed else None,
                )
                at += 0.3
        operation = "task" if framework == "langgraph" else "invoke_agent"
        outer = root
        if framework == "crewai":
            outer = run.span("task", f"{agent}_task", root, began, at - began + 0.01, agent="DevSquad")
        run.span(operation, agent, outer, began, at - began, agent=agent, span_id=parent)
        agents.append(parent)
        at += 0.02
    broken = number % 17 == 6
    run.span(
        "invoke_workflow",
        {"langgraph": "dev-squad", "crewai": "DevSquad", "autogen": "GraphFlow"}[framework],
        None,
        0,
        at,
        agent="dev-squad",
        span_id=root,
        status="error" if broken else "ok",
        error=("BudgetExceeded", "budget 'team' is exceeded: $5.00 of $5.00 day spent (100%)") if broken else None,
    )
    return run.batch


def _talk(issue: str, agent: str, turn: int) -> dict[str, Any]:
    answer: dict[str, Any] = said(
        "assistant", f"{agent}: I would look at the parser first. {issue} comes from one place."
    )
    if agent == "coder":
        call = {"type": "tool_call", "id": f"call_{turn}", "name": "read_file", "arguments": {"path": "src/dates.py"}}
        answer["parts"].append(call)
    answer["finish_reason"] = "tool_calls" if agent == "coder" else "stop"
    return {
        "system": [{"type": "text", "content": f"You are the {agent} of a small team. Be brief."}],
        "input": [said("user", f"Issue: {issue}")],
        "output": [answer],
        "tools": [READ_FILE] if agent == "coder" else None,
    }


def _conversation(now_us: int) -> Batch:
    """One session of five turns: ``trace_id("turn-0")`` … ``turn-4``."""
    batch = Batch()
    history: list[Any] = []
    for turn in range(5):
        run = Run(
            f"turn-{turn}",
            "autogen",
            now_us - (50 - 9 * turn) * MINUTE,
            session="pair-programming",
            service="assistant",
        )
        root = run.new_id()
        history.append(said("user", f"Question {turn + 1}: what does the module do?"))
        answer = said(
            "assistant", f"Answer {turn + 1}: it reads dates.\n\n```python\ndef parse(text: str) -> date: ...\n```"
        )
        run.call(
            "claude-sonnet-4-5",
            root,
            0.01,
            1.2 + turn / 5,
            agent="assistant",
            tokens=(1200 + 700 * turn, 240),
            cached=1024 * min(turn, 3),
            first_chunk=0.31,
            input=list(history),
            output=[{**answer, "finish_reason": "stop"}],
        )
        history.append(answer)
        run.span("invoke_agent", "assistant", None, 0, 1.3 + turn / 5, agent="assistant", span_id=root)
        batch.spans += run.batch.spans
        batch.logs += run.batch.logs
    return batch


def _failed(now_us: int) -> Batch:
    """``failed``: a tool that times out takes the run down with it, with stack traces and further errors."""
    run = Run("failed", "crewai", now_us - 25 * MINUTE, session="retry-upload-0")
    root, task, coder = run.new_id(), run.new_id(), run.new_id()
    run.call(
        "gpt-4o",
        root,
        0.1,
        1.9,
        agent="planner",
        tokens=(1830, 320),
        first_chunk=0.4,
        **_talk("Retry uploads", "planner", 0),
    )
    run.call(
        "gpt-4o-mini",
        coder,
        2.2,
        1.1,
        agent="coder",
        tokens=(2400, 150),
        cached=1024,
        **_talk("Retry uploads", "coder", 0),
    )
    run.tool("read_file", coder, 3.4, 0.02, agent="coder", arguments={"path": "upload.py"}, status="error",
             error=("FileNotFoundError", "[Errno 2] No such file or directory: 'upload.py'"))  # fmt: skip
    run.call("gpt-4o-mini", coder, 3.5, 0.9, agent="coder", tokens=(2600, 90), cached=2048)
    late = ("TimeoutExpired", "Command 'pytest -q' timed out after 30 seconds")
    tests = run.tool("run_tests", coder, 4.5, 30.02, agent="coder", arguments={"command": "pytest -q", "timeout": 30},
                     status="error", error=late, stack=STACK)  # fmt: skip
    run.line(
        20,
        "custom.event",
        "the test process uses 100 % of a core",
        level="WARNING",
        span_id=tests,
        agent="coder",
        pid=4711,
    )
    run.span("invoke_agent", "coder", task, 2.1, 32.5, agent="coder", span_id=coder, status="error", error=late)
    run.span("task", "code", root, 2.05, 32.6, agent="DevSquad", span_id=task, status="error", error=late)
    run.span("invoke_workflow", "DevSquad", None, 0, 34.8, agent="DevSquad", span_id=root, status="error", error=late)
    return run.batch


def _retried(now_us: int) -> Batch:
    """``retried``: two answers 429, then success; a price that is unknown; tokens that nobody counted; a dear call."""
    run = Run("retried", "langgraph", now_us - 32 * MINUTE, session="slow-search-0")
    root, node = run.new_id(), run.new_id()
    limit = ("RateLimitError", "Error code: 429 - Rate limit reached for gpt-4o; try again in 1.2s")
    events = [
        {"name": "exception", "time_us": run.start_us + SECOND, "attributes": {"exception.type": "RateLimitError"}}
    ]
    for attempt, at in ((1, 0.2), (2, 1.7)):
        run.call("gpt-4o", node, at, 0.3, agent="planner", tokens=None, attempt=attempt, status="error", error=limit,
                 details={"events": events}, stack="openai.RateLimitError: Error code: 429\n")  # fmt: skip
    run.call("gpt-4o", node, 4.2, 2.2, agent="planner", tokens=(64_000, 4100), attempt=3, first_chunk=0.6)
    run.span("task", "planner", root, 0.1, 6.4, agent="planner", span_id=node)
    run.call("squad-tuned-7b", root, 6.6, 1.4, agent="coder", tokens=(3100, 700))
    run.call("gpt-4o-mini", root, 8.1, 0.8, agent="reviewer", tokens=(420, 96), usage_source="estimated")
    run.call("text-embedding-3-small", root, 9, 0.1, agent="coder", tokens=(512, 0), operation="embeddings")
    run.span("retrieval", "docs-index", root, 9.1, 0.06, agent="coder", details={"input": "search speed", "output": [
        {"id": "doc-7", "score": 0.91, "content": "Searching is linear in the number of files."}]})  # fmt: skip
    run.span("invoke_workflow", "dev-squad", None, 0, 9.3, agent="dev-squad", span_id=root)
    return run.batch


def _interrupted(now_us: int) -> Batch:
    """``interrupted``: waits for a person. ``resumed`` goes on, and links back."""
    run = Run("interrupted", "langgraph", now_us - 41 * MINUTE, session="approval-7")
    root, node = run.new_id(), run.new_id()
    run.call("gpt-4o", root, 0.1, 1.4, agent="planner", tokens=(900, 210))
    run.span("task", "approval", root, 1.6, 0.02, agent="approval", span_id=node, status="interrupted")
    run.line(
        1.62,
        "agent.interrupt",
        "approval waits for a person",
        span_id=node,
        agent="approval",
        metadata={"question": "Deploy?"},
    )
    run.span("invoke_workflow", "dev-squad", None, 0, 1.7, agent="dev-squad", span_id=root, status="interrupted")
    return run.batch


def _resumed(now_us: int) -> Batch:
    before = Run("interrupted", "langgraph", 0).new_id()
    run = Run("resumed", "langgraph", now_us - 12 * MINUTE, session="approval-7")
    root, node = run.new_id(), run.new_id()
    link = {"trace_id": trace_id("interrupted"), "span_id": before, "type": "resumes", "attributes": {}}
    run.span("task", "approval", root, 0.01, 0.02, agent="approval", span_id=node)
    run.line(0.01, "agent.resume", "dev-squad resumes", span_id=root, agent="dev-squad", metadata={"answer": "yes"})
    run.call("gpt-4o-mini", root, 0.1, 0.9, agent="writer", tokens=(700, 310), first_chunk=0.2)
    run.span(
        "invoke_workflow",
        "dev-squad",
        None,
        0,
        1.2,
        agent="dev-squad",
        span_id=root,
        details={"links": [link]},
        resumes=trace_id("interrupted"),
    )
    return run.batch


def _left_early(now_us: int) -> Batch:
    """``left-early`` (a stream nobody read to its end), ``cancelled``, ``handed-off`` and ``abandoned``."""
    batch = Batch()
    for key, status, ago in (
        ("left-early", "closed_early", 55),
        ("cancelled", "cancelled", 64),
        ("abandoned", "abandoned", 70),
    ):
        run = Run(key, "autogen", now_us - ago * MINUTE)
        root = run.new_id()
        run.call(
            "gpt-4o-mini",
            root,
            0.1,
            0.7,
            agent="writer",
            tokens=(500, 40),
            usage_source="estimated",
            first_chunk=0.25,
            status=status,
        )
        run.span("invoke_agent", "writer", None, 0, 0.9, agent="writer", span_id=root, status=status)
        batch.spans += run.batch.spans
        batch.logs += run.batch.logs
    run = Run("handed-off", "autogen", now_us - 75 * MINUTE, session="support-3")
    root, triage, expert = run.new_id(), run.new_id(), run.new_id()
    run.call("gpt-4o-mini", triage, 0.1, 0.6, agent="triage", tokens=(300, 30))
    run.line(0.7, "agent.handoff", "triage hands off", span_id=triage, agent="triage", metadata={"to": "expert"})
    run.span("invoke_agent", "triage", root, 0.05, 0.7, agent="triage", span_id=triage, status="handoff")
    run.call("gpt-4o", expert, 0.9, 1.6, agent="expert", tokens=(900, 400))
    run.span("invoke_agent", "expert", root, 0.8, 1.8, agent="expert", span_id=expert)
    run.span("invoke_workflow", "Swarm", None, 0, 2.7, agent="Swarm", span_id=root)
    batch.spans += run.batch.spans
    batch.logs += run.batch.logs
    return batch


def _hostile(now_us: int) -> Batch:
    """``hostile``: every text in it wants to be more than text."""
    run = Run("hostile", "langgraph", now_us - 8 * MINUTE, session=HOSTILE["html"][:60], service="<b>service</b>")
    root = run.new_id()
    texts = list(HOSTILE.values())
    run.call(
        "gpt-4o-mini",
        root,
        0.1,
        0.5,
        agent="<i>agent</i>",
        tokens=(1000, 500),
        system=[{"type": "text", "content": HOSTILE["template"]}],
        input=[said("user", text) for text in texts] + [said("<script>role</script>", "who?")],
        output=[
            {
                "role": "assistant",
                "parts": [
                    {"type": "tool_call", "name": HOSTILE["html"], "id": HOSTILE["closing"], "arguments": HOSTILE}
                ],
                "finish_reason": HOSTILE["html"],
            }
        ],
    )
    run.tool(HOSTILE["html"], root, 0.7, 0.1, agent="<i>agent</i>", arguments=HOSTILE, result=texts, status="error",
             error=("<u>Error</u>", HOSTILE["html"] + HOSTILE["ansi"]), stack=HOSTILE["closing"] + HOSTILE["ansi"])  # fmt: skip
    run.line(0.8, "custom.event", HOSTILE["html"] + HOSTILE["ansi"], span_id=root, metadata=HOSTILE)
    run.span("invoke_workflow", "<b>hostile</b> & 'quoted'", None, 0, 1, span_id=root, details={"attributes": HOSTILE})
    return run.batch


def _multimodal(now_us: int) -> Batch:
    """``multimodal``: every kind of message part, and some that are no message at all."""
    run = Run("multimodal", "autogen", now_us - 16 * MINUTE, service="assistant")
    root = run.new_id()
    parts: list[dict[str, Any]] = [
        {"type": "text", "content": "What is on the picture?"},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "iVBORw0KGgo="},
        {"type": "uri", "modality": "document", "uri": "https://example.com/report.pdf"},
        {"type": "file", "modality": "audio", "file_id": "file_123", "transcript": "Hello?"},
        {"type": "something-new", "value": 7},
    ]
    answer = [
        {"type": "reasoning", "content": "The picture shows a chart; I should call the tool."},
        {"type": "tool_call", "id": "c1", "name": "read_chart", "arguments": '{"image": 1}'},
        {
            "type": "server_tool_call",
            "name": "web_search",
            "server_tool_call": {"type": "web_search", "query": "chart"},
        },
    ]
    run.call(
        "claude-sonnet-4-5",
        root,
        0.1,
        2.5,
        agent="analyst",
        tokens=(5200, 800),
        reasoning=600,
        input=[
            {"role": "user", "parts": parts},
            {"role": "assistant", "parts": answer},
            {
                "role": "tool",
                "parts": [
                    {"type": "tool_call_response", "id": "c1", "response": {"axis": "years", "values": [1, 2, 3]}}
                ],
            },
        ],
        output=[{**said("assistant", "A chart of three years."), "finish_reason": "stop"}],
    )
    run.span("invoke_agent", "analyst", None, 0, 2.7, agent="analyst", span_id=root)
    return run.batch


def _partial(now_us: int) -> Batch:
    """``partial``: the root has not arrived."""
    run = Run("partial", "langgraph", now_us - 19 * MINUTE, service="worker")
    missing = run.new_id()
    node = run.span("task", "coder", missing, 0.2, 1.5, agent="coder", journal=False)
    run.call("gpt-4o-mini", node, 0.3, 1.2, agent="coder", tokens=(800, 100), journal=False)
    return run.batch


def _foreign(now_us: int) -> Batch:
    """``foreign``: another program's spans, some of them no operation of an agent."""
    run = Run("foreign", "openai_agents", now_us - 36 * MINUTE, service="shop")
    root = run.span("other", "POST /checkout", None, 0, 3.1, journal=False)
    agent = run.span("invoke_agent", "support", root, 0.1, 2.8, agent="support", journal=False)
    run.call(
        "gpt-4o",
        agent,
        0.2,
        1.9,
        agent="support",
        tokens=(1500, 300),
        journal=False,
        input=[],
        output=["It is on its way."],
    )
    run.span("other", "SELECT orders", agent, 2.2, 0.05, journal=False)
    return run.batch


def _running(now_us: int) -> Batch:
    """``running``: two operations that have not ended, under one that has begun."""
    run = Run("running", "crewai", now_us - 20 * SECOND, session="csv-export-live")
    root = run.open("invoke_workflow", "DevSquad", None, 0, agent="DevSquad")
    agent = run.open("invoke_agent", "coder", root, 0.2, agent="coder")
    run.call("gpt-4o", agent, 0.5, 2.5, agent="coder", tokens=(1100, 240), first_chunk=0.3)
    run.open("chat", "gpt-4o-mini", agent, 4, agent="coder")
    return run.batch


def _budget_lines(now_us: int) -> Batch:
    """Budget alerts and a few other lines that belong to no span."""
    batch = Batch()
    for minutes, level, event_type, message, details in (
        (
            90,
            "WARNING",
            "budget.alert",
            "budget 'team' reached 80%: $4.00 of $5.00 day spent (80%)",
            {"threshold": 0.8},
        ),
        (
            28,
            "ERROR",
            "budget.exceeded",
            "budget 'team' is exceeded: $5.00 of $5.00 day spent (100%)",
            {"threshold": None},
        ),
        (27, "WARNING", "telemetry.dropped", "12 events were dropped: the queue was full", {"dropped": 12}),
        (26, "CRITICAL", "system.error", "the disk is nearly full", {"free_mib": 12}),
        (24, "DEBUG", "performance.metric", "queue length 3", {"value": 3}),
    ):
        facts = {"budget_name": "team", "limit_usd": 5.0, "period": "day", **details}
        row = LogRow(now_us - minutes * MINUTE, level, event_type, message, service="dev-squad")
        batch.logs.append(row._replace(details=json.dumps({"metadata": facts}).encode()))
    return batch


def long_trace(now_us: int, spans: int = 10_000) -> Batch:
    """``long``: ``spans`` spans: one root, rounds of an agent with calls and tools, now and then an error."""
    run = Run("long", "langgraph", now_us - 3 * HOUR, session="batch-1", service="nightly")
    root, count, at, round_number = run.new_id(), 1, 0.0, 0
    while count < spans:
        agent = ("planner", "coder", "reviewer")[round_number % 3]
        node, began = run.new_id(), at
        for step in range(min(9, spans - count - 1)):
            if step % 2:
                failed = count % 997 == 0
                run.tool("read_file", node, at, 0.05, agent=agent, journal=False, status="error" if failed else "ok",
                         error=("OSError", "the file is locked") if failed else None)  # fmt: skip
            else:
                run.call("gpt-4o-mini", node, at, 0.4, agent=agent, tokens=(500, 50), journal=False)
            at += 0.41
            count += 1
        run.span("task", agent, root, began, at - began, agent=agent, span_id=node, journal=False)
        count += 1
        round_number += 1
    run.span("invoke_workflow", "nightly-batch", None, 0, at, agent="nightly-batch", span_id=root, journal=False)
    return run.batch


def huge_content(now_us: int, mib: int = 10) -> Batch:
    """``huge``: a prompt and a tool result of ``mib`` MiB each."""
    run = Run("huge", "crewai", now_us - 6 * MINUTE)
    root, text = run.new_id(), "<i>all work and no play</i> " * (mib * 1024 * 1024 // 28 + 1)
    run.call(
        "gpt-4o",
        root,
        0.1,
        4,
        agent="reader",
        tokens=(2_600_000, 20),
        input=[said("user", text)],
        output=[said("assistant", "ok")],
        text="all work",
    )
    run.tool("read_everything", root, 4.2, 0.5, agent="reader", result=text)
    run.span("invoke_agent", "reader", None, 0, 5, agent="reader", span_id=root)
    return run.batch
