"""Observing changes nothing about the objects: types, signatures, dumps, state, the console."""

from __future__ import annotations

import copy
import gc
import inspect
import io
import pickle
import weakref
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent, SocietyOfMindAgent, UserProxyAgent
from autogen_agentchat.base import TaskResult
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_agentchat.tools import AgentTool
from autogen_agentchat.ui import Console
from autogen_core import CancellationToken
from autogen_core.memory import ListMemory, MemoryContent, MemoryMimeType
from autogen_core.tools import FunctionTool, StaticWorkbench
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.models.cache import ChatCompletionCache
from autogen_ext.models.openai import OpenAIChatCompletionClient
from autogen_ext.models.replay import ReplayChatCompletionClient
from autogen_ext.tools.code_execution import PythonCodeExecutionTool

from ai_dev_squad_autogen import observe, unobserve
from ai_dev_squad_testing import Captured

pytestmark = pytest.mark.filterwarnings(
    "ignore:Using LocalCommandLineCodeExecutor",
    "ignore:Using the current directory as work_dir",
    "ignore:No approval function set",
    r"ignore:\s+.*SECURITY WARNING",
)


def look_up(word: str) -> str:
    """Look a word up."""
    return word


def client() -> OpenAIChatCompletionClient:
    """A real client that is never asked."""
    return OpenAIChatCompletionClient(model="gpt-4o-mini", api_key="sk-test")


def agent(name: str = "ann", **options: Any) -> AssistantAgent:
    """An assistant with a tool and a memory."""
    return AssistantAgent(
        name, client(), tools=[FunctionTool(look_up, "looks up")], memory=[ListMemory("facts")], **options
    )


def members() -> list[Any]:
    """Two assistants."""
    return [agent("ann", handoffs=["bob"]), agent("bob", handoffs=["ann"])]


def flow() -> GraphFlow:
    """A graph of two agents."""
    ann, bob = members()
    builder = DiGraphBuilder()
    builder.add_node(ann).add_node(bob).add_edge(ann, bob)
    return GraphFlow([ann, bob], builder.build())


def stop() -> MaxMessageTermination:
    """A condition that can be dumped."""
    return MaxMessageTermination(5)


THINGS: dict[str, Callable[[], Any]] = {
    "round robin": lambda: RoundRobinGroupChat(members(), termination_condition=stop()),
    "selector": lambda: SelectorGroupChat(members(), client()),
    "swarm": lambda: Swarm(members()),
    "magentic one": lambda: MagenticOneGroupChat([AssistantAgent("ann", client())], client()),
    "graph": flow,
    "society of mind": lambda: SocietyOfMindAgent("mind", RoundRobinGroupChat(members()), client()),
    "assistant": agent,
    "code executor": lambda: CodeExecutorAgent(
        "coder", LocalCommandLineCodeExecutor(work_dir="."), model_client=client()
    ),
    "user proxy": lambda: UserProxyAgent("person"),
    "openai": client,
    "cache": lambda: ChatCompletionCache(client()),
    "workbench": lambda: StaticWorkbench([FunctionTool(look_up, "looks up")]),
    "tool": lambda: FunctionTool(look_up, "looks up"),
    "agent tool": lambda: AgentTool(AssistantAgent("ann", client())),
    "code tool": lambda: PythonCodeExecutionTool(LocalCommandLineCodeExecutor(work_dir=".")),
    "memory": lambda: ListMemory("facts"),
}


@pytest.mark.parametrize("kind", THINGS)
async def test_component_dumps(kind: str, captured: Captured) -> None:
    """``dump_component`` says the same, and what is loaded from it is of the same type and can be observed too."""
    thing = THINGS[kind]()
    before = thing.dump_component()

    assert observe(thing) is thing
    after = thing.dump_component()

    assert after == before
    loaded = type(thing).load_component(after)
    assert type(loaded) is type(thing)
    assert observe(loaded) is loaded


@pytest.mark.parametrize("kind", THINGS)
def test_types_and_signatures(kind: str, captured: Captured) -> None:
    """The type is the same, and every method has its name, signature, documentation and kind of function."""
    thing = THINGS[kind]()
    methods = [
        name for name in dir(thing) if not name.startswith("__") and inspect.ismethod(getattr_static(thing, name))
    ]
    before = {name: described(getattr(thing, name)) for name in methods}
    kind_before = type(thing)

    observe(thing)

    assert type(thing) is kind_before
    assert {name: described(getattr(thing, name)) for name in methods} == before
    unobserve(thing)
    assert {name: described(getattr(thing, name)) for name in methods} == before


def getattr_static(thing: Any, name: str) -> Any:
    """The bound method, without running properties."""
    return getattr(thing, name) if inspect.isroutine(inspect.getattr_static(thing, name)) else None


def described(method: Any) -> tuple[Any, ...]:
    """What a program can learn about a method."""
    return (
        method.__name__,
        method.__qualname__,
        method.__doc__,
        inspect.signature(method),
        method.__self__,
        inspect.iscoroutinefunction(method),
        inspect.isasyncgenfunction(method),
    )


async def test_the_console(captured: Captured) -> None:
    """AutoGen's ``Console`` prints what it prints unobserved."""

    async def printed(team: Any) -> tuple[str, Any]:
        out = io.StringIO()
        with redirect_stdout(out):
            result = await Console(team.run_stream(task="go"))
        return out.getvalue(), result

    def team() -> RoundRobinGroupChat:
        return RoundRobinGroupChat([AssistantAgent("ann", ReplayChatCompletionClient(["x", "y"]))], max_turns=2)

    plain, _ = await printed(team())
    observed, result = await printed(observe(team()))

    assert isinstance(result, TaskResult)
    assert observed == plain
    assert len(captured.closing("invoke_agent")) == 2


async def test_a_copied_client_observes_itself(captured: Captured) -> None:
    """A deep copy works on its own, not on the original."""
    original = observe(ReplayChatCompletionClient(["x"]))
    copied = copy.deepcopy(original)

    from autogen_core.models import UserMessage

    await copied.create([UserMessage(content="hi", source="user")])

    assert copied.create.__self__ is copied  # type: ignore[attr-defined]
    assert len(original.create_calls) == 0
    assert len(captured.closing("chat")) == 1


async def test_a_shallow_copy_works_on_its_own(captured: Captured) -> None:
    """What is changed in a copy of an agent, a client, a tool or a memory holds for the copy, which is observed like the
    original (openai-agents-python#4311, opentelemetry-python-genai#591).
    """
    ann = observe(AssistantAgent("ann", ReplayChatCompletionClient(["x"])))
    bob = copy.copy(ann)
    bob._name, bob._model_client = "bob", ReplayChatCompletionClient(["y"])
    tool = copy.copy(observe(FunctionTool(look_up, "looks up")))
    tool._func = lambda word: word.upper()
    memory = copy.copy(observe(ListMemory("facts")))
    memory._contents = [MemoryContent(content="water is wet", mime_type=MemoryMimeType.TEXT)]

    said = await bob.run(task="go")
    found = await tool.run_json({"word": "dry"}, CancellationToken())
    remembered = await memory.query("water")

    assert [(message.source, message.to_text()) for message in said.messages] == [("user", "go"), ("bob", "y")]
    assert (found, [fact.content for fact in remembered.results]) == ("DRY", ["water is wet"])
    assert [f"{line.operation} {line.name}" for line in captured.closing()] == [
        "chat unknown",
        "invoke_agent bob",
        "execute_tool look_up",
        "retrieval facts",
    ]
    assert vars(unobserve(tool)).keys() == vars(FunctionTool(look_up, "looks up")).keys()


def test_a_copy_keeps_the_methods_of_the_program() -> None:
    """What the program itself put on an object is on its copies, copied or pickled as if it were not observed."""
    memory: Any = ListMemory("facts")
    memory.query = look_up
    observe(memory)

    copies = [copy.copy(memory), copy.deepcopy(memory), pickle.loads(pickle.dumps(memory))]

    assert [copied.query for copied in copies] == [look_up] * 3
    assert [copied.update_context.__self__ is copied for copied in copies] == [True] * 3


def test_a_class_goes_with_the_last_of_its_objects() -> None:
    """A program that makes a class for each request keeps none of them because it was observed; till then copies are right."""

    class Facts(ListMemory):
        """Made for this request."""

    memory = observe(Facts("facts"))
    other = copy.copy(memory)
    del memory
    gc.collect()
    copied = copy.copy(other)
    own = copied.query.__self__ is copied
    gone = weakref.ref(Facts)
    del Facts, other, copied
    gc.collect()  # the objects, and then what they were of
    gc.collect()

    assert own
    assert gone() is None


async def test_a_tool_is_copied_after_a_run(captured: Captured) -> None:
    """What a run leaves on an object doesn't keep it from being copied."""
    jury = RoundRobinGroupChat([AssistantAgent("ann", ReplayChatCompletionClient(["x"]))], max_turns=1)
    await observe(jury).run(task="go")

    remembered = {name: value for name, value in vars(jury).items() if name.startswith("__ai_dev_squad")}

    assert remembered
    assert copy.deepcopy(remembered).keys() == remembered.keys()


async def test_methods_that_the_program_replaced(captured: Captured) -> None:
    """A method that the program put on the object is observed, and is back after ``unobserve``."""
    replay = ReplayChatCompletionClient(["x"])
    whole = replay.create

    async def counted(*args: Any, **kwargs: Any) -> Any:
        return await whole(*args, **kwargs)

    replay.create = counted  # type: ignore[method-assign]
    ann = observe(AssistantAgent("ann", replay))
    await ann.run(task="go")

    assert len(captured.closing("chat")) == 1
    unobserve(ann)
    assert replay.create is counted


async def test_mocks_stay_mocks(captured: Captured) -> None:
    """A mock that a test put on the object is left alone."""
    from unittest.mock import AsyncMock

    replay = ReplayChatCompletionClient(["x"])
    mock = AsyncMock(side_effect=replay.create)
    replay.create = mock  # type: ignore[method-assign]

    await observe(AssistantAgent("ann", replay)).run(task="go")

    assert replay.create is mock
    mock.assert_awaited_once()


async def test_pausing_and_resetting(captured: Captured, tmp_path: Path) -> None:
    """A team is reset and runs again, each time a run of its own."""
    team = observe(RoundRobinGroupChat([AssistantAgent("ann", ReplayChatCompletionClient(["x", "y"]))], max_turns=1))

    await team.run(task="go")
    await team.reset()
    await team.run(task="go")

    assert [line.status for line in captured.closing("invoke_workflow")] == ["ok", "ok"]
    assert len({line.trace_id for line in captured.lines}) == 2


def replaying(name: str, answers: int = 9) -> AssistantAgent:
    """An assistant whose model answers at once."""
    return AssistantAgent(name, ReplayChatCompletionClient(["fine"] * answers))


async def test_a_part_of_an_observed_team_is_silent_elsewhere(captured: Captured) -> None:
    """An agent that nobody observed for itself is observed only where it works for the observed team."""
    ann = replaying("ann")
    team = observe(RoundRobinGroupChat([ann], max_turns=1))
    await RoundRobinGroupChat([ann], max_turns=1, name="another").run(task="go")
    await ann.run(task="go")
    async for _ in ann.run_stream(task="go"):
        pass

    assert captured.lines == []

    await team.run(task="go")
    assert [(line.operation, line.status) for line in captured.closing()] == [
        ("chat", "ok"),
        ("invoke_agent", "ok"),
        ("invoke_workflow", "ok"),
    ]


async def test_a_team_that_is_part_of_an_observed_one_is_silent_elsewhere(captured: Captured) -> None:
    """The same for a team within, alone and within another."""
    inner = RoundRobinGroupChat([replaying("ann")], max_turns=1, name="inner")
    observe(RoundRobinGroupChat([SocietyOfMindAgent("society", inner, ReplayChatCompletionClient(["fine"] * 9))]))

    await inner.run(task="go")
    society = SocietyOfMindAgent("mind", inner, ReplayChatCompletionClient(["fine"] * 9))
    await RoundRobinGroupChat([society], max_turns=1).run(task="go")

    assert captured.lines == []


async def test_a_part_that_is_observed_for_itself_is_observed_everywhere(captured: Captured) -> None:
    """Whoever gives an agent to ``observe`` wants to see it, wherever it works."""
    ann = observe(replaying("ann"))
    await RoundRobinGroupChat([ann], max_turns=1).run(task="go")
    await ann.run(task="go")

    assert [(line.operation, line.status) for line in captured.closing()] == [
        ("chat", "ok"),
        ("invoke_agent", "ok"),
    ] * 2
