"""The same scenario gives lines of the same shape, whichever framework plays it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from ai_dev_squad.schema import JournalLine
from ai_dev_squad_testing.captured import Captured
from ai_dev_squad_testing.contract.harness import Harness, finish_reasons
from ai_dev_squad_testing.fixtures import Serve
from ai_dev_squad_testing.model_server import call, reply, tool_calls

__all__ = ["LineFormat", "shape"]

SHAPE = """
    run agent.start
      chat llm.request: agent_id, framework, gen_ai.provider.name, parent_span_id
      chat llm.response: agent_id, cost, duration_ms, framework, gen_ai.provider.name, gen_ai.response.finish_reasons, parent_span_id, usage
      execute_tool tool.call: agent_id, framework, gen_ai.tool.call.id, gen_ai.tool.type, parent_span_id
      execute_tool tool.result: agent_id, duration_ms, framework, gen_ai.tool.call.id, gen_ai.tool.type, parent_span_id
      chat llm.request: agent_id, framework, gen_ai.provider.name, parent_span_id
      chat llm.response: agent_id, cost, duration_ms, framework, gen_ai.provider.name, gen_ai.response.finish_reasons, parent_span_id, usage
    run agent.stop
"""
"""An agent that uses a tool once. How a framework divides the run further, into tasks and agents, is its own affair; what
the run, the model calls and the tool calls say of themselves is not."""

_ALWAYS = {
    "timestamp",
    "level",
    "event_type",
    "message",
    "name",
    "operation",
    "trace_id",
    "span_id",
    "status",
    "metadata",
}
_OF_THE_PROVIDER = {"gen_ai.response.id", "gen_ai.response.model", "gen_ai.response.time_to_first_chunk"}


def shape(captured: Captured) -> str:
    """The opening and closing lines of the run, its model calls and its tool calls, with the fields that each has.

    Left out are the fields that every line has, and those that depend on what a provider sends or a request sets.
    """
    return "\n".join(_shape(captured))


def _shape(captured: Captured) -> Iterator[str]:
    for line in captured.lines:
        if line.parent_span_id is None and line.operation in {"invoke_workflow", "invoke_agent"}:
            yield f"run {line.event_type}"
        elif line.operation in {"chat", "execute_tool"}:
            yield f"  {line.operation} {line.event_type}: {', '.join(sorted(_fields(line)))}"


def _fields(line: JournalLine) -> set[str]:
    present = {name for name in line.__struct_fields__ if getattr(line, name) is not None} - _ALWAYS
    more = {key for key in line.metadata or {} if key.startswith("gen_ai.") and not key.startswith("gen_ai.request.")}
    return present | more - _OF_THE_PROVIDER


class LineFormat(Harness):
    """The test of the lines of a run."""

    def test_the_lines_of_a_run_have_the_shape_of_every_framework(self, captured: Captured, serve: Serve) -> None:
        """An agent uses a tool once: lines, order and fields are the literal ones, and finish reasons the provider's."""
        self.need("with_tool")
        server = serve(tool_calls(call("look_up", word="a")), reply("done"))

        def look_up(word: str) -> str:
            """Look a word up."""
            return word.upper()

        self.finish(self.observe(self.with_tool(server.base_url, look_up)))

        assert shape(captured) == textwrap.dedent(SHAPE).strip()
        chats, tools = captured.closing("chat"), captured.closing("execute_tool")
        assert finish_reasons(chats) == [["tool_calls"], ["stop"]]
        assert [line.name for line in chats] == ["gpt-4o-mini", "gpt-4o-mini"]
        assert [(line.metadata or {})["gen_ai.provider.name"] for line in chats] == ["openai", "openai"]
        assert [(line.name, (line.metadata or {})["gen_ai.tool.type"]) for line in tools] == [("look_up", "function")]
