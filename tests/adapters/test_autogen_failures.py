"""Whatever goes wrong has the right status, once, and reaches the program as it would without us."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import openai
import pytest
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.teams import RoundRobinGroupChat, SelectorGroupChat
from autogen_core import CancellationToken, SingleThreadedAgentRuntime
from autogen_core.models import UserMessage
from autogen_ext.models.replay import ReplayChatCompletionClient

from ai_dev_squad import get_logger
from ai_dev_squad.operations import open_operations
from ai_dev_squad_autogen import observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, fail, hang, reply, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]


def assistant(name: str, client: Any, **options: Any) -> AssistantAgent:
    """An assistant with this name."""
    return AssistantAgent(name, client, description=name, **options)


def statuses(captured: Captured) -> list[tuple[str | None, str | None, str | None]]:
    """What ended how, in order: operation, status, type of error."""
    return [(line.operation, line.status, line.error and line.error.type) for line in captured.closing()]


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so."""
    for _ in range(500):
        if condition():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it never came to that")


async def test_a_server_error_of_an_agent(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """The call and the agent are errors, not OK (seen with OpenInference 0.1.22); the client's exception is the program's."""
    ann = observe(assistant("ann", autogen_chat(serve(fail(500, times=None)), max_retries=0)))

    with pytest.raises(openai.InternalServerError):
        await ann.run(task="go")

    assert statuses(captured) == [
        ("chat", "error", "InternalServerError"),
        ("invoke_agent", "error", "InternalServerError"),
    ]
    call_line, agent_line = captured.closing()
    assert call_line.usage is not None
    assert call_line.usage.source == "missing"
    assert call_line.error is not None
    assert call_line.error.stacktrace is not None
    assert agent_line.error is not None
    assert agent_line.error.stacktrace is None  # it only passed through
    agent_span = captured.spans[-1]
    assert agent_span.status.status_code.name == "ERROR"


@pytest.mark.parametrize("own_runtime", [False, True])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_server_error_in_a_team(
    captured: Captured, serve: Serve, autogen_chat: Chat, own_runtime: bool
) -> None:
    """A team raises a ``RuntimeError`` that is only text; the original is its cause, and what the journal names."""
    runtime = SingleThreadedAgentRuntime() if own_runtime else None
    client = autogen_chat(serve(fail(500, times=None)), max_retries=0)
    team = observe(RoundRobinGroupChat([assistant("ann", client)], max_turns=1, runtime=runtime))
    if runtime is not None:
        runtime.start()

    with pytest.raises(RuntimeError, match=r"^InternalServerError: ") as caught:
        await team.run(task="go")
    if runtime is not None:
        await runtime.stop()

    assert type(caught.value) is RuntimeError
    assert isinstance(caught.value.__cause__, openai.InternalServerError)
    assert statuses(captured) == [
        ("chat", "error", "InternalServerError"),
        ("invoke_agent", "error", "InternalServerError"),
        ("invoke_workflow", "error", "InternalServerError"),
    ]


async def test_a_server_error_of_the_selector(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """The team's own model call fails while the run starts: AutoGen lets the original through."""
    client = autogen_chat(serve(fail(500, times=None)), max_retries=0)
    members = [assistant("ann", client), assistant("bob", client)]

    with pytest.raises(openai.InternalServerError):
        await observe(SelectorGroupChat(members, client)).run(task="go")

    assert statuses(captured) == [
        ("chat", "error", "InternalServerError"),
        ("invoke_workflow", "error", "InternalServerError"),
    ]


async def test_a_server_error_of_the_selector_later(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """The team's own model call fails after a turn: now AutoGen keeps its text only, and the original is the cause."""
    client = autogen_chat(serve(reply("ann"), reply("x"), fail(500, times=None)), max_retries=0)
    members = [assistant(name, client) for name in ("ann", "bob", "eve")]

    with pytest.raises(RuntimeError, match=r"^InternalServerError: ") as caught:
        await observe(SelectorGroupChat(members, client)).run(task="go")

    assert isinstance(caught.value.__cause__, openai.InternalServerError)
    assert statuses(captured)[-1] == ("invoke_workflow", "error", "InternalServerError")


async def test_a_server_error_in_a_team_in_a_team(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """Through two teams: the outer one's cause is the inner one's error, whose cause is the original."""
    client = autogen_chat(serve(fail(500, times=None)), max_retries=0)
    inner = RoundRobinGroupChat([assistant("ann", client)], max_turns=1, name="inner")

    with pytest.raises(RuntimeError, match=r"^RuntimeError: InternalServerError: ") as caught:
        await observe(RoundRobinGroupChat([inner], max_turns=1, name="outer")).run(task="go")

    assert caught.value.__cause__ is not None
    assert isinstance(caught.value.__cause__.__cause__, openai.InternalServerError)
    assert [error for _, _, error in statuses(captured)] == ["InternalServerError"] * 4


async def test_a_timeout(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A call that times out is an error of its own kind."""
    ann = observe(assistant("ann", autogen_chat(serve(hang(times=None)), max_retries=0, timeout=0.2)))

    with pytest.raises(openai.APITimeoutError):
        await ann.run(task="go")

    assert statuses(captured) == [("chat", "error", "APITimeoutError"), ("invoke_agent", "error", "APITimeoutError")]


@pytest.mark.parametrize("stream", [False, True])
async def test_a_token_cancelled_during_a_model_call(
    captured: Captured, serve: Serve, autogen_chat: Chat, stream: bool
) -> None:
    """Cancelling is neither OK nor an error (seen with OpenInference 0.1.22), also of a stream."""
    server = serve(hang(times=None))
    token = CancellationToken()
    ann = observe(assistant("ann", autogen_chat(server), model_client_stream=stream))
    run = asyncio.create_task(ann.run(task="go", cancellation_token=token))
    await until(lambda: server.truth.calls)

    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert statuses(captured) == [("chat", "cancelled", None), ("invoke_agent", "cancelled", None)]


async def test_a_token_cancelled_while_a_team_runs(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """All levels are cancelled."""
    server = serve(hang(times=None))
    token = CancellationToken()
    team = observe(RoundRobinGroupChat([assistant("ann", autogen_chat(server))], max_turns=1))
    run = asyncio.create_task(team.run(task="go", cancellation_token=token))
    await until(lambda: server.truth.calls)

    token.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert statuses(captured) == [
        ("chat", "cancelled", None),
        ("invoke_agent", "cancelled", None),
        ("invoke_workflow", "cancelled", None),
    ]


async def test_a_cancelled_tool_does_not_deadlock_because_of_us(
    captured: Captured, serve: Serve, autogen_chat: Chat
) -> None:
    """AutoGen's agent waits for ever when a tool is cancelled (autogen#7956, autogen#7100): the tool is seen to be
    cancelled, and cancelling the task gets out of it as it does unobserved.
    """
    began = asyncio.Event()

    async def slow() -> str:
        """Never ends."""
        began.set()
        await asyncio.sleep(60)
        return ""

    token = CancellationToken()
    ann = observe(assistant("ann", autogen_chat(serve(tool_calls(call("slow")))), tools=[slow]))
    run = asyncio.create_task(ann.run(task="go", cancellation_token=token))
    await began.wait()

    token.cancel()
    await until(lambda: captured.closing("execute_tool"))
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert statuses(captured) == [
        ("chat", "ok", None),
        ("execute_tool", "cancelled", None),
        ("invoke_agent", "cancelled", None),
    ]


async def test_closing_early_lets_the_team_finish(captured: Captured) -> None:
    """``aclose`` waits until AutoGen's team is through with its turns: those count, and the run was closed early."""
    team = observe(RoundRobinGroupChat([assistant("ann", ReplayChatCompletionClient(["x", "y"]))], max_turns=2))

    stream = team.run_stream(task="go")
    await anext(stream)
    await stream.aclose()

    assert statuses(captured) == [
        ("chat", "ok", None),
        ("invoke_agent", "ok", None),
        ("chat", "ok", None),
        ("invoke_agent", "ok", None),
        ("invoke_workflow", "closed_early", None),
    ]


async def test_turns_after_a_run_was_left(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """On the program's own runtime the agents go on after a run was left; they still belong to it."""
    runtime = SingleThreadedAgentRuntime()
    client = autogen_chat(serve(reply("x", times=None, latency=0.02)))
    team = observe(RoundRobinGroupChat([assistant("ann", client)], max_turns=2, runtime=runtime))
    runtime.start()

    stream = team.run_stream(task="go")
    await anext(stream)
    await stream.aclose()
    await runtime.stop_when_idle()

    (run,) = captured.closing("invoke_workflow")
    turns = captured.closing("invoke_agent")
    assert run.status == "closed_early"
    assert [(turn.trace_id, turn.parent_span_id) for turn in turns] == [(run.trace_id, run.span_id)] * 2


async def test_a_second_run_at_the_same_time_is_refused(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """The refused run is an error; the first one goes on undisturbed."""
    server = serve(reply("x", latency=0.1), reply("y"))
    team = observe(RoundRobinGroupChat([assistant("ann", autogen_chat(server))], max_turns=2))
    first = asyncio.create_task(team.run(task="go"))
    await until(lambda: server.truth.calls)

    with pytest.raises(ValueError, match="already running"):
        await team.run(task="go")
    await first

    runs = captured.closing("invoke_workflow")
    assert sorted(str(run.status) for run in runs) == ["error", "ok"]
    (finished,) = [run for run in runs if run.status == "ok"]
    assert {turn.parent_span_id for turn in captured.closing("invoke_agent")} == {finished.span_id}


async def test_an_exception_thrown_into_a_stream(captured: Captured) -> None:
    """What a consumer throws into the generator arrives there, and leaves it."""
    stream = observe(assistant("ann", ReplayChatCompletionClient(["x"]))).run_stream(task="go")
    await anext(stream)
    error = KeyError("mine")

    with pytest.raises(KeyError) as caught:
        await stream.athrow(error)

    assert caught.value is error
    assert statuses(captured) == [("invoke_agent", "error", "KeyError")]


async def test_the_exceptions_identity_and_traceback(captured: Captured) -> None:
    """What a tool-less agent raises is the very exception, with the frames of the program in its traceback."""
    error = LookupError("mine")

    class Failing(ReplayChatCompletionClient):
        async def create(self, *args: Any, **kwargs: Any) -> Any:
            raise error

    with pytest.raises(LookupError) as caught:
        await observe(assistant("ann", Failing(["x"]))).run(task="go")

    assert caught.value is error
    assert caught.traceback[-1].name == "create"
    assert caught.value.__cause__ is None


async def test_an_empty_task_is_still_refused(captured: Captured) -> None:
    """Errors of AutoGen's own checks are what they were, and end the run."""
    team = observe(RoundRobinGroupChat([assistant("ann", ReplayChatCompletionClient(["x"]))], max_turns=1))

    with pytest.raises(ValueError, match="cannot be empty"):
        await team.run(task=[])

    assert statuses(captured) == [("invoke_workflow", "error", "ValueError")]


async def test_a_tool_loop_shows_every_call(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """Each model call of a tool loop is a span of its own (langfuse#11505, autogen#5895)."""

    def look_up(word: str) -> str:
        """Look a word up."""
        return word

    client = autogen_chat(serve(*(tool_calls(call("look_up", word=word)) for word in "abc"), reply("done")))
    ann = observe(assistant("ann", client, tools=[look_up], max_tool_iterations=5))

    await ann.run(task="go")

    assert [operation for operation, _, _ in statuses(captured)] == [
        *["chat", "execute_tool"] * 3,
        "chat",
        "invoke_agent",
    ]


async def test_subclasses_that_call_super(captured: Captured) -> None:
    """Overridden methods and ``super()`` work as before, and the call shows once (openinference PR#1871)."""

    class Louder(AssistantAgent):
        async def on_messages(self, messages: Any, cancellation_token: CancellationToken) -> Any:
            response = await super().on_messages(messages, cancellation_token)
            response.chat_message.content += "!"  # type: ignore[union-attr]
            return response

    ann = observe(Louder("ann", ReplayChatCompletionClient(["x"]), description=""))

    assert (await ann.run(task="go")).messages[-1].to_text() == "x!"
    assert len(captured.closing("invoke_agent")) == 1


async def test_clients_of_any_kind_have_their_calls_shown(captured: Captured) -> None:
    """A client that isn't OpenAI's is observed like any other (seen with OpenInference 0.1.22)."""
    client = observe(ReplayChatCompletionClient(["x", "y"]))
    question = [UserMessage(content="hi", source="user")]

    await client.create(messages=question)
    assert [part async for part in client.create_stream(messages=question)]

    assert statuses(captured) == [("chat", "ok", None)] * 2


async def test_a_sink_that_raises(captured: Captured, monkeypatch: pytest.MonkeyPatch) -> None:
    """When writing the journal fails, the run goes on."""
    from ai_dev_squad import guard

    def broken(line: Any) -> None:
        raise OSError("disk full")

    team = observe(RoundRobinGroupChat([assistant("ann", ReplayChatCompletionClient(["x"]))], max_turns=1))
    monkeypatch.setattr(get_logger(), "emit", broken)
    guard.set_strict(False)

    result = await team.run(task="go")

    assert result.messages[-1].to_text() == "x"
    assert open_operations() == []


def test_without_the_openai_package() -> None:
    """Nothing needs the ``openai`` package (openinference#3328)."""
    program = """
import asyncio, sys

class NoOpenAI:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "openai":
            raise ImportError("no openai here")

sys.meta_path.insert(0, NoOpenAI())
from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.replay import ReplayChatCompletionClient
from ai_dev_squad_testing import capture
from ai_dev_squad_autogen import observe

with capture() as captured:
    agent = observe(AssistantAgent("ann", ReplayChatCompletionClient(["x"]), model_client_stream=True))
    asyncio.run(agent.run(task="go"))
print(captured.tree())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout == "invoke_agent ann: ok\n  chat unknown: ok\n"
