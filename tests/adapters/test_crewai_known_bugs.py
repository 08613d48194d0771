"""What users of other tools have reported about observing CrewAI, each as a test that names its report."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import pty
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from crewai import Agent, Crew, Flow, Process, Task
from crewai.flow import listen, start
from crewai.telemetry import Telemetry
from crewai.tools import tool
from packaging.version import Version

from ai_dev_squad import session
from ai_dev_squad_crewai import _entries, observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, fail, reply, tokens, tool_calls

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # CrewAI uses what it deprecates
    pytest.mark.filterwarnings("ignore::ResourceWarning"),  # and closes no connection
    pytest.mark.filterwarnings("ignore:function callbacks:UserWarning"),
]

REPORTED = """
agentops#959, aws-otel-python-instrumentation PR#806, aws-otel-python-instrumentation PR#881, crewAI#2536, crewAI#2991,
crewAI#3789, crewAI#4056, crewAI#7259, datarobot-genai PR#514, langfuse#9332, openinference PR#2805, openinference#1154,
openinference#2307, openinference#2575, openinference#2664, openinference#2843, openinference#2844, openllmetry#3824,
opentelemetry-python-genai PR#719, phoenix#5628
"""

Serve = Callable[..., ModelServer]
Make = Callable[..., Any]
USAGE = tokens(100, 10)


@pytest.mark.parametrize("reference", [reference.strip() for reference in REPORTED.split(",")])
def test_every_reported_defect_has_a_test(reference: str, tests_naming: Callable[[str, str], list[str]]) -> None:
    """The docstring of some test of this adapter names the report."""
    assert tests_naming("crewai", reference) != []


@tool("search")
def search(word: str) -> str:
    """Search for a word."""
    return f"found {word}"


def crew_of(*agents: Any, **options: Any) -> Any:
    """An observed crew of these agents with one task each."""
    tasks = [Task(name=agent.role, description=agent.role, expected_output="it", agent=agent) for agent in agents]
    return observe(Crew(name="squad", agents=list(agents), tasks=tasks, **options))


def tokens_of(captured: Captured) -> list[tuple[int | None, int | None]]:
    """The tokens of each model call."""
    return [(line.usage.input_tokens, line.usage.output_tokens) for line in captured.closing("chat") if line.usage]


def test_model_calls_have_spans(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """LLM spans missing (openinference#2844): each model call has one, below its agent's."""
    server = serve(reply("hi", usage=USAGE))

    crew_of(crewai_agent(server)).kickoff()

    ids = {span.name: span.context.span_id for span in captured.spans}
    (span,) = [span for span in captured.spans if span.name == "chat gpt-4o-mini"]
    assert span.parent is not None
    assert span.parent.span_id == ids["invoke_agent planner"]


def test_tools_have_spans(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """Tool spans gone since CrewAI 1.9 (openinference#2664, openllmetry#3824): each tool call has one."""
    server = serve(tool_calls(call("search", word="x"), call("search", word="y")), reply("done"))

    crew_of(crewai_agent(server, tools=[search])).kickoff()

    assert [span.name for span in captured.spans].count("execute_tool search") == 2


def test_lone_agents_have_spans(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """``Agent.kickoff`` untraced (openinference#2575)."""
    server = serve(reply("hi"))

    observe(crewai_agent(server)).kickoff("hello")

    assert captured.tree() == "invoke_agent planner: ok\n  chat gpt-4o-mini: ok"


@pytest.mark.parametrize("method", ["kickoff", "kickoff_async"])
def test_flows_are_one_trace(captured: Captured, serve: Serve, crewai_crew: Make, method: str) -> None:
    """Flows in a trace apart from their crews (openinference#2843), asynchronous ones in none (openinference#2307)."""
    server = serve(reply("hi", times=2))

    class Work(Flow[dict[str, Any]]):
        @start()
        def first(self) -> str:
            return crewai_crew(server).kickoff().raw

        @listen(first)
        async def second(self) -> str:
            return (await crewai_crew(server, "coder").akickoff()).raw

    flow = observe(Work())
    flow.kickoff() if method == "kickoff" else asyncio.run(flow.kickoff_async())

    assert len({line.trace_id for line in captured.lines}) == 1
    assert [line.name for line in captured.closing("invoke_workflow")] == ["squad", "squad", "Work"]


def test_no_orphans_across_threads_and_loops(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """Orphans across threads and ``asyncio.run`` (openinference PR#2805): all but the root have a parent of ours."""
    server = serve(tool_calls(call("nested")), reply("inner"), reply("done"))

    @tool("nested")
    def nested() -> str:
        """Run another crew in an event loop of its own."""
        agent = crewai_agent(server, "helper")
        inner = Crew(name="inner", agents=[agent], tasks=[Task(description="d", expected_output="e", agent=agent)])
        return str(asyncio.run(inner.akickoff()).raw)

    crew_of(crewai_agent(server, tools=[nested])).kickoff()

    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  task planner: ok
    invoke_agent planner: ok
      chat gpt-4o-mini: ok
      execute_tool nested: ok
        invoke_workflow inner: ok
          task task 1: ok
            invoke_agent helper: ok
              chat gpt-4o-mini: ok
      chat gpt-4o-mini: ok"""
    )


def test_the_crew_does_not_count_its_calls_again(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """``kickoff`` double-counts tokens (openinference#1154, phoenix#5628): only model calls have any."""
    server = serve(reply("hi", usage=USAGE))

    crew_of(crewai_agent(server)).kickoff()

    assert [line.operation for line in captured.closing() if line.usage] == ["chat"]
    with_tokens = [span.name for span in captured.spans if "gen_ai.usage.input_tokens" in (span.attributes or {})]
    assert with_tokens == ["chat gpt-4o-mini"]


async def test_native_asynchronous_runs_have_spans(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """``akickoff`` lost all spans (datarobot-genai PR#514)."""
    server = serve(reply("hi"))

    await crew_of(crewai_agent(server)).akickoff()

    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  task planner: ok
    invoke_agent planner: ok
      chat gpt-4o-mini: ok"""
    )


def test_asynchronous_tasks_stay_in_the_trace(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """Asynchronous tasks in separate traces (langfuse#9332)."""
    server = serve(reply("hi", times=2))
    agents = [crewai_agent(server, role) for role in ("planner", "coder")]
    first = Task(name="first", description="d", expected_output="e", agent=agents[0], async_execution=True)
    last = Task(name="last", description="d", expected_output="e", agent=agents[1], context=[first])

    observe(Crew(agents=agents, tasks=[first, last])).kickoff()

    assert len({line.trace_id for line in captured.lines}) == 1
    assert len([line for line in captured.opening() if line.parent_span_id is None]) == 1


def test_model_calls_are_told_once(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """Duplicated model calls (agentops#959): as many as the server answered."""
    server = serve(tool_calls(call("search", word="x"), usage=USAGE), reply("done", usage=USAGE))

    crew_of(crewai_agent(server, tools=[search])).kickoff()

    server.settle()
    assert len(captured.closing("chat")) == server.truth.totals.calls == 2


def test_a_shared_model_counts_once(captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make) -> None:
    """A model object that agents share multiplies usage (crewAI#7259), or sums it up.

    The latter in aws-otel-python-instrumentation PR#806.
    """
    server = serve(reply("a", usage=tokens(100, 10)), reply("b", usage=tokens(200, 20)), reply("c", usage=tokens(5, 5)))
    llm = crewai_llm(server)

    crew_of(*(crewai_agent(server, role, llm=llm) for role in ("a", "b", "c"))).kickoff()

    assert tokens_of(captured) == [(100, 10), (200, 20), (5, 5)]


def test_streams_have_usage(captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make) -> None:
    """Usage 0 with streaming (crewAI#4056)."""
    server = serve(reply("one two three", usage=USAGE))

    crew_of(crewai_agent(server, llm=crewai_llm(server, stream=True))).kickoff()

    assert tokens_of(captured) == [(100, 10)]


async def test_concurrent_crews_end_their_own(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """Concurrent crews end each other's spans (aws-otel-python-instrumentation PR#881), and mix sessions (crewAI#2991)."""
    server = serve(reply("one two three", usage=USAGE, times=6, per_chunk=0.005))

    async def run(number: int) -> str:
        with session(f"s{number}"):
            agent = crewai_agent(server, f"agent {number}")
            streaming = await crew_of(agent, stream=True).akickoff()
        return "".join([chunk.content async for chunk in streaming])

    texts = await asyncio.gather(*(run(number) for number in range(6)))

    assert texts == ["one two three"] * 6
    operations = ("chat", "invoke_agent", "task", "invoke_workflow")
    runs: dict[str | None, set[tuple[str | None, str | None, str | None]]] = {}
    for line in captured.closing():
        runs.setdefault(line.trace_id, set()).add((line.session_id, line.operation, line.status))
    expected = [{(f"s{number}", operation, "ok") for operation in operations} for number in range(6)]
    assert sorted(map(sorted, runs.values())) == sorted(map(sorted, expected))


def test_crewais_own_telemetry_is_left_alone(
    captured: Captured, crewai_offline: None, serve: Serve, crewai_agent: Make
) -> None:
    """Opting out of CrewAI's telemetry took all of OpenTelemetry along (crewAI#2536): nothing of it is ours to change."""
    server = serve(reply("hi"))
    environment, state = dict(os.environ), {name: str(value) for name, value in vars(Telemetry()).items()}

    crew_of(crewai_agent(server)).kickoff()

    assert dict(os.environ) == environment
    assert {name: str(value) for name, value in vars(Telemetry()).items()} == state


def run_program(server: ModelServer, **options: Any) -> subprocess.CompletedProcess[str]:
    """Run an observed crew in a process of its own, which prints what its journal says has ended."""
    program = f"""
        from crewai import LLM, Agent, Crew, Task
        from ai_dev_squad import flush
        from ai_dev_squad_crewai import observe

        llm = LLM(model="gpt-4o-mini", base_url={server.base_url!r}, api_key="sk-test")
        agent = Agent(role="planner", goal="g", backstory="b", llm=llm)
        task = Task(description="d", expected_output="e", agent=agent)
        observe(Crew(name="squad", agents=[agent], tasks=[task])).kickoff()
        flush()
        from ai_dev_squad import read_journal
        print(sorted(f"{{line.operation}} {{line.status}}" for line in read_journal("logs") if line.status))
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=300, **options)


ENDED = "['chat ok', 'invoke_agent ok', 'invoke_workflow ok', 'task ok']"


def test_without_opentelemetry_the_journal_is_whole(serve: Serve, crewai_offline: None) -> None:
    """With ``OTEL_SDK_DISABLED=true``, CrewAI's older advice, what happened is told all the same (crewAI#2536)."""
    server = serve(reply("hi", usage=USAGE))

    done = run_program(server, env={**os.environ, "OTEL_SDK_DISABLED": "true"}, stdin=subprocess.DEVNULL)

    assert done.stdout.splitlines()[-1] == ENDED


@pytest.mark.skipif(
    Version(version("crewai")) < Version("1.15.29"), reason="CrewAI before 1.15.29 asks whatever the switch says"
)
def test_nobody_is_asked_on_a_terminal(serve: Serve, crewai_offline: None, tmp_path: Path) -> None:
    """CrewAI asks at a first run whether to show traces and waits 20 s (crewAI#3789): the switch we name stops it."""
    server = serve(reply("hi", usage=USAGE))
    environment = {**os.environ, "HOME": str(tmp_path), "CREWAI_TRACING_ENABLED": "false"}
    del environment["CREWAI_TESTING"]
    ours, terminal = pty.openpty()
    try:
        done = run_program(server, env=environment, stdin=terminal)
    finally:
        os.close(terminal)
        os.close(ours)

    assert "execution traces" not in done.stdout.lower()
    assert done.stdout.splitlines()[-1] == ENDED


def test_tool_calls_have_their_ids(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """The id that the model gave a tool call is asked for (opentelemetry-python-genai PR#719)."""
    server = serve(tool_calls(call("search", word="x"), call("search", word="y")), reply("done"))

    crew_of(crewai_agent(server, tools=[search])).kickoff()

    ids = [line.metadata["gen_ai.tool.call.id"] for line in captured.closing("execute_tool") if line.metadata]
    assert sorted(ids) == ["call_0_0_0", "call_0_0_1"]


# --- CrewAI's own peculiarities ---------------------------------------------------------------------------------------


def test_a_failure_that_crewai_reports_twice(
    captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make
) -> None:
    """CrewAI's OpenAI client emits a failed call twice, which corrupts the parents that its events name."""
    server = serve(fail(500), reply("hi"), reply("ho"))
    agents = [crewai_agent(server, role, llm=crewai_llm(server, max_retries=0)) for role in ("planner", "coder")]

    crew_of(*agents).kickoff()

    assert (
        captured.tree()
        == """\
invoke_workflow squad: ok
  task planner: ok
    invoke_agent planner: error
      chat gpt-4o-mini: error
    invoke_agent planner: ok
      chat gpt-4o-mini: ok
  task coder: ok
    invoke_agent coder: ok
      chat gpt-4o-mini: ok"""
    )


def test_every_attempt_is_told(captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make) -> None:
    """One answer 429 becomes many requests: what CrewAI tries is told, what the client repeats inside is one call."""
    server = serve(fail(429, retry_after=0.001, times=None))
    agent = crewai_agent(server, llm=crewai_llm(server, max_retries=1), max_retry_limit=0)

    with pytest.raises(Exception, match="429"):
        crew_of(agent).kickoff()

    server.settle()
    assert server.truth.totals.calls == 2 * len(captured.closing("chat")) > 0
    assert {line.status for line in captured.closing()} == {"error"}


def test_hooks_that_fail_leave_nothing_open(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """An error before the start emits a failed kickoff without a started one."""
    server = serve(reply("hi"))

    def refuse(_: Any) -> Any:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        crew_of(crewai_agent(server), before_kickoff_callbacks=[refuse]).kickoff()
    crew_of(crewai_agent(server)).kickoff()

    assert [line.status for line in captured.closing("invoke_workflow")] == ["error", "ok"]
    assert captured.closing("chat")[0].status == "ok"


def test_delegated_work_has_no_task(captured: Captured, serve: Serve, crewai_agent: Make) -> None:
    """CrewAI emits no task for what a manager delegates: the co-worker lies in the manager's tool call."""
    delegate = call("delegate_work_to_coworker", task="t", context="c", coworker="coder")
    server = serve(tool_calls(delegate), reply("coded"), reply("done"))
    coder, boss = crewai_agent(server, "coder"), crewai_agent(server, "boss", allow_delegation=True)
    task = Task(name="t", description="t", expected_output="e")
    crew = Crew(name="squad", agents=[coder], tasks=[task], manager_agent=boss, process=Process.hierarchical)

    observe(crew).kickoff()

    opened = {line.span_id: line.name for line in captured.opening()}
    (line,) = [line for line in captured.closing("invoke_agent") if line.name == "coder"]
    assert opened[line.parent_span_id] == "delegate_work_to_coworker"


def test_functions_that_run_inside_a_model_call(captured: Captured, serve: Serve, crewai_llm: Make) -> None:
    """``LLM.call(available_functions=...)`` runs the tool itself and drops the usage: it's read off the totals."""
    server = serve(tool_calls(call("search", word="x"), usage=USAGE))
    definition = {"name": "search", "parameters": {"type": "object", "properties": {"word": {"type": "string"}}}}

    class Asking(Flow[dict[str, Any]]):
        @start()
        def begin(self) -> Any:
            tools: Any = [{"type": "function", "function": definition}]
            return crewai_llm(server).call("go", tools=tools, available_functions={"search": lambda word: word})

    assert observe(Asking()).kickoff() == "x"

    assert tokens_of(captured) == [(100, 10)]
    (line,) = captured.closing("chat")
    assert line.metadata is not None
    assert line.metadata["crewai.usage.from_totals"] is True


def test_agents_for_a2a_are_told_by_their_methods(captured: Captured) -> None:
    """CrewAI's own suite tells them by ``__wrapped__``: ours shows none on ``execute_task``, and CrewAI's signatures."""
    names = ("execute_task", "aexecute_task", "kickoff", "kickoff_async")
    _entries.uninstall()
    unobserved = {name: inspect.signature(getattr(Agent, name)) for name in names}
    _entries.install()

    assert {name: inspect.signature(getattr(Agent, name)) for name in names} == unobserved
    assert [name for name in names if hasattr(getattr(Agent, name), "__wrapped__")] == ["kickoff", "kickoff_async"]


def test_a_model_call_of_an_agent_that_tells_no_end(
    captured: Captured, serve: Serve, crewai_llm: Make, crewai_agent: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CrewAI's LiteLLM calls end without an event when the context is too long: they end when their agent is done."""
    llm = crewai_llm(serve())
    monkeypatch.setattr(type(llm), "_handle_completion", lambda *args, **options: "hi")

    crew_of(crewai_agent(None, llm=llm)).kickoff()

    expected = [("chat", "abandoned"), ("invoke_agent", "ok"), ("task", "ok"), ("invoke_workflow", "ok")]
    assert [(line.operation, line.status) for line in captured.closing()] == expected


def test_a_model_call_in_a_thread_that_tells_no_end(
    captured: Captured, serve: Serve, crewai_llm: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an agent, it ends when the context of its thread is gone."""
    llm = crewai_llm(serve())
    monkeypatch.setattr(type(llm), "_handle_completion", lambda *args, **options: "hi")

    class Asking(Flow[dict[str, Any]]):
        @start()
        def begin(self) -> Any:
            with ThreadPoolExecutor() as pool:
                return pool.submit(copy_context().run, llm.call, "go").result()

    assert observe(Asking()).kickoff() == "hi"

    gc.collect()
    assert {line.operation: line.status for line in captured.closing()} == {
        "invoke_workflow": "ok",
        "task": "ok",
        "chat": "abandoned",
    }
