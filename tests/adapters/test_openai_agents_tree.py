"""What the tree of operations looks like for everything that the OpenAI Agents SDK can do."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import gc
import json
import sys
import textwrap
import weakref
from collections.abc import Callable
from typing import Any

import pytest
from agents import (
    Agent,
    AgentHooks,
    GuardrailFunctionOutput,
    ModelResponse,
    RunConfig,
    RunHooks,
    Runner,
    RunState,
    SQLiteSession,
    Usage,
    function_tool,
    handoff,
    input_guardrail,
    output_guardrail,
    set_tracing_disabled,
    trace,
)
from agents import Model as ModelInterface
from agents.mcp import MCPServerStdio
from agents.run import AgentRunner
from openai.types.responses import ResponseOutputMessage, ResponseOutputText
from pydantic import BaseModel

from ai_dev_squad import configure, get_logger, session
from ai_dev_squad.operations import Operation
from ai_dev_squad_openai_agents import observe, unobserve
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, reply, structured, system_contains, tool_calls

Serve = Callable[..., ModelServer]
Model = Callable[..., Any]


def is_tree(text: str) -> str:
    """An expected tree, as written in a test."""
    return textwrap.dedent(text).strip()


def shape(captured: Captured) -> str:
    """The captured tree without the model's name; it's one trace."""
    assert len({line.trace_id for line in captured.lines}) == 1
    return captured.tree().replace(" gpt-4o-mini-2024-07-18", "")


@function_tool
def look_up(word: str) -> str:
    """Look a word up."""
    return word.upper()


def own_class() -> type[ModelInterface]:
    """A class of models of the program's own, made anew, that answers at once."""

    class Own(ModelInterface):
        model = "own-model"

        async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
            text = ResponseOutputText(text="fine", type="output_text", annotations=[])
            said = ResponseOutputMessage(id="1", content=[text], role="assistant", status="completed", type="message")
            return ModelResponse(output=[said], usage=Usage(), response_id=None)

        def stream_response(self, *args: Any, **kwargs: Any) -> Any:
            raise NotImplementedError

    return Own


async def read(result: Any) -> list[str]:
    """All deltas of a streamed run."""
    return [
        event.data.delta
        async for event in result.stream_events()
        if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
    ]


@pytest.mark.parametrize("responses", [False, True], ids=["chat completions", "responses"])
async def test_an_agent_with_tools(
    captured: Captured, serve: Serve, openai_agents_model: Model, responses: bool
) -> None:
    """A run is a workflow, its agent is below it, with model calls and tools, in both of OpenAI's APIs."""
    server = serve(tool_calls(call("look_up", word="a"), call("look_up", word="b")), reply("done"))
    clerk = observe(Agent(name="clerk", model=openai_agents_model(server, responses=responses), tools=[look_up]))

    result = await Runner.run(clerk, "go")

    assert result.final_output == "done"
    assert shape(captured) == is_tree("""
        invoke_workflow clerk: ok
          invoke_agent clerk: ok
            chat: ok
            execute_tool look_up: ok
            execute_tool look_up: ok
            chat: ok
    """)
    assert {line.agent_id for line in captured.closing() if line.operation != "invoke_workflow"} == {"clerk"}
    assert {line.framework for line in captured.lines} == {"openai_agents"}


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_handoff(captured: Captured, serve: Serve, openai_agents_model: Model, streamed: bool) -> None:
    """Who hands over ends as a hand-off, with its target; nothing stays open in a stream (sentry-python#5291)."""
    model = openai_agents_model(serve(tool_calls(call("transfer_to_billing")), reply("a mistake")))
    billing = Agent(name="billing", model=model)
    triage = observe(Agent(name="triage", model=model, handoffs=[handoff(billing)]))

    if streamed:
        await read(Runner.run_streamed(triage, "why"))
    else:
        await Runner.run(triage, "why")

    assert shape(captured) == is_tree("""
        invoke_workflow triage: ok
          invoke_agent triage: handoff
            chat: ok
          invoke_agent billing: ok
            chat: ok
    """)
    (event,) = (line for line in captured.lines if line.event_type == "agent.handoff")
    assert (event.message, (event.metadata or {})["to"]) == ("triage hands off", "billing")
    assert [line.agent_id for line in captured.closing("chat")] == ["triage", "billing"]


async def test_an_agent_as_a_tool(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """What runs in a tool is below it, without being observed itself (openai-agents-python#2036)."""
    server = serve(
        reply("sweet", when=system_contains("you know plants")),
        tool_calls(call("ask_botanist", input="fig")),
        reply("it is sweet"),
    )
    model = openai_agents_model(server)
    botanist = Agent(name="botanist", instructions="you know plants", model=model)
    boss = Agent(name="boss", model=model, tools=[botanist.as_tool("ask_botanist", "asks the botanist")])

    await Runner.run(observe(boss), "fig?")

    assert shape(captured) == is_tree("""
        invoke_workflow boss: ok
          invoke_agent boss: ok
            chat: ok
            execute_tool ask_botanist: ok
              invoke_workflow botanist: ok
                invoke_agent botanist: ok
                  chat: ok
            chat: ok
    """)


class Heard(RunHooks[Any]):
    """The program's own hooks."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def on_agent_start(self, *_: Any) -> None:
        self.names.append("agent start")

    async def on_agent_end(self, *_: Any) -> None:
        self.names.append("agent end")

    async def on_llm_start(self, *_: Any) -> None:
        self.names.append("llm start")

    async def on_llm_end(self, *_: Any) -> None:
        self.names.append("llm end")

    async def on_handoff(self, *_: Any, **__: Any) -> None:
        self.names.append("handoff")


async def test_the_programs_hooks(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """They are all called, as without us: of models (openai-agents-python#1612), around hand-offs (openai-agents-python#1909)."""
    model = openai_agents_model(serve(*[tool_calls(call("transfer_to_billing")), reply("a mistake")] * 2))
    hooks, own = Heard(), AgentHooks[Any]()
    billing = Agent(name="billing", model=model)
    triage = Agent(name="triage", model=model, handoffs=[billing], hooks=own)

    await Runner.run(triage, "why", hooks=hooks)
    unobserved, hooks.names = hooks.names, []
    await Runner.run(observe(triage), "why", hooks=hooks)

    assert unobserved == [
        *("agent start", "llm start", "llm end", "handoff"),
        *("agent start", "llm start", "llm end", "agent end"),
    ]
    assert hooks.names == unobserved
    assert triage.hooks is own
    assert len(captured.closing("chat")) == 2


async def test_wrong_hooks_are_refused_as_without_us(captured: Captured) -> None:
    """The SDK says what it thinks of them."""
    agent = observe(Agent(name="clerk"))

    with pytest.raises(TypeError, match="hooks"):
        await Runner.run(agent, "go", hooks=AgentHooks[Any]())  # type: ignore[arg-type]


@function_tool(needs_approval=True)
def publish(word: str) -> str:
    """Publish a word."""
    return f"published {word}"


@pytest.mark.parametrize("streamed", [False, True])
async def test_a_run_that_waits_for_approval(
    captured: Captured, serve: Serve, openai_agents_model: Model, streamed: bool
) -> None:
    """The run that goes on from a state that was saved is linked to the one that waited: they are two traces
    (openai-agents-python#2540, openai-agents-python#2557).
    """
    server = serve(tool_calls(call("publish", word="fig")), reply("done"))
    clerk = observe(Agent(name="clerk", model=openai_agents_model(server), tools=[publish]))

    async def run(given: Any) -> Any:
        if not streamed:
            return await Runner.run(clerk, given)
        result = Runner.run_streamed(clerk, given)
        await read(result)
        return result

    waiting = await run("go")
    state = await RunState.from_json(clerk, json.loads(json.dumps(waiting.to_state().to_json())))
    state.approve(state.get_interruptions()[0])
    result = await run(state)

    assert result.final_output == "done"
    assert captured.tree().replace(" gpt-4o-mini-2024-07-18", "") == is_tree("""
        invoke_workflow clerk: interrupted
          invoke_agent clerk: interrupted
            chat: ok
        invoke_workflow clerk: ok
          invoke_agent clerk: ok
            execute_tool publish: ok
            chat: ok
    """)
    first, second = captured.closing("invoke_workflow")
    assert [(link.trace_id, link.type) for link in second.links or ()] == [(first.trace_id, "resumes")]
    events = [line for line in captured.lines if line.event_type in {"agent.interrupt", "agent.resume"}]
    assert [(line.event_type, line.metadata) for line in events] == [
        ("agent.interrupt", {"tools": ["publish"]}),
        ("agent.resume", {"resumes_trace_id": first.trace_id}),
    ]


async def test_an_approval_within_an_agent_as_a_tool(
    captured: Captured, serve: Serve, openai_agents_model: Model
) -> None:
    """All that waits is interrupted, and nothing of it failed."""
    server = serve(
        tool_calls(call("publish", word="fig"), when=system_contains("you publish")),
        tool_calls(call("ask_editor", input="fig")),
    )
    model = openai_agents_model(server)
    editor = Agent(name="editor", instructions="you publish", model=model, tools=[publish])
    boss = observe(Agent(name="boss", model=model, tools=[editor.as_tool("ask_editor", "asks")]))

    result = await Runner.run(boss, "go")

    assert len(result.interruptions) == 1
    assert shape(captured) == is_tree("""
        invoke_workflow boss: interrupted
          invoke_agent boss: interrupted
            chat: ok
            execute_tool ask_editor: interrupted
              invoke_workflow editor: interrupted
                invoke_agent editor: interrupted
                  chat: ok
    """)


class City(BaseModel):
    """A structured answer."""

    name: str


async def test_a_structured_answer(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """The result is the program's type, and the call says that it asked for JSON."""
    model = openai_agents_model(serve(structured({"name": "Paris"})))

    result = await Runner.run(observe(Agent(name="clerk", model=model, output_type=City)), "go")

    assert result.final_output == City(name="Paris")
    (line,) = captured.closing("chat")
    assert (line.metadata or {})["gen_ai.output.type"] == "json"


async def test_guardrails(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """Those that let pass leave no trace; a run in one of them is part of the run that it guards."""
    server = serve(reply("fine", when=system_contains("you check")), reply("done"))
    model = openai_agents_model(server)
    checker = Agent(name="checker", instructions="you check", model=model)

    @input_guardrail(run_in_parallel=False)
    async def checked(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
        await Runner.run(checker, given)
        return GuardrailFunctionOutput(None, tripwire_triggered=False)

    @output_guardrail
    async def passed(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(None, tripwire_triggered=False)

    clerk = observe(Agent(name="clerk", model=model, input_guardrails=[checked], output_guardrails=[passed]))

    await Runner.run(clerk, "go")

    assert shape(captured) == is_tree("""
        invoke_workflow clerk: ok
          invoke_workflow checker: ok
            invoke_agent checker: ok
              chat: ok
          invoke_agent clerk: ok
            chat: ok
    """)


async def test_a_session(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """The SDK's session is the conversation of its runs, unless the program opened one of ours."""
    model = openai_agents_model(serve(reply("one"), reply("two"), reply("three"), reply("four")))
    clerk, memory = observe(Agent(name="clerk", model=model)), SQLiteSession("desk-7")

    await Runner.run(clerk, "go", session=memory)
    await Runner.run(clerk, "again", session=memory)
    with session("desk-8"):
        await Runner.run(clerk, "again", session=memory)
    await Runner.run(clerk, "alone", run_config=RunConfig(group_id="desk-9"))

    assert len(await memory.get_items()) == 6
    memory.close()
    said = [line.session_id for line in captured.closing("invoke_workflow")]
    assert said == ["desk-7", "desk-7", "desk-8", "desk-9"]


SERVER = """
try:
    from mcp.server import MCPServer
except ImportError:  # before 2.0
    from mcp.server.fastmcp import FastMCP as MCPServer

server = MCPServer("dictionary")

@server.tool()
def look_up(word: str) -> str:
    "Look a word up."
    return word.upper()

@server.tool()
def fail() -> str:
    "Fail."
    raise ValueError("no such page")

server.run()
"""


async def test_a_tool_of_an_mcp_server(
    captured: Captured, serve: Serve, openai_agents_model: Model, tmp_path: Any
) -> None:
    """It is a tool like any other, and has failed where its server says so (litellm#32238)."""
    (tmp_path / "server.py").write_text(SERVER, encoding="utf-8")
    model = openai_agents_model(serve(tool_calls(call("look_up", word="a"), call("fail")), reply("done")))
    parameters: Any = {"command": sys.executable, "args": [str(tmp_path / "server.py")]}
    async with MCPServerStdio(parameters, client_session_timeout_seconds=60) as server:
        clerk = observe(Agent(name="clerk", model=model, mcp_servers=[server]))
        result = await Runner.run(clerk, "go")

    assert result.final_output == "done"
    told = [(line.name, line.status, line.error and line.error.type) for line in captured.closing("execute_tool")]
    assert sorted(told) == [("fail", "error", "tool_error"), ("look_up", "ok", None)]


@pytest.mark.parametrize("disabled", [False, True], ids=["traced", "not traced"])
async def test_runs_in_one_trace_are_one_run(
    captured: Captured, serve: Serve, openai_agents_model: Model, disabled: bool
) -> None:
    """Observed agents in the block of a ``trace()`` that is not observed; it has its name also when the SDK traces nothing."""
    model = openai_agents_model(serve(reply("plan"), reply("code")))
    set_tracing_disabled(disabled)
    planner, coder = (observe(Agent(name=name, model=model), task="feature") for name in ("planner", "coder"))

    with trace("squad", group_id="desk"):
        plan = await Runner.run(planner, "go")
        await Runner.run(coder, plan.final_output)

    set_tracing_disabled(True)
    assert shape(captured) == is_tree("""
        invoke_workflow squad: ok
          invoke_workflow planner: ok
            invoke_agent planner: ok
              chat: ok
          invoke_workflow coder: ok
            invoke_agent coder: ok
              chat: ok
    """)


@pytest.mark.parametrize("squad", [list, tuple, dict], ids=lambda kind: kind.__name__)
async def test_a_squad(captured: Captured, serve: Serve, openai_agents_model: Model, squad: Any) -> None:
    """All agents of a list, tuple or dictionary are observed, and not any more."""
    model = openai_agents_model(serve(reply("x", times=4)))
    agents = [Agent(name=name, model=model) for name in ("planner", "coder")]
    given = {agent.name: agent for agent in agents} if squad is dict else squad(agents)

    assert observe(given) is given
    for agent in agents:
        await Runner.run(agent, "go")
    unobserve(given)
    for agent in agents:
        await Runner.run(agent, "go")

    assert [line.name for line in captured.closing("invoke_workflow")] == ["planner", "coder"]


@pytest.mark.parametrize("disabled", [False, True], ids=["traces", "no traces"])
async def test_a_trace_that_is_started_by_hand(
    captured: Captured, serve: Serve, openai_agents_model: Model, disabled: bool
) -> None:
    """``start`` and ``finish`` are a block, too (sentry-docs#14649)."""
    set_tracing_disabled(disabled)
    agent = Agent(name="clerk", model=openai_agents_model(serve(reply("x"))))
    squad = observe(trace("squad"))

    squad.start(mark_as_current=True)
    await Runner.run(agent, "go")
    squad.finish(reset_current=True)

    assert shape(captured) == is_tree("""
        invoke_workflow squad: ok
          invoke_workflow clerk: ok
            invoke_agent clerk: ok
              chat: ok
    """)


async def test_an_error_in_an_observed_trace(captured: Captured) -> None:
    """The workflow fails as its block does, and what comes after is not in it."""
    with pytest.raises(LookupError), observe(trace("squad")):
        raise LookupError("no")

    (line,) = captured.closing()
    assert (line.operation, line.name, line.status, line.error and line.error.type) == (
        *("invoke_workflow", "squad", "error"),
        "LookupError",
    )


async def test_names(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """``observe``'s name goes before that of the run's configuration, which goes before the agent's."""
    model = openai_agents_model(serve(reply("x", times=3)))
    clerk = observe(Agent(name="clerk", model=model))

    await Runner.run(clerk, "go")
    await Runner.run(clerk, "go", run_config=RunConfig(workflow_name="desk"))
    await Runner.run(observe(clerk, name="own"), "go", run_config=RunConfig(workflow_name="desk"))

    assert [line.name for line in captured.closing("invoke_workflow")] == ["clerk", "desk", "own"]


async def test_what_shares_a_model_and_is_not_observed(
    captured: Captured, serve: Serve, openai_agents_model: Model
) -> None:
    """Five observed agents and five others with the same model, at once: five runs."""
    model = openai_agents_model(serve(reply("x", times=10)))
    agents = [Agent(name=f"agent {number}", model=model) for number in range(10)]
    for agent in agents[::2]:
        observe(agent)

    await asyncio.gather(*(Runner.run(agent, "go") for agent in agents))

    assert sorted(line.name or "" for line in captured.closing("invoke_workflow")) == sorted(
        agent.name for agent in agents[::2]
    )
    assert [line.framework for line in captured.closing("chat")].count("openai_agents") == 5


async def test_copies(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """``clone()`` is observed as its original; what Python copies is another agent, which is not."""
    model = openai_agents_model(serve(reply("x", times=3)))
    clerk = observe(Agent(name="clerk", model=model))

    await Runner.run(clerk.clone(name="clone"), "go")
    await Runner.run(copy.copy(clerk), "go")
    await Runner.run(dataclasses.replace(clerk, name="replaced"), "go")

    assert [line.name for line in captured.closing("invoke_workflow")] == ["clone"]


async def test_a_model_by_itself(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """An observed model's calls are observed wherever it is used."""
    model = openai_agents_model(serve(reply("x", times=2)))

    assert observe(model) is model
    await Runner.run(Agent(name="clerk", model=model), "go")
    unobserve(model)
    await Runner.run(Agent(name="clerk", model=model), "go")

    assert captured.closing("invoke_workflow") == []
    assert [line.framework for line in captured.closing("chat")].count("openai_agents") == 1


@pytest.mark.parametrize("runner", [Runner, AgentRunner()], ids=["Runner", "an AgentRunner"])
async def test_a_runner(captured: Captured, serve: Serve, openai_agents_model: Model, runner: Any) -> None:
    """All runs of an observed runner are observed."""
    clerk = Agent(name="clerk", model=openai_agents_model(serve(reply("x", times=2))))

    observe(runner)
    await runner.run(clerk, "go")
    unobserve(runner)
    await runner.run(clerk, "go")

    assert [line.name for line in captured.closing("invoke_workflow")] == ["clerk"]


async def test_an_agent_is_forgotten(captured: Captured, serve: Serve, openai_agents_model: Model) -> None:
    """Nothing keeps an observed agent, or its result, alive (openai-agents-python#2008)."""
    agent = observe(Agent(name="clerk", model=openai_agents_model(serve(reply("x")))))
    gone = weakref.ref(agent)

    result = await Runner.run(agent, "go")
    result.release_agents()
    del agent, result
    for _ in range(10):  # tasks that have ended are the event loop's until its next turn
        await asyncio.sleep(0.01)
        gc.collect()

    assert gone() is None


async def test_a_run_goes_without_the_garbage_collector() -> None:
    """What was told of a run that ended is freed at once: none of it leads back to itself."""
    clerk = observe(Agent(name="clerk", model=own_class()()))
    before = {id(thing) for thing in gc.get_objects() if type(thing) is Operation}
    gc.disable()
    try:
        await asyncio.create_task(Runner.run(clerk, "go"))
        await asyncio.sleep(0)  # tasks that have ended are the event loop's until its next turn
        get_logger().flush()  # and operations the journal's until their lines are written
        left = [thing.name for thing in gc.get_objects() if type(thing) is Operation and id(thing) not in before]
    finally:
        gc.enable()

    assert left == []


@pytest.mark.parametrize("thing", [object(), "agent", [object()], Agent], ids=repr)
def test_other_things_are_refused(thing: Any) -> None:
    """The error names what is given and what is allowed."""
    with pytest.raises(TypeError, match=r"cannot observe '.+'; allowed: an Agent, a Model, a trace\(\), Runner or"):
        observe(thing)


async def test_nothing_when_switched_off(serve: Serve, openai_agents_model: Model, captured: Captured) -> None:
    """With ``enabled=False`` an agent is what it was."""
    configure(enabled=False)
    clerk = observe(Agent(name="clerk", model=openai_agents_model(serve(reply("x")))))

    await Runner.run(clerk, "go")

    assert captured.lines == []


async def test_a_class_that_a_request_makes_goes_with_it() -> None:
    """A class of models that is made where it is needed is kept by nobody."""

    async def handle() -> weakref.ref[type]:
        own = own_class()
        await Runner.run(observe(Agent(name="clerk", model=own())), "go")
        return weakref.ref(own)

    made = await asyncio.create_task(handle())  # the context in which an agent ran may lead to it
    gc.collect()

    assert made() is None
