"""Content stays out unless asked for, and secrets stay out always."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from crewai import Crew, Flow, Task
from crewai.flow import start
from crewai.tools import tool

from ai_dev_squad_crewai import observe
from ai_dev_squad_testing import capture
from ai_dev_squad_testing.model_server import ModelServer, call, fail, reply, tool_calls

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # CrewAI uses what it deprecates
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # and closes no connection
]

Serve = Callable[..., ModelServer]
Make = Callable[..., Any]
SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"


@tool("search")
def search(word: str) -> str:
    """Search for a word."""
    return f"the CONTENT of {word} and {SECRET}"


def run(server: ModelServer, agent: Any) -> None:
    """A crew whose every text is CONTENT and holds a secret."""
    task = Task(
        name="work",
        description="describe CONTENT {topic}",
        expected_output="CONTENT",
        agent=agent,
        guardrail=lambda output: (True, output.raw),
    )
    observe(Crew(name="squad", agents=[agent], tasks=[task])).kickoff({"topic": f"topic CONTENT {SECRET}"})


@pytest.mark.parametrize("captures", [False, True])
def test_content(serve: Serve, crewai_agent: Make, captures: bool) -> None:
    """Prompts, answers, arguments, results, descriptions: only when asked for, and redacted then."""
    server = serve(tool_calls(call("search", word=f"CONTENT {SECRET}")), reply(f"CONTENT answer {SECRET}"))
    with capture(spans=True, capture_content=captures) as captured:
        run(server, crewai_agent(server, "{topic} planner", tools=[search]))

        told = msgspec.json.encode(captured.lines).decode()
        spans = "".join(f"{span.name}{span.attributes}{span.events}" for span in captured.spans)

    assert SECRET not in told + spans
    assert ("CONTENT" in told, "CONTENT" in spans) == (captures, captures)
    (line,) = captured.closing("invoke_agent")
    assert line.name == "{topic} planner"
    if captures:
        (used,) = captured.closing("execute_tool")
        (worked,) = [line for line in captured.closing("task") if line.name == "work"]
        asked, answered = captured.closing("chat")
        for closing, key in (
            (used, "gen_ai.tool.call.arguments"),
            (used, "gen_ai.tool.call.result"),
            (worked, "crewai.task.description"),
            (worked, "crewai.task.output"),
            (asked, "gen_ai.input.messages"),
            (asked, "gen_ai.output.messages"),
            (answered, "gen_ai.output.messages"),
        ):
            assert "CONTENT" in str((closing.metadata or {})[key]), key


def test_messages_have_the_conventions_shape(serve: Serve, crewai_agent: Make) -> None:
    """Input and output messages are lists of roles and parts."""
    server = serve(tool_calls(call("search", word="x")), reply("done"))
    with capture(capture_content=True) as captured:
        run(server, crewai_agent(server, tools=[search]))

    asked, answered = (line.metadata or {} for line in captured.closing("chat"))
    assert asked["gen_ai.output.messages"] == [
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "call_0_0_0", "name": "search", "arguments": '{"word":"x"}'}],
            "finish_reason": "tool_calls",
        }
    ]
    assert answered["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "done"}], "finish_reason": "stop"}
    ]
    roles = [message["role"] for message in answered["gen_ai.input.messages"]]
    assert roles[0] == "system"
    assert "tool" in roles


@pytest.mark.parametrize("captures", [False, True])
def test_errors_are_redacted(serve: Serve, crewai_llm: Make, crewai_offline: None, captures: bool) -> None:
    """A secret in an exception's message stays out; the exception itself stays as it is."""
    server = serve(fail(400, message=f"bad key {SECRET}"))

    class Asking(Flow[dict[str, Any]]):
        @start()
        def begin(self) -> Any:
            return crewai_llm(server).call("hello")

    with capture(spans=True, capture_content=captures) as captured:
        with pytest.raises(Exception, match=SECRET):
            observe(Asking()).kickoff()
        told = msgspec.json.encode(captured.lines).decode()
        spans = "".join(f"{span.attributes}{span.status.description}" for span in captured.spans)

    assert SECRET not in told + spans
    assert "bad key" in told


def test_switched_off(serve: Serve, crewai_crew: Make) -> None:
    """With ``enabled=False`` nothing is observed, and the crew runs as ever."""
    server = serve(reply("hi"))

    with capture(enabled=False) as captured:
        crew = crewai_crew(server)
        assert observe(crew) is crew
        assert crew.kickoff().raw == "hi"

    assert captured.lines == []
