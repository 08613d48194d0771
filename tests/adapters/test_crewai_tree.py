"""Every shape of a CrewAI program is one tree: crew, task, agent, model call, tool; each ended once, with its status."""

from __future__ import annotations

import asyncio
import builtins
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Flow, Process, Task
from crewai.events.event_bus import crewai_event_bus
from crewai.flow import listen, router, start
from crewai.flow.persistence import SQLiteFlowPersistence
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
from crewai.project import CrewBase
from crewai.project import agent as agent_of
from crewai.project import crew as crew_of
from crewai.project import task as task_of
from crewai.tools import tool

from ai_dev_squad_crewai import ObservableCrewAIAdapter, observe, unobserve
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import (
    ModelServer,
    call,
    fail,
    matches,
    reply,
    respond,
    structured,
    tokens,
    tool_calls,
)

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # CrewAI uses what it deprecates
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # and closes no connection
    pytest.mark.filterwarnings("ignore:function callbacks:UserWarning"),
]

Serve = Callable[..., ModelServer]
Make = Callable[..., Any]

ONE_TASK = """\
  task planner's task: ok
    invoke_agent planner: ok
      chat gpt-4o-mini: ok"""


@tool("look_up")
def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word} means something"


@tool("broken")
def broken(word: str) -> str:
    """Fail."""
    raise KeyError(word)


async def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does."""
    while not condition():  # noqa: ASYNC110 - nobody tells
        await asyncio.sleep(0.01)


def task(agent: Any, name: str = "work", **options: Any) -> Task:
    """A task of this agent."""
    return Task(**{"name": name, "description": name, "expected_output": "it", "agent": agent, **options})


def crew_with(agent: Any, **options: Any) -> Any:
    """An observed crew of one agent with one task."""
    return observe(Crew(name="squad", agents=[agent], tasks=[task(agent, **options)]))


# --- crews ------------------------------------------------------------------------------------------------------------


def test_sequential(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """Two tasks in a row; the agents' operations carry their names."""
    server = serve(reply("hi", times=2))

    observe(crewai_crew(server, "planner", "coder")).kickoff()

    assert (
        captured.tree()
        == f"""\
invoke_workflow squad: ok
{ONE_TASK}
{ONE_TASK.replace("planner", "coder")}"""
    )
    assert [(line.operation, line.agent_id) for line in captured.closing()] == [
        ("chat", "planner"),
        ("invoke_agent", "planner"),
        ("task", "squad"),
        ("chat", "coder"),
        ("invoke_agent", "coder"),
        ("task", "squad"),
        ("invoke_workflow", "squad"),
    ]
    assert {line.framework for line in captured.lines} == {"crewai"}


def test_tools(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """Parallel calls of one tool; each operation has the id under which the model asked (otel-python-genai PR#719)."""
    server = serve(
        tool_calls(call("look_up", word="x"), call("look_up", word="y"), call("look_up", word="x")), reply("done")
    )

    crew_with(crewai_agent(server, tools=[look_up])).kickoff()

    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  task work: ok
    invoke_agent planner: ok
      chat gpt-4o-mini: ok
      execute_tool look_up: ok
      execute_tool look_up: ok
      execute_tool look_up: ok
      chat gpt-4o-mini: ok"""
    )
    ids = {line.metadata["gen_ai.tool.call.id"] for line in captured.closing("execute_tool") if line.metadata}
    assert ids == {"call_0_0_0", "call_0_0_1", "call_0_0_2"}


def test_a_failing_tool(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """The tool's operation fails with the real exception; the run goes on."""
    server = serve(tool_calls(call("broken", word="x")), reply("never mind"))

    crew_with(crewai_agent(server, tools=[broken])).kickoff()

    (line,) = captured.closing("execute_tool")
    assert (line.name, line.status) == ("broken", "error")
    assert line.error is not None
    assert (line.error.type, line.error.message) == ("KeyError", "'x'")
    assert captured.closing("invoke_workflow")[0].status == "ok"


@pytest.mark.parametrize("native", [True, False])
def test_an_unknown_tool(captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make, native: bool) -> None:
    """A tool that isn't there is one failed tool call, by function calling and in prose alike."""
    prose = 'Thought: go\nAction: nothing\nAction Input: {"word": "x"}\n'
    server = serve(
        tool_calls(call("nothing", word="x")) if native else reply(prose), reply("Thought: I know\nFinal Answer: done")
    )
    llm = crewai_llm(server)
    if not native:
        object.__setattr__(llm, "supports_function_calling", lambda: False)

    crew_with(crewai_agent(server, llm=llm, tools=[look_up])).kickoff()

    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  task work: ok
    invoke_agent planner: ok
      chat gpt-4o-mini: ok
      execute_tool nothing: error
      chat gpt-4o-mini: ok"""
    )
    assert [line.error.type for line in captured.closing("execute_tool") if line.error] == ["unknown_tool"]


def test_hierarchical(captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make) -> None:
    """A manager delegates: the co-worker's run lies in the manager's tool call."""
    delegate = call("delegate_work_to_coworker", task="t", context="c", coworker="coder")
    server = serve(tool_calls(delegate), reply("coded"), reply("done"))
    coder = crewai_agent(server, "coder")
    crew = Crew(
        name="squad",
        agents=[coder],
        tasks=[task(None)],
        manager_llm=crewai_llm(server),
        process=Process.hierarchical,
    )

    observe(crew).kickoff()

    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  task work: ok
    invoke_agent Crew Manager: ok
      chat gpt-4o-mini: ok
      execute_tool delegate_work_to_coworker: ok
        invoke_agent coder: ok
          chat gpt-4o-mini: ok
      chat gpt-4o-mini: ok"""
    )


@pytest.mark.parametrize("method", ["kickoff", "akickoff"])
def test_asynchronous_tasks(captured: Captured, serve: Serve, crewai_agent: Make, method: str) -> None:
    """Tasks in threads, and natively, stay in the crew's trace (langfuse#9332, openinference PR#2805)."""
    server = serve(reply("hi", times=3))
    agents = [crewai_agent(server, role) for role in ("a", "b", "c")]
    first = [task(agents[0], "first", async_execution=True), task(agents[1], "second", async_execution=True)]
    crew = observe(Crew(name="squad", agents=agents, tasks=[*first, task(agents[2], "third", context=first)]))

    if method == "kickoff":
        crew.kickoff()
    else:
        asyncio.run(crew.akickoff())

    tree = captured.tree().splitlines()
    assert tree[0] == "invoke_workflow squad: ok"
    assert sorted(tree[1:]) == sorted(
        """\
  task first: ok
    invoke_agent a: ok
      chat gpt-4o-mini: ok
  task second: ok
    invoke_agent b: ok
      chat gpt-4o-mini: ok
  task third: ok
    invoke_agent c: ok
      chat gpt-4o-mini: ok""".splitlines()
    )


@pytest.mark.parametrize("method", ["kickoff_async", "akickoff"])
async def test_asynchronous_kickoffs(captured: Captured, serve: Serve, crewai_crew: Make, method: str) -> None:
    """One run, not two, although one entry point calls the other (datarobot-genai PR#514)."""
    server = serve(reply("hi"))

    await getattr(observe(crewai_crew(server)), method)()

    assert captured.tree() == f"invoke_workflow squad: ok\n{ONE_TASK}"


def test_for_each(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """CrewAI runs copies of the crew: they are observed as the original is."""
    server = serve(reply("hi", times=2))
    run = "\n".join(f"  {line}" for line in f"invoke_workflow squad: ok\n{ONE_TASK}".splitlines())

    observe(crewai_crew(server)).kickoff_for_each([{}, {}])

    assert captured.tree() == f"invoke_workflow squad.kickoff_for_each: ok\n{run}\n{run}"


def test_a_copy_is_observed(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """What the user copies from an observed crew is observed; a copy of an unobserved one isn't."""
    server = serve(reply("hi", times=2))
    crew = crewai_crew(server)

    crew.copy().kickoff()
    assert captured.lines == []
    observe(crew).copy().kickoff()

    assert captured.tree() == f"invoke_workflow squad: ok\n{ONE_TASK}"


def test_planning(captured: Captured, serve: Serve, crewai_llm: Make, crewai_crew: Make) -> None:
    """The crew's planner is an agent of the run."""
    plan = structured({"list_of_plans_per_task": [{"task_number": 1, "task": "t", "plan": "p"}]})
    server = serve(plan, reply("hi"))

    observe(crewai_crew(server, planning=True, planning_llm=crewai_llm(server))).kickoff()

    assert (
        captured.tree()
        == f"""\
invoke_workflow squad: ok
  task task: ok
    invoke_agent Task Execution Planner: ok
      chat gpt-4o-mini: ok
{ONE_TASK}"""
    )


def test_train(
    captured: Captured, serve: Serve, crewai_crew: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training: one run per iteration, then the evaluation."""
    monkeypatch.setattr(builtins, "input", lambda *_: "fine")
    verdict = {"suggestions": ["x"], "quality": 9.0, "final_summary": "z"}
    server = serve(
        structured(verdict, when=matches(lambda request: "suggestions" in str(request.body))), reply("hi", times=2)
    )

    observe(crewai_crew(server)).train(1, str(tmp_path / "trained.pkl"))

    assert (
        captured.tree()
        == """\
invoke_workflow squad.train: ok
  invoke_workflow squad: ok
    task planner's task: ok
      invoke_agent planner: ok
        chat gpt-4o-mini: ok
        chat gpt-4o-mini: ok
  chat gpt-4o-mini: ok"""
    )


def test_test(captured: Captured, serve: Serve, crewai_llm: Make, crewai_crew: Make) -> None:
    """Testing: one run per iteration, its tasks evaluated by an agent."""
    quality = structured({"quality": 5}, when=matches(lambda request: "quality" in str(request.body)))
    server = serve(quality, reply("hi"))

    observe(crewai_crew(server)).test(1, crewai_llm(server))

    assert (
        captured.tree()
        == """\
invoke_workflow squad.test: ok
  invoke_workflow squad: ok
    task planner's task: ok
      invoke_agent planner: ok
        chat gpt-4o-mini: ok
      task task: ok
        invoke_agent Task Execution Evaluator: ok
          chat gpt-4o-mini: ok"""
    )


def test_replay(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """A replay runs the tasks from the named one on."""
    server = serve(reply("hi", times=3))
    agents = [crewai_agent(server, role) for role in ("planner", "coder")]
    crew = Crew(name="squad", agents=agents, tasks=[task(agents[0], "first"), task(agents[1], "second")])
    crew.kickoff()

    observe(crew).replay(str(crew.tasks[1].id))

    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  task second: ok
    invoke_agent coder: ok
      chat gpt-4o-mini: ok"""
    )


def test_resume_from_a_checkpoint(captured: Captured, serve: Serve, crewai_llm: Make, tmp_path: Path) -> None:
    """The restored crew's run is the run of the crew that was asked: one operation, only the tasks left."""
    checkpoints = pytest.importorskip("crewai.state.checkpoint_config")
    server = serve(reply("hi"), fail(400, message="not now"), reply("hi"))
    llm = crewai_llm(server)

    def crew() -> Crew:
        agents = [
            Agent(role=role, goal="g", backstory="b", llm=llm, max_retry_limit=0) for role in ("planner", "coder")
        ]
        return Crew(name="squad", agents=agents, tasks=[task(agents[0], "first"), task(agents[1], "second")])

    crewai_event_bus.reset_runtime_state()  # else the crews of other tests stand in the checkpoint, and before ours
    saving = checkpoints.CheckpointConfig(location=str(tmp_path / "saved"), on_events=["task_completed"])
    with pytest.raises(Exception, match="not now"):
        crew().kickoff(from_checkpoint=saving)
    crewai_event_bus.flush()
    (saved,) = (tmp_path / "saved").rglob("*.json")
    observe(crew()).kickoff(from_checkpoint=checkpoints.CheckpointConfig(restore_from=str(saved)))

    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  task second: ok
    invoke_agent coder: ok
      chat gpt-4o-mini: ok"""
    )


def test_guardrails(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """A guardrail that rejects an answer did its work; the agent's second attempt follows."""
    server = serve(reply("bad"), reply("good"))

    crew_with(crewai_agent(server), guardrail=lambda output: (output.raw == "good", output.raw)).kickoff()

    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  task work: ok
    invoke_agent planner: ok
      chat gpt-4o-mini: ok
    task guardrail: ok
    invoke_agent planner: ok
      chat gpt-4o-mini: ok
    task guardrail: ok"""
    )
    checks = [line.metadata or {} for line in captured.closing("task") if line.name == "guardrail"]
    assert [check["crewai.guardrail.success"] for check in checks] == [False, True]
    assert [line.event_type for line in captured.lines].count("safety.violation") == 1


def test_guardrails_with_a_model(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """The model call that judges belongs to the guardrail."""
    server = serve(reply("hi"), structured({"valid": True, "feedback": None}))

    crew_with(crewai_agent(server), guardrail="must be good").kickoff()

    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  task work: ok
    invoke_agent planner: ok
      chat gpt-4o-mini: ok
    task guardrail: ok
      invoke_agent Guardrail Agent: ok
        chat gpt-4o-mini: ok"""
    )


def test_a_guardrail_that_never_accepts(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """When the retries are used up, task and crew fail with CrewAI's exception."""
    server = serve(reply("bad", times=None))

    with pytest.raises(Exception, match="guardrail validation"):
        crew_with(crewai_agent(server), guardrail=lambda output: (False, "no"), guardrail_max_retries=1).kickoff()

    assert [(line.operation, line.name, line.status) for line in captured.closing()] == [
        ("chat", "gpt-4o-mini", "ok"),
        ("invoke_agent", "planner", "ok"),
        ("task", "guardrail", "ok"),
        ("chat", "gpt-4o-mini", "ok"),
        ("invoke_agent", "planner", "ok"),
        ("task", "guardrail", "ok"),
        ("task", "work", "error"),
        ("invoke_workflow", "squad", "error"),
    ]


def test_reasoning(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """An agent that plans first: the plan's model call lies in the plan."""
    plan = structured({"plan": "p", "steps": [], "ready": True}, when=matches(lambda r: "READY" in str(r.body)))
    server = serve(plan, reply("hi"))

    crew_with(crewai_agent(server, reasoning=True, max_reasoning_attempts=1)).kickoff()

    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  task work: ok
    invoke_agent planner: ok
      task reasoning: ok
        chat gpt-4o-mini: ok
      chat gpt-4o-mini: ok"""
    )


def embedder(server: ModelServer) -> dict[str, Any]:
    """CrewAI's configuration of an embedding model on our server."""
    config = {"api_key": "k", "api_base": server.base_url, "model_name": "text-embedding-3-small"}
    return {"provider": "openai", "config": config}


def test_knowledge(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """A search in the agent's knowledge is a retrieval, with the model call that words the query; embeddings are seen too."""
    server = serve(reply("hi", times=None))
    agent = crewai_agent(
        server, knowledge_sources=[StringKnowledgeSource(content="the sky is blue")], embedder=embedder(server)
    )

    crew_with(agent).kickoff()

    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  embeddings text-embedding-3-small: ok
  task work: ok
    retrieval knowledge: ok
      chat gpt-4o-mini: ok
      embeddings text-embedding-3-small: ok
    invoke_agent planner: ok
      chat gpt-4o-mini: ok"""
    )


def test_memory(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """What is remembered is a retrieval; what is kept is analysed by the model in the background, in the same trace."""
    server = serve(structured({"memories": ["x"], "importance": 0.5}, times=None))
    agent = crewai_agent(server)
    crew = Crew(name="squad", agents=[agent], tasks=[task(agent)], memory=True, embedder=embedder(server))

    observe(crew).kickoff()

    lines = captured.tree().splitlines()
    assert "    retrieval memory: ok" in lines
    assert any(line.strip() == "task save to memory: ok" for line in lines)
    chats = [record for record in server.truth.calls if record.endpoint == "chat.completions"]
    assert len(captured.closing("chat")) == len(chats) >= 2
    assert len({line.trace_id for line in captured.lines}) == 1


def test_mcp(captured: Captured, serve: Serve, crewai_agent: Make, tmp_path: Path) -> None:
    """A tool of an MCP server is one tool call that names the server; connections are told where they are made."""
    config = pytest.importorskip("crewai.mcp.config")
    program = tmp_path / "server.py"
    lines = [
        "from mcp.server.fastmcp import FastMCP",
        "server = FastMCP('words')",
        "@server.tool()",
        "def shout(word: str) -> str:",
        "    return word.upper()",
        "server.run()",
    ]
    program.write_text("\n".join(lines), encoding="utf-8")

    def ask(request: Any) -> Any:
        (name,) = request.tools  # made of the command that starts the server
        return tool_calls(call(name, word="x"))

    server = serve(ask, reply("done"))
    words = config.MCPServerStdio(command=sys.executable, args=[str(program)])

    crew_with(crewai_agent(server, mcps=[words])).kickoff()

    ended = ["chat", "execute_tool", "chat", "invoke_agent", "task", "invoke_workflow"]
    assert [line.operation for line in captured.closing()] == ended
    (line,) = captured.closing("execute_tool")
    assert line.status == "ok"
    assert line.metadata is not None
    assert line.metadata["mcp.transport"] == "stdio"
    connected = [line for line in captured.lines if line.message == "connected to an MCP server"]
    assert {line.metadata["failed"] for line in connected if line.metadata} == {False}


# --- failures, time-outs, cancellation --------------------------------------------------------------------------------


def test_a_failing_model(captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make) -> None:
    """Each attempt of the agent fails with the provider's exception, which reaches the caller as it is."""
    server = serve(fail(500, times=None))
    agent = crewai_agent(server, llm=crewai_llm(server, max_retries=0), max_retry_limit=1)

    with pytest.raises(Exception, match="500") as failure:
        crew_with(agent).kickoff()

    assert type(failure.value).__name__ == "InternalServerError"
    assert (
        captured.tree()
        == """\
invoke_workflow squad: error
  task work: error
    invoke_agent planner: error
      chat gpt-4o-mini: error
    invoke_agent planner: error
      chat gpt-4o-mini: error"""
    )
    stacks = [line.operation for line in captured.closing() if line.error and line.error.stacktrace]
    assert stacks == ["chat", "chat"]
    attempts = [line.metadata["ai_dev_squad.attempt"] for line in captured.closing("invoke_agent") if line.metadata]
    assert attempts == [1, 2]


def test_a_cut_stream(captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make) -> None:
    """A connection that breaks in the middle of an answer fails the call."""
    server = serve(reply("one two three four five six", cut_after=2, times=None))
    agent = crewai_agent(server, llm=crewai_llm(server, stream=True, max_retries=0), max_retry_limit=0)

    with pytest.raises(Exception, match="peer closed connection"):
        crew_with(agent).kickoff()

    assert [(line.operation, line.status) for line in captured.closing()] == [
        ("chat", "error"),
        ("invoke_agent", "error"),
        ("task", "error"),
        ("invoke_workflow", "error"),
    ]


def test_a_time_out(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """The agent's time is up; CrewAI waits for the call under way, which costs what it costs."""
    server = serve(reply("late", latency=1.3, usage=tokens(100, 10)))

    with pytest.raises(TimeoutError):
        crew_with(crewai_agent(server, max_execution_time=1)).kickoff()

    assert [(line.operation, line.status) for line in captured.closing()] == [
        ("chat", "ok"),
        ("invoke_agent", "error"),
        ("task", "error"),
        ("invoke_workflow", "error"),
    ]


@pytest.mark.parametrize("method", ["kickoff_async", "akickoff"])
async def test_cancellation(captured: Captured, serve: Serve, crewai_crew: Make, method: str) -> None:
    """CrewAI tells no ends when it's cancelled; the model call in its thread ends by itself, and is counted."""
    server = serve(reply("late", latency=0.5, usage=tokens(100, 10)))
    running = asyncio.create_task(getattr(observe(crewai_crew(server)), method)())
    await until(lambda: bool(server.truth.calls))

    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    await until(lambda: bool(captured.closing("chat")))

    assert captured.tree() == f"invoke_workflow squad: cancelled\n{ONE_TASK}".replace(
        "task planner's task: ok\n    invoke_agent planner: ok",
        "task planner's task: cancelled\n    invoke_agent planner: cancelled",
    )
    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert line.usage.input_tokens == 100


def test_keyboard_interrupt(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """Ctrl-C in a tool ends everything that is open, as cancelled."""

    @tool("stopping")
    def stopping(word: str) -> str:
        """Stop."""
        raise KeyboardInterrupt

    server = serve(tool_calls(call("stopping", word="x")))

    with pytest.raises(KeyboardInterrupt):
        crew_with(crewai_agent(server, tools=[stopping])).kickoff()

    assert (
        captured.tree()
        == """\
invoke_workflow squad: cancelled
  task work: cancelled
    invoke_agent planner: cancelled
      chat gpt-4o-mini: ok
      execute_tool stopping: cancelled"""
    )


def test_failing_hooks(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """An error before the crew starts, or after it's through, fails the run and nothing else."""
    server = serve(reply("hi"))
    error = ValueError("no")

    def refuse(_: Any) -> Any:
        raise error

    for option in ("before_kickoff_callbacks", "after_kickoff_callbacks"):
        with pytest.raises(ValueError, match="no") as failure:
            observe(crewai_crew(server, **{option: [refuse]})).kickoff()
        assert failure.value is error

    assert captured.tree() == f"invoke_workflow squad: error\ninvoke_workflow squad: error\n{ONE_TASK}"


# --- streams ----------------------------------------------------------------------------------------------------------


def test_a_stream_that_nobody_reads(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """Nothing ran, so nothing is told."""
    server = serve(reply("hi"))

    observe(crewai_crew(server, stream=True)).kickoff().close()

    assert captured.lines == []
    assert server.truth.totals.calls == 0


def test_a_stream_closed_early(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """The reader leaves: CrewAI finishes the crew in its thread."""
    server = serve(reply("one two three four", per_chunk=0.02))
    streaming = observe(crewai_crew(server, stream=True)).kickoff()

    next(iter(streaming))
    streaming.close()

    assert captured.tree() == f"invoke_workflow squad: closed_early\n{ONE_TASK}"


async def test_an_asynchronous_stream_closed_early(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """The reader leaves: CrewAI cancels the crew."""
    server = serve(reply("one two three four", per_chunk=0.05))
    streaming = await observe(crewai_crew(server, stream=True)).akickoff()

    async for _ in streaming:
        break
    await streaming.aclose()
    await until(lambda: bool(captured.closing("chat")))

    assert (
        captured.tree()
        == """\
invoke_workflow squad: closed_early
  task planner's task: closed_early
    invoke_agent planner: closed_early
      chat gpt-4o-mini: ok"""
    )


def test_a_failing_stream(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """The failure reaches the reader as it is, and the run has failed."""
    server = serve(fail(400, message="no such thing", times=None))

    with pytest.raises(Exception, match="no such thing"):
        list(observe(crewai_crew(server, stream=True)).kickoff())

    assert captured.closing("invoke_workflow")[0].status == "error"


# --- flows ------------------------------------------------------------------------------------------------------------


def test_a_flow(captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make, crewai_crew: Make) -> None:
    """Start, router and listeners are tasks; crews, agents and model calls lie in the one that runs them."""
    server = serve(reply("hi", times=4))

    class Work(Flow[dict[str, Any]]):
        @start()
        def begin(self) -> str:
            return "x"

        @router(begin)
        def choose(self) -> str:
            return "left"

        @listen("left")
        def a_crew(self) -> str:
            return crewai_crew(server).kickoff().raw

        @listen(a_crew)
        async def a_model(self) -> Any:
            return crewai_llm(server).call("hello")

        @listen(a_model)
        def an_agent(self) -> str:
            return crewai_agent(server).kickoff("hi").raw

        @listen(an_agent)
        async def an_agent_too(self) -> str:
            return (await crewai_agent(server).kickoff_async("hi")).raw

    assert observe(Work()).kickoff() == "hi"

    assert (
        captured.tree()
        == """\
invoke_workflow Work: ok
  task begin: ok
  task choose: ok
  task a_crew: ok
    invoke_workflow squad: ok
      task planner's task: ok
        invoke_agent planner: ok
          chat gpt-4o-mini: ok
  task a_model: ok
    chat gpt-4o-mini: ok
  task an_agent: ok
    invoke_agent planner: ok
      chat gpt-4o-mini: ok
  task an_agent_too: ok
    invoke_agent planner: ok
      chat gpt-4o-mini: ok"""
    )


class Plain(Flow[dict[str, Any]]):
    """A flow without a model."""

    @start()
    def begin(self) -> str:
        """Begin."""
        return "x"

    @listen(begin)
    def go_on(self) -> str:
        """Go on."""
        return "y"


PLAIN = "invoke_workflow Plain: ok\n  task begin: ok\n  task go_on: ok"


@pytest.mark.parametrize("method", ["kickoff_async", "akickoff"])
async def test_asynchronous_flows(captured: Captured, crewai_offline: None, method: str) -> None:
    """Asynchronous entry points are one run, too (openinference#2307)."""
    assert await getattr(observe(Plain()), method)() == "y"

    assert captured.tree() == PLAIN


async def test_a_call_that_took_too_long_and_another_in_its_place(
    captured: Captured, serve: Callable[..., ModelServer], crewai_llm: Callable[..., Any]
) -> None:
    """CrewAI tells no end of a call that is cancelled: what the step asks afterwards is no part of it."""
    loop, limit = asyncio.get_running_loop(), asyncio.timeout(None)

    def late(_: Any) -> Any:
        loop.call_soon_threadsafe(limit.reschedule, 0)
        return reply("late", latency=60)

    llm = crewai_llm(serve(respond(late), reply("in time")))

    class Asking(Flow[Any]):
        @start()
        async def ask(self) -> str:
            with suppress(TimeoutError):
                async with limit:
                    await llm.acall("q")
            return str(await llm.acall("q"))

    assert await observe(Asking()).kickoff_async() == "in time"

    assert (
        captured.tree()
        == """\
invoke_workflow Asking: ok
  task ask: ok
    chat gpt-4o-mini: cancelled
    chat gpt-4o-mini: ok"""
    )


async def test_a_synchronous_flow_in_an_event_loop(captured: Captured, crewai_offline: None) -> None:
    """There, CrewAI runs the flow in another thread."""
    assert observe(Plain()).kickoff() == "y"

    assert captured.tree() == PLAIN


def test_streaming_flows(captured: Captured, crewai_offline: None) -> None:
    """A flow that streams runs when it's read, by either way."""
    flow = observe(Plain(stream=True))

    assert [frame.type for frame in flow.kickoff() if frame.channel == "flow"] == [
        "flow_started",
        "method_execution_started",
        "method_execution_finished",
        "method_execution_started",
        "method_execution_finished",
        "flow_finished",
    ]
    list(observe(Plain()).stream_events())

    assert captured.tree() == f"{PLAIN}\n{PLAIN}"


async def test_asynchronous_streaming_flows(captured: Captured, crewai_offline: None) -> None:
    """The same asynchronously."""
    async for _ in observe(Plain()).astream():
        pass

    assert captured.tree() == PLAIN


def test_a_failing_flow(captured: Captured, crewai_offline: None) -> None:
    """The exception of a step reaches the caller as it is; step and flow have failed."""
    error = ValueError("no")

    class Failing(Flow[dict[str, Any]]):
        @start()
        def begin(self) -> str:
            raise error

    with pytest.raises(ValueError, match="no") as failure:
        observe(Failing()).kickoff()

    assert failure.value is error
    assert captured.tree() == "invoke_workflow Failing: error\n  task begin: error"


def test_pause_and_resume(captured: Captured, serve: Serve, crewai_llm: Make, tmp_path: Path) -> None:
    """A flow that waits for a person is interrupted, not failed; its continuation is linked to it."""
    feedback = pytest.importorskip("crewai.flow")
    server = serve(structured({"outcome": "approved"}), reply("hi"))

    class Later:
        def request_feedback(self, context: Any, flow: Any) -> str:
            raise feedback.HumanFeedbackPending(context=context)

    class Asking(Flow[dict[str, Any]]):
        @start()
        @feedback.human_feedback(message="ok?", emit=["approved", "no"], llm=crewai_llm(server), provider=Later())
        def begin(self) -> str:
            return "x"

        @listen("approved")
        def go_on(self) -> Any:
            return crewai_llm(server).call("hello")

    observe(Asking)
    kept = SQLiteFlowPersistence(str(tmp_path / "flows.db"))
    flow = Asking(persistence=kept)
    flow.kickoff()
    Asking.from_pending(flow.flow_id, kept).resume("fine")
    unobserve(Asking)

    assert (
        captured.tree()
        == """\
invoke_workflow Asking: interrupted
  task begin: interrupted
invoke_workflow Asking: ok
  task begin: ok
    chat gpt-4o-mini: ok
  task go_on: ok
    chat gpt-4o-mini: ok"""
    )
    paused, resumed = captured.closing("invoke_workflow")
    assert resumed.links is not None
    assert [(link.trace_id, link.span_id, link.type) for link in resumed.links] == [
        (paused.trace_id, paused.span_id, "resumes")
    ]
    assert paused.session_id == resumed.session_id == flow.flow_id
    happened = [line.event_type for line in captured.lines if line.event_type in {"agent.interrupt", "agent.resume"}]
    assert happened == ["agent.interrupt", "agent.resume"]


# --- what else can be observed ----------------------------------------------------------------------------------------


def test_an_agent_in_a_crew_that_is_not_observed(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """Only what this agent does is told, each task a run of its own."""
    server = serve(reply("hi", times=2))
    mine, other = observe(crewai_agent(server)), crewai_agent(server, "coder")
    crew = Crew(agents=[mine, other], tasks=[task(mine, "first"), task(other, "second")])

    crew.kickoff()

    assert captured.tree() == "task first: ok\n  invoke_agent planner: ok\n    chat gpt-4o-mini: ok"


def test_a_lone_agent(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """``Agent.kickoff`` is the agent's run itself; ``name`` may call it otherwise."""
    server = serve(tool_calls(call("look_up", word="x")), reply("hi"))

    observe(crewai_agent(server, tools=[look_up]), name="helper").kickoff("hello")

    assert (
        captured.tree()
        == """\
invoke_agent helper: ok
  chat gpt-4o-mini: ok
  execute_tool look_up: ok
  chat gpt-4o-mini: ok"""
    )


@pytest.mark.parametrize("way", ["execute_sync", "execute_async", "in a crew"])
def test_a_task(captured: Captured, serve: Serve, crewai_agent: Make, way: str) -> None:
    """A task that is observed by itself, however it's run."""
    server = serve(reply("hi", times=2))
    agent = crewai_agent(server)
    mine = observe(task(agent, "mine"))

    if way == "execute_sync":
        mine.execute_sync()
    elif way == "execute_async":
        mine.execute_async().result()
    else:
        Crew(agents=[agent], tasks=[mine, task(agent, "other")]).kickoff()

    assert captured.tree() == "task mine: ok\n  invoke_agent planner: ok\n    chat gpt-4o-mini: ok"


def test_crew_base(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """A class with ``@CrewBase``, or an instance of it: the crews it makes are observed."""
    server = serve(reply("hi", times=None))

    @CrewBase
    class Squad:
        agents_config = None
        tasks_config = None

        @agent_of
        def planner(self) -> Agent:
            return crewai_agent(server)

        @task_of
        def plan(self) -> Task:
            return Task(description="d", expected_output="e", agent=self.planner())

        @crew_of
        def crew(self) -> Crew:
            return Crew(agents=self.agents, tasks=self.tasks)

    assert observe(Squad) is Squad
    Squad().crew().kickoff()
    unobserve(Squad)
    Squad().crew().kickoff()
    observe(Squad(), name="mine").crew().kickoff()

    run = "  task plan: ok\n    invoke_agent planner: ok\n      chat gpt-4o-mini: ok"
    assert captured.tree() == f"invoke_workflow Squad: ok\n{run}\ninvoke_workflow mine: ok\n{run}"


def test_the_adapter_of_the_guide(captured: Captured, serve: Serve, crewai_llm: Make) -> None:
    """``create_observable_agent`` makes a real agent that is observed."""
    server = serve(reply("hi"))
    config = {"role": "planner", "goal": "g", "backstory": "b", "llm": crewai_llm(server)}

    agent = ObservableCrewAIAdapter().create_observable_agent(config)
    task(agent, "first").execute_sync()

    assert type(agent) is Agent
    assert captured.tree() == "task first: ok\n  invoke_agent planner: ok\n    chat gpt-4o-mini: ok"


def test_observing_twice(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """The second time changes nothing."""
    server = serve(reply("hi"))
    crew = crewai_crew(server)

    assert observe(observe(crew)) is crew
    crew.kickoff()

    assert captured.tree() == f"invoke_workflow squad: ok\n{ONE_TASK}"


def test_unobserve(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """Afterwards nothing is emitted."""
    server = serve(reply("hi"))
    crew = observe(crewai_crew(server))

    assert unobserve(crew) is crew
    crew.kickoff()

    assert captured.lines == []


@pytest.mark.parametrize("thing", [None, "crew", 5, object(), Agent, dict])
def test_what_cannot_be_observed(crewai_offline: None, thing: Any) -> None:
    """Anything else is refused, at once, with what is allowed."""
    with pytest.raises(TypeError, match="allowed: a Crew, a Flow, an Agent, a Task"):
        observe(thing)


def test_nothing_about_the_crew_changes(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """Type, fields and dump are those of an unobserved crew; the classes are as they were after ``uninstall``."""
    from ai_dev_squad_crewai import _entries

    server = serve()
    _entries.uninstall()
    before = {cls: dict(vars(cls)) for cls in (Crew, Agent, Task, Flow)}
    crew = crewai_crew(server)
    dumped, fields = crew.model_dump(), dict(vars(crew))

    observe(crew)

    assert (type(crew), crew.model_dump(), dict(vars(crew))) == (Crew, dumped, fields)
    _entries.uninstall()
    assert {cls: dict(vars(cls)) for cls in before} == before


def test_threads_of_the_user(captured: Captured, serve: Serve, crewai_crew: Make) -> None:
    """Crews in the user's own threads are runs of their own, whole."""
    server = serve(reply("hi", times=4))
    crews = [observe(crewai_crew(server)) for _ in range(4)]
    threads = [threading.Thread(target=crew.kickoff) for crew in crews]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert captured.tree() == "\n".join([f"invoke_workflow squad: ok\n{ONE_TASK}"] * 4)
    assert len({line.trace_id for line in captured.lines}) == 4


@pytest.mark.parametrize("begins", ["at once", "when its agent and its task are over"])
def test_what_is_saved_in_the_background_belongs_to_its_agent(
    captured: Captured, serve: Serve, crewai_agent: Make, monkeypatch: pytest.MonkeyPatch, begins: str
) -> None:
    """However late the thread comes to it, its model calls are those of the agent who had something to remember."""
    from crewai.memory.unified_memory import Memory

    may_begin = threading.Event()
    save = Memory._background_encode_batch

    def wait_and_save(self: Any, *args: Any, **options: Any) -> Any:
        may_begin.wait(30)
        return save(self, *args, **options)

    monkeypatch.setattr(Memory, "_background_encode_batch", wait_and_save)
    if begins == "at once":
        may_begin.set()
    server = serve(structured({"memories": ["x"], "importance": 0.5}, times=None))
    agents = [crewai_agent(server, role) for role in ("planner", "coder")]
    tasks = [task(agent, name=f"{agent.role}'s") for agent in agents]
    crew = Crew(
        name="squad",
        agents=agents,
        tasks=tasks,
        memory=True,
        embedder=embedder(server),
        task_callback=lambda output: may_begin.set(),
    )

    observe(crew).kickoff()

    lines = {line.span_id: line for line in captured.closing()}

    def path(line: Any) -> str:
        above = lines.get(line.parent_span_id)
        return f"{path(above)} > {line.name}" if above is not None else str(line.name)

    saved = [line for line in lines.values() if "save to memory" in path(line)]
    assert {(path(line), line.agent_id) for line in saved} >= {
        (f"squad > {role}'s > {role} > save to memory{rest}", role)
        for role in ("planner", "coder")
        for rest in ("", " > gpt-4o-mini")
    }
    assert all(path(line).startswith(f"squad > {line.agent_id}'s > {line.agent_id} > save") for line in saved)
