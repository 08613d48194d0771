"""What is observed of Pydantic AI: which operations there are, below one another, and how each ends."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai import (
    Agent,
    ApprovalRequired,
    CallDeferred,
    DeferredToolRequests,
    DeferredToolResults,
    ModelRetry,
    RunContext,
    ToolOutput,
    direct,
)
from pydantic_ai.agent import WrapperAgent
from pydantic_ai.messages import ModelRequest
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.models.test import TestModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_graph import GraphBuilder

from ai_dev_squad.schema import EventType
from ai_dev_squad_pydantic_ai import observe, unobserve
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import (
    ModelServer,
    after_tool_result,
    call,
    fail,
    hang,
    reply,
    structured,
    system_contains,
    tool_calls,
)

Serve = Callable[..., ModelServer]
ASKS = tool_calls(call("look_up", word="fig"))


def model_at(server: ModelServer, name: str = "gpt-4o-mini") -> OpenAIChatModel:
    """A real model behind OpenAI's client, which talks to the scripted server."""
    return OpenAIChatModel(name, provider=OpenAIProvider(base_url=server.base_url, api_key="sk-test"))


def look_up(word: str) -> str:
    """Look a word up."""
    return word.upper()


def clerk_at(server: ModelServer, **options: Any) -> Agent[None, Any]:
    """An agent with a tool."""
    return Agent(model_at(server), name="clerk", tools=[look_up], **options)


def tree(*lines: str) -> str:
    """Operations below one another, as ``Captured.tree`` has them."""
    return "\n".join(lines)


async def run(agent: Any) -> None:
    await agent.run("go")


async def run_stream(agent: Any) -> None:
    async with agent.run_stream("go") as result:
        await result.get_output()


async def run_stream_events(agent: Any) -> None:
    async with agent.run_stream_events("go") as events:
        async for _ in events:
            pass


async def iterate(agent: Any) -> None:
    async with agent.iter("go") as steps:
        async for _ in steps:
            pass


async def with_handler(agent: Any) -> None:
    async def handle(ctx: Any, events: Any) -> None:
        async for _ in events:
            pass

    await agent.run("go", event_stream_handler=handle)


async def wrapped(agent: Any) -> None:
    await WrapperAgent(agent).run("go")


async def overridden(agent: Any) -> None:
    with agent.override(instructions="Be brief."):
        await agent.run("go")


async def in_thread(agent: Any) -> None:
    await asyncio.to_thread(lambda: asyncio.run(agent.run("go")))


WAYS = (run, run_stream, run_stream_events, iterate, with_handler, wrapped, overridden, in_thread)
TREE = """
invoke_agent clerk: ok
  chat gpt-4o-mini: ok
  execute_tool look_up: ok
  chat gpt-4o-mini: ok
""".strip()


@pytest.mark.parametrize("way", WAYS)
async def test_every_way_of_running_an_agent(captured: Captured, serve: Serve, way: Any) -> None:
    """All end in the same tree, with the same numbers, and the server saw two calls."""
    server = serve(ASKS, reply("done"))

    await way(observe(clerk_at(server)))

    assert captured.tree() == TREE
    assert len(server.truth.calls) == 2


async def test_a_wrapper_is_observed_by_itself(captured: Captured, serve: Serve) -> None:
    """What is observed is the wrapper: the agent in it stays silent where it runs alone."""
    agent = clerk_at(serve(ASKS, reply("done"), reply("alone")))

    await observe(WrapperAgent(agent), name="desk").run("go")
    await agent.run("go")

    assert captured.tree() == TREE.replace("clerk", "desk")


async def test_agents_that_share_a_model_with_an_observed_one_stay_silent(captured: Captured, serve: Serve) -> None:
    """Five observed and five unobserved agents run at the same time on one model: five are seen."""
    model = model_at(serve(reply("done", latency=0.05, times=None)))
    agents = [Agent(model, name=f"agent-{number}") for number in range(10)]
    for agent in agents[:5]:
        observe(agent)

    await asyncio.gather(*(agent.run("go") for agent in agents))

    assert sorted(line.name for line in captured.closing("invoke_agent")) == [f"agent-{n}" for n in range(5)]
    assert len(captured.closing("chat")) == 5


async def test_an_agent_that_a_tool_asks(captured: Captured, serve: Serve) -> None:
    """It is part of the tool call, though nobody observed it itself; and silent again where it runs alone."""
    server = serve(
        reply("a fruit", when=system_contains("you are the botanist"), times=2),
        reply("done", when=after_tool_result()),
        tool_calls(call("ask", question="fig?")),
    )
    botanist = Agent(model_at(server), name="botanist", instructions="You are the botanist.")
    boss = observe(Agent(model_at(server), name="boss"))

    @boss.tool
    async def ask(ctx: RunContext[None], question: str) -> str:
        return (await botanist.run(question, usage=ctx.usage)).output

    await boss.run("go")
    await botanist.run("alone")

    assert captured.tree() == tree(
        "invoke_agent boss: ok",
        "  chat gpt-4o-mini: ok",
        "  execute_tool ask: ok",
        "    invoke_agent botanist: ok",
        "      chat gpt-4o-mini: ok",
        "  chat gpt-4o-mini: ok",
    )


async def test_an_agent_that_hands_over(captured: Captured, serve: Serve) -> None:
    """By a function that makes its output: a tool call, with the other agent's run in it."""
    server = serve(
        reply("money back", when=system_contains("you are billing")), tool_calls(call("transfer_to_billing"))
    )
    billing = Agent(model_at(server), name="billing", instructions="You are billing.")

    async def transfer_to_billing() -> str:
        return (await billing.run("why?")).output

    hand_over = ToolOutput(transfer_to_billing, name="transfer_to_billing")
    result = await observe(Agent(model_at(server), name="triage", output_type=[hand_over, str])).run("why?")

    assert result.output == "money back"
    assert captured.tree() == tree(
        "invoke_agent triage: ok",
        "  chat gpt-4o-mini: ok",
        "  execute_tool transfer_to_billing: ok",
        "    invoke_agent billing: ok",
        "      chat gpt-4o-mini: ok",
    )


async def test_an_answer_with_a_shape_is_no_tool_call(captured: Captured, serve: Serve) -> None:
    """The model is asked for it by a tool, but no tool runs."""

    class City(BaseModel):
        name: str

    result = await observe(Agent(model_at(serve(structured({"name": "Paris"}))), name="clerk", output_type=City)).run(
        "go"
    )

    assert result.output == City(name="Paris")
    assert captured.tree() == "invoke_agent clerk: ok\n  chat gpt-4o-mini: ok"


async def test_an_answer_that_has_not_its_shape(captured: Captured, serve: Serve) -> None:
    """Refused by the shape, or by what the program checks of it, and asked for again: a call that reached no tool."""

    class City(BaseModel):
        name: str

    def answers(**given: Any) -> Any:
        return tool_calls(call("final_result", **given))

    server = serve(answers(nome="Paris"), answers(name="Rome"), answers(name="Paris"))
    agent = Agent(model_at(server), name="clerk", output_type=City, retries=2)

    @agent.output_validator
    def of_france(city: City) -> City:
        if city.name != "Paris":
            raise ModelRetry("not in France")
        return city

    assert (await observe(agent).run("go")).output == City(name="Paris")
    refused = [(line.name, line.status, line.error and line.error.type) for line in captured.closing("execute_tool")]
    assert refused == [("final_result", "error", "tool_not_executed")] * 2


async def test_a_run_that_waits_for_approval_and_the_one_that_goes_on(captured: Captured, serve: Serve) -> None:
    """Waiting is no error; the second run is linked to the first, and the tool runs in it, once."""
    agent = observe(Agent(model_at(serve(tool_calls(call("publish")), reply("out"))), name="writer",
                          output_type=[str, DeferredToolRequests]))  # fmt: skip
    published: list[bool] = []

    @agent.tool_plain(requires_approval=True)
    def publish() -> str:
        published.append(True)
        return "published"

    asked = await agent.run("go")
    (waiting,) = asked.output.approvals
    approved = DeferredToolResults(approvals={waiting.tool_call_id: True})
    result = await agent.run(message_history=asked.all_messages(), deferred_tool_results=approved)

    assert (result.output, published) == ("out", [True])
    first, second = captured.closing("invoke_agent")
    assert (first.status, second.status) == ("interrupted", "ok")
    assert first.trace_id != second.trace_id
    told = {line.event_type: line.metadata for line in captured.lines if line.event_type in
            {EventType.AGENT_INTERRUPT, EventType.AGENT_RESUME}}  # fmt: skip
    assert told == {
        EventType.AGENT_INTERRUPT: {"tool_call_ids": [waiting.tool_call_id]},
        EventType.AGENT_RESUME: {"resumes_trace_id": first.trace_id},
    }
    assert [line.status for line in captured.closing("execute_tool")] == ["ok"]


@pytest.mark.parametrize("raised", [ApprovalRequired, CallDeferred])
async def test_a_tool_that_is_put_off_by_itself(captured: Captured, serve: Serve, raised: type[Exception]) -> None:
    """What it raises only steers: the tool call is interrupted, and so is the run."""
    agent = observe(Agent(model_at(serve(tool_calls(call("publish")))), name="writer",
                          output_type=[str, DeferredToolRequests]))  # fmt: skip

    @agent.tool_plain
    def publish() -> str:
        raise raised

    await agent.run("go")

    assert captured.tree() == tree(
        "invoke_agent writer: interrupted", "  chat gpt-4o-mini: ok", "  execute_tool publish: interrupted"
    )


async def test_a_tool_that_asks_to_be_called_again(captured: Captured, serve: Serve) -> None:
    """It has failed by what it raised itself, once, and the run goes on."""
    agent = observe(Agent(model_at(serve(ASKS, reply("sorry"))), name="clerk"))

    @agent.tool_plain(name="look_up")
    def look_up_in_vain(word: str) -> str:
        raise ModelRetry(f"{word} is in no dictionary")

    await agent.run("go")

    (tool,) = captured.closing("execute_tool")
    assert (tool.status, tool.error and tool.error.message) == ("error", "fig is in no dictionary")
    assert captured.tree() == TREE.replace("look_up: ok", "look_up: error")


@pytest.mark.parametrize(
    "asked, kind",
    [(call("fly", word="fig"), "unknown_tool"), (call("look_up", wrong="fig"), "tool_not_executed")],
)
async def test_a_call_that_reaches_no_tool(captured: Captured, serve: Serve, asked: Any, kind: str) -> None:
    """There is no such tool, or the arguments don't fit: shown as a failed call, once."""
    await observe(clerk_at(serve(tool_calls(asked), reply("sorry")))).run("go")

    (tool,) = captured.closing("execute_tool")
    assert (tool.name, tool.status, tool.error and tool.error.type) == (asked.name, "error", kind)
    assert [line.status for line in captured.closing("invoke_agent")] == ["ok"]


async def test_each_attempt_of_a_fallback_is_a_call(captured: Captured, serve: Serve) -> None:
    """The one that failed and the one that answered, each with its model; the fallback itself is none
    (pydantic-ai#7018, pydantic-ai#1147, pydantic-ai#1076, pydantic-ai#3028).
    """
    broken, sound = serve(fail(400, times=None)), serve(reply("done"))
    model = FallbackModel(model_at(broken, "gpt-4o"), model_at(sound))

    await observe(Agent(model, name="clerk")).run("go")

    assert captured.tree() == tree("invoke_agent clerk: ok", "  chat gpt-4o: error", "  chat gpt-4o-mini: ok")


async def test_a_fallback_that_streams(captured: Captured, serve: Serve) -> None:
    """Likewise."""
    broken, sound = serve(fail(400, times=None)), serve(reply("done"))
    model = FallbackModel(model_at(broken, "gpt-4o"), model_at(sound))

    await run_stream(observe(Agent(model, name="clerk")))

    assert [(line.name, line.status) for line in captured.closing("chat")] == [
        ("gpt-4o", "error"),
        ("gpt-4o-mini", "ok"),
    ]


async def test_a_fallback_is_tried_when_nobody_answers(captured: Captured, serve: Serve) -> None:
    """A connection that is refused falls back, observed as unobserved (pydantic-ai#3439)."""
    sound = serve(reply("done", times=2))
    nobody = OpenAIChatModel("gpt-4o", provider=OpenAIProvider(base_url="http://127.0.0.1:9/v1", api_key="sk-test"))

    async def ask(observing: Callable[[Any], Any]) -> str:
        agent = Agent(FallbackModel(nobody, model_at(sound)), name="clerk")
        return str((await observing(agent).run("go")).output)

    assert await ask(lambda agent: agent) == await ask(observe) == "done"
    assert [(line.name, line.status) for line in captured.closing("chat")] == [
        ("gpt-4o", "error"),
        ("gpt-4o-mini", "ok"),
    ]


async def test_a_model_that_is_observed_itself(captured: Captured, serve: Serve) -> None:
    """Each request is a run of its own, asked directly or by an agent that nobody observes; until ``unobserve``."""
    model = observe(model_at(serve(reply("done", times=None))))
    question: list[Any] = [ModelRequest.user_text_prompt("go")]

    await direct.model_request(model, question)
    async with direct.model_request_stream(model, question) as stream:
        async for _ in stream:
            pass
    await Agent(model, name="clerk").run("go")
    await direct.model_request(unobserve(model), question)

    assert captured.tree() == "\n".join(["chat gpt-4o-mini: ok"] * 3)


async def test_a_model_that_a_tool_asks_directly(captured: Captured, serve: Serve) -> None:
    """The request belongs to the tool call."""
    server = serve(tool_calls(call("ask")), reply("inner"), reply("done"))
    agent = observe(Agent(model_at(server), name="clerk"))

    @agent.tool_plain
    async def ask() -> str:
        answer = await direct.model_request(model_at(server), [ModelRequest.user_text_prompt("go")])
        return str(answer.text if hasattr(answer, "text") else answer.parts[0])

    await agent.run("go")

    assert captured.tree() == tree(
        "invoke_agent clerk: ok",
        "  chat gpt-4o-mini: ok",
        "  execute_tool ask: ok",
        "    chat gpt-4o-mini: ok",
        "  chat gpt-4o-mini: ok",
    )


def steps_around(agent: Agent[None, Any]) -> Any:
    """A graph of two steps; the second runs the agent."""
    builder = GraphBuilder(name="desk", input_type=str, output_type=str)

    @builder.step
    async def prepare(ctx: Any) -> str:
        return f"{ctx.inputs}?"

    @builder.step(label="ask the clerk")
    async def ask(ctx: Any) -> str:
        return str((await agent.run(ctx.inputs)).output)

    builder.add(
        builder.edge_from(builder.start_node).to(prepare),
        builder.edge_from(prepare).to(ask),
        builder.edge_from(ask).to(builder.end_node),
    )
    return builder.build()


async def test_a_graph_and_its_steps(captured: Captured, serve: Serve) -> None:
    """A task for each step, by its label if it has one, and the agents in them; not the graph that runs an agent."""
    graph = observe(steps_around(Agent(model_at(serve(reply("done"))), name="clerk")))

    assert await graph.run(inputs="fig") == "done"

    assert captured.tree() == tree(
        "invoke_workflow desk: ok",
        "  task prepare: ok",
        "  task ask the clerk: ok",
        "    invoke_agent clerk: ok",
        "      chat gpt-4o-mini: ok",
    )


async def test_a_graph_that_is_left_early(captured: Captured, serve: Serve) -> None:
    """Whoever stops iterating ends the run, which is no error; the context is as it was."""
    graph = observe(steps_around(Agent(model_at(serve()), name="clerk")))

    async with graph.iter(inputs="fig") as steps:
        async for _ in steps:
            break

    assert [line.status for line in captured.closing("invoke_workflow")] == ["closed_early"]


async def test_a_graph_is_named_as_the_program_calls_it(captured: Captured, serve: Serve) -> None:
    """Where it has no name, the framework looks for the variable that it is in; observed as unobserved."""
    builder = GraphBuilder(output_type=str)

    @builder.step
    async def step(ctx: Any) -> str:
        return "done"

    builder.add(builder.edge_from(builder.start_node).to(step), builder.edge_from(step).to(builder.end_node))
    my_graph = observe(builder.build())

    async with my_graph.iter() as steps:
        async for _ in steps:
            pass

    assert my_graph.name == "my_graph"
    assert [line.name for line in captured.closing("invoke_workflow")] == ["my_graph"]


@pytest.mark.parametrize("way", ["run", "run_stream", "run_stream_events"])
@pytest.mark.parametrize("observing", [observe, lambda agent: agent], ids=["observed", "beside an observed one"])
async def test_an_agent_is_named_as_the_program_calls_it(
    captured: Captured, serve: Serve, way: str, observing: Any
) -> None:
    """Likewise, in each way in which the framework looks for it; also one that nobody observes."""
    observe(Agent("test"))
    my_agent = observing(Agent(model_at(serve(reply("done")))))

    if way == "run":
        await my_agent.run("go")
    elif way == "run_stream":
        async with my_agent.run_stream("go") as result:
            await result.get_output()
    else:
        async with my_agent.run_stream_events("go") as events:
            [_ async for _ in events]

    assert my_agent.name == "my_agent"
    assert {line.name for line in captured.closing("invoke_agent")} <= {"my_agent"}


async def test_a_tool_that_takes_too_long(captured: Captured, serve: Serve) -> None:
    """Its time-out is a failure of the tool, and the run goes on."""
    agent = observe(Agent(model_at(serve(ASKS, reply("sorry"))), name="clerk"))

    @agent.tool_plain(timeout=0.05, name="look_up")
    async def look_up_slowly(word: str) -> str:
        await asyncio.sleep(60)
        return word

    await agent.run("go")

    assert captured.tree() == TREE.replace("look_up: ok", "look_up: error")


async def test_a_run_that_is_cancelled(captured: Captured, serve: Serve) -> None:
    """It is cancelled all the way down, and the request ends before the run that it is part of."""
    server = serve(hang(times=None))
    running = asyncio.create_task(observe(clerk_at(server)).run("go"))
    while not server.truth.calls:  # noqa: ASYNC110 - the server is in a thread
        await asyncio.sleep(0.005)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert [(line.operation, line.status) for line in captured.closing()] == [
        ("chat", "cancelled"),
        ("invoke_agent", "cancelled"),
    ]


async def leave_stream(agent: Any) -> None:
    async with agent.run_stream("go") as result:
        async for _ in result.stream_text(delta=True, debounce_by=None):
            break


async def leave_events(agent: Any) -> None:
    async with agent.run_stream_events("go") as events:
        seen = 0
        async for _ in events:
            seen += 1
            if seen == 3:
                break


async def leave_iteration(agent: Any) -> None:
    async with agent.iter("go") as steps:
        async for node in steps:
            if Agent.is_model_request_node(node):
                async with node.stream(steps.ctx) as stream:
                    async for _ in stream:
                        break
                break


@pytest.mark.parametrize("leave", [leave_stream, leave_events, leave_iteration])
async def test_a_stream_that_is_left(captured: Captured, serve: Serve, leave: Any) -> None:
    """Run and request are closed early, the connection is closed, and nothing is read in the background
    (pydantic-ai#1524, pydantic-ai#5291); leaving raises nothing (pydantic-ai#1516).
    """
    server = serve(reply("one two three four five six seven eight", chunk_size=2, per_chunk=0.02))

    await leave(observe(Agent(model_at(server), name="clerk")))

    server.settle()
    assert {line.status for line in captured.closing()} <= {"closed_early", "cancelled"}
    assert captured.closing("invoke_agent")[0].status == "closed_early"
    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert line.usage.source == "estimated"
    assert [request.outcome for request in server.truth.calls] == ["client_closed"]


def test_only_what_can_be_observed_is_taken() -> None:
    """Anything else is refused at once, with what is allowed."""
    with pytest.raises(TypeError, match="cannot observe 'str'; allowed: a Pydantic AI agent, a graph"):
        observe("agent")


async def test_a_model_of_the_programs_own(captured: Captured) -> None:
    """Its requests are calls; one that says nothing of tokens is estimated."""
    from pydantic_ai.messages import ModelResponse, TextPart

    class Ours(Model):
        system = "ours"
        model_name = "our-model"

        async def request(self, *args: Any, **kwargs: Any) -> ModelResponse:
            return ModelResponse(parts=[TextPart("Paris is the capital of France.")])

    await observe(Agent(Ours(), name="clerk")).run("What is the capital of France?")

    (line,) = captured.closing("chat")
    assert (line.name, line.usage and line.usage.source) == ("our-model", "estimated")


async def test_a_class_that_a_request_makes_goes_with_it() -> None:
    """A class of models that is made where it is needed is kept by nobody."""

    async def handle() -> weakref.ref[type]:
        class Own(TestModel):
            async def request(self, *args: Any, **kwargs: Any) -> Any:
                return await super().request(*args, **kwargs)

        await observe(Agent(Own(), name="clerk")).run("go")
        return weakref.ref(Own)

    made = await handle()
    gc.collect()

    assert made() is None
