"""Captured model calls and tokens equal what the model server billed, in every way of running CrewAI."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

import pytest
from crewai import Crew, Task
from crewai.tools import tool
from pydantic import BaseModel

from ai_dev_squad_crewai import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.contract.truth import equals_the_bill
from ai_dev_squad_testing.model_server import ModelServer, call, fail, reply, tokens, tool_calls

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # CrewAI uses what it deprecates
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # and closes no connection
]

USAGE = tokens(200, 30, cached=64, reasoning=8)
Serve = Callable[..., ModelServer]
Make = Callable[..., Any]


@tool("look_up")
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word} means something"


def test_kickoff(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """A plain crew, with its cost by the published price."""
    server = serve(reply("hi", usage=USAGE))

    assert observe(crewai_crew(server)).kickoff().raw == "hi"

    equals_the_bill(captured, server, traces=1)
    (line,) = captured.closing("chat")
    assert line.cost is not None
    # gpt-4o-mini: 0.15 USD per million input, 0.075 cached, 0.60 output tokens.
    assert line.cost.usd == pytest.approx((136 * 0.15 + 64 * 0.075 + 30 * 0.60) / 1e6)
    assert line.cost.price == "openai/gpt-4o-mini"


@pytest.mark.parametrize("method", ["kickoff_async", "akickoff"])
async def test_asynchronous_kickoffs(captured: Captured, serve: Serve, crewai_crew: Make, method: str) -> None:
    """The same in a thread of its own and natively."""
    server = serve(reply("hi", usage=USAGE, times=2))

    await getattr(observe(crewai_crew(server, "planner", "coder")), method)()

    equals_the_bill(captured, server, traces=1)


def test_tools(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """Each turn of an agent that uses tools is one call; the crew's own metrics count the same here."""
    server = serve(
        tool_calls(call("look_up", word="x"), call("look_up", word="y"), usage=USAGE), reply("done", usage=USAGE)
    )
    agent = crewai_agent(server, tools=[look_up])
    crew = Crew(agents=[agent], tasks=[Task(description="d", expected_output="e", agent=agent)])

    output = observe(crew).kickoff()

    equals_the_bill(captured, server, traces=1)
    assert output.token_usage.total_tokens == 460
    assert len(captured.closing("execute_tool")) == 2


def test_a_shared_model_counts_once(captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make) -> None:
    """Two agents with one model object: CrewAI's own metrics count each call twice (crewAI#7259)."""
    server = serve(reply("hi", usage=USAGE, times=2))
    llm = crewai_llm(server)
    agents = [crewai_agent(server, role, llm=llm) for role in ("planner", "coder")]
    crew = Crew(agents=agents, tasks=[Task(description="d", expected_output="e", agent=agent) for agent in agents])

    output = observe(crew).kickoff()

    equals_the_bill(captured, server, traces=1)
    assert output.token_usage.total_tokens == 2 * 460


def test_for_each(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """Three inputs are three runs of copies, in one trace."""
    server = serve(reply("hi", usage=USAGE, times=3))

    outputs = observe(crewai_crew(server)).kickoff_for_each([{"n": "1"}, {"n": "2"}, {"n": "3"}])

    equals_the_bill(captured, server, traces=1)
    assert [output.raw for output in outputs] == ["hi", "hi", "hi"]


@pytest.mark.parametrize("method", ["kickoff_for_each_async", "akickoff_for_each"])
async def test_asynchronous_for_each(captured: Captured, serve: Serve, crewai_crew: Make, method: str) -> None:
    """The same at the same time."""
    server = serve(reply("hi", usage=USAGE, times=3))

    await getattr(observe(crewai_crew(server)), method)([{"n": "1"}, {"n": "2"}, {"n": "3"}])

    equals_the_bill(captured, server, traces=1)


def test_streaming_models(captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make) -> None:
    """A model that streams reports its usage in the last chunk; time to the first is known (crewAI#4056)."""
    server = serve(reply("one two three", usage=USAGE))
    agent = crewai_agent(server, llm=crewai_llm(server, stream=True))
    crew = Crew(agents=[agent], tasks=[Task(description="d", expected_output="e", agent=agent)])

    assert observe(crew).kickoff().raw == "one two three"

    equals_the_bill(captured, server, traces=1)
    (line,) = captured.closing("chat")
    assert line.metadata is not None
    assert line.metadata["gen_ai.response.time_to_first_chunk"] > 0


def test_a_streaming_crew(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """A crew that streams runs when it's read."""
    server = serve(reply("one two three", usage=USAGE))
    streaming = observe(crewai_crew(server, stream=True)).kickoff()
    assert captured.lines == []

    text = "".join(chunk.content for chunk in streaming)

    assert text == "one two three"
    assert streaming.result.raw == "one two three"
    equals_the_bill(captured, server, traces=1)


@pytest.mark.parametrize("method", ["kickoff_async", "akickoff"])
async def test_asynchronous_streaming_crews(captured: Captured, serve: Serve, crewai_crew: Make, method: str) -> None:
    """The same asynchronously."""
    server = serve(reply("one two three", usage=USAGE))
    streaming = await getattr(observe(crewai_crew(server, stream=True)), method)()

    text = "".join([chunk.content async for chunk in streaming])

    assert text == "one two three"
    equals_the_bill(captured, server, traces=1)


def test_a_stream_read_in_another_thread(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """A stream that is read elsewhere counts the same."""
    server = serve(reply("one two three", usage=USAGE))
    streaming = observe(crewai_crew(server, stream=True)).kickoff()
    thread = threading.Thread(target=lambda: list(streaming))

    thread.start()
    thread.join()

    equals_the_bill(captured, server, traces=1)


def test_structured_output(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """A task with a model for its output."""

    class Answer(BaseModel):
        n: int

    server = serve(reply('{"n": 1}', usage=USAGE, times=None))
    agent = crewai_agent(server)
    task = Task(description="d", expected_output="e", agent=agent, output_pydantic=Answer)

    output = observe(Crew(agents=[agent], tasks=[task])).kickoff()

    assert output.pydantic == Answer(n=1)
    equals_the_bill(captured, server, traces=1)


def test_react_text(captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make) -> None:
    """A model without function calling asks for its tools in prose."""
    server = serve(
        reply('Thought: look\nAction: look_up\nAction Input: {"word": "x"}\n', usage=USAGE),
        reply("Thought: I now know\nFinal Answer: done", usage=USAGE),
    )
    llm = crewai_llm(server)
    object.__setattr__(llm, "supports_function_calling", lambda: False)
    agent = crewai_agent(server, llm=llm, tools=[look_up])
    crew = Crew(agents=[agent], tasks=[Task(description="d", expected_output="e", agent=agent)])

    assert observe(crew).kickoff().raw == "done"

    equals_the_bill(captured, server, traces=1)
    assert [line.name for line in captured.closing("execute_tool")] == ["look_up"]


def test_a_lone_agent(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """``Agent.kickoff`` without a crew (openinference#2575)."""
    server = serve(reply("hi", usage=USAGE))

    assert observe(crewai_agent(server)).kickoff("hello").raw == "hi"

    equals_the_bill(captured, server, traces=1)


@pytest.mark.parametrize("method", ["kickoff_async", "akickoff"])
async def test_a_lone_agent_asynchronously(captured: Captured, serve: Serve, crewai_agent: Make, method: str) -> None:
    """The same asynchronously."""
    server = serve(reply("hi", usage=USAGE))

    await getattr(observe(crewai_agent(server)), method)("hello")

    equals_the_bill(captured, server, traces=1)


async def test_a_lone_agent_in_an_event_loop(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """There, ``kickoff`` returns a coroutine; the run lasts as long as that."""
    server = serve(reply("hi", usage=USAGE))

    output = await observe(crewai_agent(server)).kickoff("hello")

    assert output.raw == "hi"
    equals_the_bill(captured, server, traces=1)


def test_a_missing_report_is_estimated(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """An answer without usage is counted by us, and says so."""
    server = serve(reply("one two three", report_usage=False))

    observe(crewai_crew(server)).kickoff()

    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert line.usage.source == "estimated"
    assert (line.usage.input_tokens or 0) > 20
    assert line.usage.output_tokens


def test_failed_calls_cost_nothing(captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make) -> None:
    """A failing provider: every attempt of the agent is told, none has tokens (cumulative: aws PR#806)."""
    server = serve(fail(500, times=None))
    agent = crewai_agent(server, llm=crewai_llm(server, max_retries=0), max_retry_limit=1)
    crew = Crew(agents=[agent], tasks=[Task(description="d", expected_output="e", agent=agent)])

    with pytest.raises(Exception, match="500"):
        observe(crew).kickoff()

    server.settle()
    lines = captured.closing("chat")
    assert len(lines) == server.truth.totals.calls == 2
    assert {(line.status, line.usage.source if line.usage else None) for line in lines} == {("error", "missing")}


async def test_many_crews_at_once(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """Concurrent crews don't end each other's operations (aws PR#881)."""
    server = serve(reply("hi", usage=USAGE, times=8))

    await asyncio.gather(*(observe(crewai_crew(server)).akickoff() for _ in range(8)))

    server.settle()
    assert sum(line.usage.input_tokens or 0 for line in captured.closing("chat") if line.usage) == 8 * 200
    assert len({line.trace_id for line in captured.lines}) == 8
    assert {line.status for line in captured.closing()} == {"ok"}
