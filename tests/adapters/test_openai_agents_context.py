"""Where the current operation is while the SDK runs, and that nothing of it is left behind."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    RunHooks,
    Runner,
    function_tool,
    input_guardrail,
    output_guardrail,
    trace,
)
from opentelemetry import context as otel_context

from ai_dev_squad.context import current_operation
from ai_dev_squad_openai_agents import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, hang, reply, tool_calls

Serve = Callable[..., ModelServer]
Model = Callable[..., Any]


def here() -> str | None:
    """The operation that is current."""
    found = current_operation()
    return None if found is None else f"{found.kind.operation} {found.name}"


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_the_current_operation(
    captured: Captured, serve: Serve, openai_agents_model: Model, streamed: bool
) -> None:
    """In tools, their own; in instructions and hooks, the agent; in guardrails, the run; where events are read, none."""
    seen: dict[str, str | None] = {}

    def instructions(context: Any, agent: Any) -> str:
        seen["instructions"] = here()
        return "you are clerk"

    @function_tool
    def sync(word: str) -> str:
        """In a thread."""
        seen["a synchronous tool"] = here()
        return word

    @function_tool
    async def asynchronous(word: str) -> str:
        """In a task."""
        seen["an asynchronous tool"] = here()
        return word

    @input_guardrail
    async def before(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
        seen["an input guardrail"] = here()
        return GuardrailFunctionOutput(None, tripwire_triggered=False)

    @output_guardrail
    async def after(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
        seen["an output guardrail"] = here()
        return GuardrailFunctionOutput(None, tripwire_triggered=False)

    class Hooks(RunHooks[Any]):
        async def on_llm_start(self, *_: Any) -> None:
            seen["a hook"] = here()

    server = serve(tool_calls(call("sync", word="a"), call("asynchronous", word="b")), reply("done"))
    clerk = observe(
        Agent(
            name="clerk",
            instructions=instructions,
            model=openai_agents_model(server),
            tools=[sync, asynchronous],
            input_guardrails=[before],
            output_guardrails=[after],
        )
    )

    if streamed:
        async for _ in Runner.run_streamed(clerk, "go", hooks=Hooks()).stream_events():
            seen["where events are read"] = here()
    else:
        await Runner.run(clerk, "go", hooks=Hooks())
        seen["where events are read"] = None

    assert seen == {
        "instructions": "invoke_agent clerk",
        "a synchronous tool": "execute_tool sync",
        "an asynchronous tool": "execute_tool asynchronous",
        "an input guardrail": "invoke_workflow clerk",
        "an output guardrail": "invoke_workflow clerk",
        "a hook": "invoke_agent clerk",
        "where events are read": None,
    }
    assert here() is None


async def test_a_stream_leaves_no_token_behind(
    captured: Captured, serve: Serve, openai_agents_model: Model, caplog: pytest.LogCaptureFixture
) -> None:
    """Streams that are left, closed elsewhere or cancelled never say that a token "was created in a different Context"
    (openai-agents-python#538, openai-agents-python#634, openai-agents-python#515, openai-agents-python#435).
    """
    server = serve(reply("one two three", chunk_size=3, times=3))
    clerk = observe(Agent(name="clerk", model=openai_agents_model(server)))
    before = otel_context.get_current()

    async def first(result: Any) -> Any:
        events = result.stream_events()
        await anext(events)
        return events

    left = Runner.run_streamed(clerk, "go")
    await first(left)
    elsewhere = Runner.run_streamed(clerk, "go")
    events = await asyncio.create_task(first(elsewhere))
    await events.aclose()
    cancelled = Runner.run_streamed(clerk, "go")
    await first(cancelled)
    cancelled.cancel()
    await asyncio.wait([result.run_loop_task for result in (left, elsewhere, cancelled)])

    assert otel_context.get_current() == before
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []
    assert len(captured.closing("invoke_workflow")) == 3


async def test_a_run_that_never_began(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """A streamed run that is cancelled before its task has taken a step ends all the same."""
    clerk = observe(Agent(name="clerk", model=openai_agents_model(serve(reply("x")))))

    result = Runner.run_streamed(clerk, "go")
    result.cancel()
    await asyncio.wait([result.run_loop_task])

    assert [(line.operation, line.status) for line in captured.closing()] == [("invoke_workflow", "closed_early")]


async def test_the_block_of_an_observed_trace(captured: Captured) -> None:
    """It is current in the block, and in nothing after it."""
    seen = []
    with observe(trace("squad")):
        seen.append(here())
        seen.append(await asyncio.to_thread(here))
    seen.append(here())

    assert seen == ["invoke_workflow squad", "invoke_workflow squad", None]


async def test_time_runs_out(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """All that was under way is cancelled, once, and the program's time-out is its own."""
    clerk = observe(Agent(name="clerk", model=openai_agents_model(serve(hang()))))

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await Runner.run(clerk, "go")

    assert [(line.operation, line.status) for line in captured.closing()] == [
        ("chat", "cancelled"),
        ("invoke_agent", "cancelled"),
        ("invoke_workflow", "cancelled"),
    ]


async def test_a_task_that_outlives_its_run(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """An agent that a tool has left running belongs to the tool, and its calls are its own (dd-trace-py#13795)."""
    server = serve(tool_calls(call("judge_later")), reply("done"), reply("good"))
    judge = Agent(name="judge", model=openai_agents_model(server))
    over, tasks = asyncio.Event(), []

    async def judging() -> None:
        await over.wait()
        await Runner.run(judge, "Was it good?")

    @function_tool
    async def judge_later() -> str:
        """Do not wait for it."""
        tasks.append(asyncio.create_task(judging()))
        return "soon"

    clerk = observe(Agent(name="clerk", model=openai_agents_model(server), tools=[judge_later]))
    await Runner.run(clerk, "go")
    over.set()
    await asyncio.gather(*tasks)

    assert captured.tree().replace(" gpt-4o-mini-2024-07-18", "").splitlines() == [
        "invoke_workflow clerk: ok",
        "  invoke_agent clerk: ok",
        "    chat: ok",
        "    execute_tool judge_later: ok",
        "      invoke_workflow judge: ok",
        "        invoke_agent judge: ok",
        "          chat: ok",
        "    chat: ok",
    ]
    assert [line.agent_id for line in captured.closing("chat")] == ["clerk", "clerk", "judge"]
    assert here() is None


async def test_a_block_that_is_left_elsewhere(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """What runs after the end of an observed trace is no part of it, wherever it has ended."""
    agent = Agent(name="clerk", model=openai_agents_model(serve(reply("x", times=2))))
    block = observe(trace("squad"))
    block.start(mark_as_current=True)
    await Runner.run(agent, "go")
    await asyncio.create_task(asyncio.to_thread(block.finish))

    await Runner.run(agent, "go")

    assert [line.name for line in captured.closing("invoke_workflow")] == ["clerk", "squad"]
