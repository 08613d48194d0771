"""Coding agents in a terminal, and the words in which each tells of itself: which event of a log is what, and what its metrics count.

Taken from what their makers document:

- https://code.claude.com/docs/en/monitoring-usage
- https://developers.openai.com/codex/config-advanced and https://github.com/openai/codex/tree/main/codex-rs/otel
- https://github.com/google-gemini/gemini-cli/blob/main/docs/cli/telemetry.md
- https://github.com/QwenLM/qwen-code/blob/main/docs/developers/development/telemetry.md
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, NamedTuple

from .otlp_shapes import Attributes

__all__ = ["AGENTS", "COUNTERS", "CodingAgent", "Counter", "Role", "Rule"]

Role = Literal["prompt", "answer", "failure", "tool", "refusal"]
"""What an event tells of: the beginning of a run, a model call, one that failed, a tool, one that somebody did not allow."""


@dataclass(frozen=True)
class Rule:
    """What an event is, where its attributes are as said; the first that holds."""

    role: Role | None
    """``None``: nothing that counts."""
    having: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Attribute → how it may end; an empty text is any value."""

    def holds(self, given: Attributes) -> bool:
        """Whether the event is one of these."""
        return all(name in given and str(given[name]).lower().endswith(ends) for name, ends in self.having.items())


@dataclass(frozen=True)
class CodingAgent:
    """A coding agent, and the words in which it tells."""

    name: str
    """As in ``frameworks.toml``."""
    prefix: str
    """How the names of its events and metrics begin."""
    services: frozenset[str]
    """What it calls itself as a service, in releases and ways of running it."""
    provider: str
    """Whom it asks; "" where that can be anybody."""
    events: Mapping[str, tuple[Rule, ...]]
    """Name without the prefix → what it is."""
    times_answers: bool
    """Whether it says how long a whole answer took."""
    turn: str | None
    """The attribute that all events of one prompt share; ``None``: a session is one run."""
    input: tuple[str, ...]
    """The attributes that make the input tokens, added up."""
    output: tuple[str, ...]
    cache_read: str
    cache_write: str = ""
    reasoning: str = ""
    request_span: str = ""
    """What it calls the span of a request, where it makes some that count in the words of its events."""


_CLAUDE: Final = CodingAgent(
    name="claude-code",
    prefix="claude_code.",
    services=frozenset({"claude-code"}),
    provider="anthropic",
    events={
        "user_prompt": (Rule("prompt"),),
        "api_request": (Rule("answer"),),
        "api_error": (Rule("failure"),),
        "tool_result": (Rule("tool"),),
        "tool_decision": (Rule("refusal", {"decision": ("reject",)}),),
    },
    times_answers=True,
    turn="prompt.id",
    input=("input_tokens", "cache_read_tokens", "cache_creation_tokens"),
    output=("output_tokens",),
    cache_read="cache_read_tokens",
    cache_write="cache_creation_tokens",
    request_span="claude_code.llm_request",
)
_CODEX: Final = CodingAgent(
    name="codex",
    prefix="codex.",
    services=frozenset({"codex_cli_rs", "codex_exec", "codex-cli", "codex"}),
    provider="openai",
    events={
        "conversation_starts": (Rule("prompt"),),
        "sse_event": (
            Rule("failure", {"error.message": ("",)}),
            Rule("answer", {"event.kind": ("response.completed",), "input_token_count": ("",)}),
        ),
        "api_request": (Rule("failure", {"error.message": ("",)}),),
        "tool_decision": (Rule("refusal", {"decision": ("denied", "abort")}),),
        # What was not allowed is told of a second time, as a tool that failed.
        "tool_result": (Rule(None, {"success": ("false",), "output": ("rejected by user",)}), Rule("tool")),
    },
    times_answers=False,
    turn=None,
    input=("input_token_count",),
    output=("output_token_count",),
    cache_read="cached_token_count",
    reasoning="reasoning_token_count",
)
_GEMINI: Final = CodingAgent(
    name="gemini-cli",
    prefix="gemini_cli.",
    services=frozenset({"gemini-cli"}),
    provider="gcp.gemini",
    events={
        "user_prompt": (Rule("prompt"),),
        "api_response": (Rule("answer"),),
        "api_error": (Rule("failure"),),
        "tool_call": (Rule("refusal", {"decision": ("reject",)}), Rule("tool")),
    },
    times_answers=True,
    turn="prompt_id",
    input=("input_token_count",),
    output=("output_token_count", "thoughts_token_count"),
    cache_read="cached_content_token_count",
    reasoning="thoughts_token_count",
)
_QWEN: Final = replace(_GEMINI, name="qwen-code", prefix="qwen-code.", services=frozenset({"qwen-code"}), provider="")

_KNOWN: Final = (
    _CLAUDE,
    _CODEX,
    _GEMINI,
    _QWEN,
)
AGENTS: Final[Mapping[str, CodingAgent]] = {agent.name: agent for agent in _KNOWN}
"""The coding agents that are known, by their names."""


class Counter(NamedTuple):
    """What a metric of a coding agent counts."""

    agent: str
    counts: str
    """A field of the page's rows, or, where it depends on ``by``, nothing."""
    by: str = ""
    """The attribute that says of which kind it is."""
    kinds: Mapping[str, tuple[str, ...]] = {}
    """Its values → the fields that they add to."""


_INPUT: Final = ("input_tokens",)
_LINES: Final = {"added": ("lines_added",), "removed": ("lines_removed",)}


def _of_gemini(agent: CodingAgent) -> Iterator[tuple[str, Counter]]:
    for name, counter in {
        "session.count": Counter(agent.name, "sessions"),
        "api.request.count": Counter(agent.name, "requests"),
        "lines.changed": Counter(agent.name, "", "type", _LINES),
        "token.usage": Counter(
            agent.name,
            "",
            "type",
            # Of these kinds, cached tokens are among the input; those of tools are beside it, and thoughts beside the output.
            {
                "input": _INPUT,
                "output": ("output_tokens",),
                "thought": ("output_tokens", "reasoning_tokens"),
                "cache": ("cache_read_tokens",),
                "tool": _INPUT,
            },
        ),
    }.items():
        yield agent.prefix + name, counter


COUNTERS: Final[Mapping[str, Counter]] = {
    "claude_code.session.count": Counter("claude-code", "sessions"),
    "claude_code.commit.count": Counter("claude-code", "commits"),
    "claude_code.pull_request.count": Counter("claude-code", "pull_requests"),
    "claude_code.active_time.total": Counter("claude-code", "active_s"),
    "claude_code.cost.usage": Counter("claude-code", "cost_usd"),
    "claude_code.lines_of_code.count": Counter("claude-code", "", "type", _LINES),
    "claude_code.token.usage": Counter(
        "claude-code",
        "",
        "type",
        {
            "input": _INPUT,
            "output": ("output_tokens",),
            "cacheRead": (*_INPUT, "cache_read_tokens"),
            "cacheCreation": (*_INPUT, "cache_write_tokens"),
        },
    ),
    **dict(_of_gemini(_GEMINI)),
    **dict(_of_gemini(_QWEN)),
}
"""The metrics that the page on coding agents reads, by name."""
