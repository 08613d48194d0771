"""What the tree of operations looks like for everything AutoGen AgentChat can do."""

from __future__ import annotations

import copy
import json
import textwrap
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import (
    AssistantAgent,
    BaseChatAgent,
    CodeExecutorAgent,
    SocietyOfMindAgent,
    UserProxyAgent,
)
from autogen_agentchat.base import Response, TaskResult
from autogen_agentchat.conditions import (
    HandoffTermination,
    MaxMessageTermination,
    SourceMatchTermination,
    TextMentionTermination,
)
from autogen_agentchat.messages import BaseAgentEvent, BaseChatMessage, HandoffMessage, TextMessage
from autogen_agentchat.teams import (
    DiGraphBuilder,
    GraphFlow,
    MagenticOneGroupChat,
    RoundRobinGroupChat,
    SelectorGroupChat,
    Swarm,
)
from autogen_agentchat.tools import AgentTool, TeamTool
from autogen_core import CancellationToken, SingleThreadedAgentRuntime
from autogen_core.memory import ListMemory, MemoryContent, MemoryMimeType
from autogen_core.tools import FunctionTool, StaticWorkbench, TextResultContent, ToolResult, ToolSchema, Workbench
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.models.replay import ReplayChatCompletionClient

from ai_dev_squad_autogen import observe, unobserve
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, reply, structured, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]

pytestmark = [
    pytest.mark.filterwarnings("ignore:Using LocalCommandLineCodeExecutor"),
    pytest.mark.filterwarnings("ignore:Using the current directory as work_dir"),
    pytest.mark.filterwarnings("ignore:No approval function set"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings"),
    pytest.mark.filterwarnings("ignore:Resolved model mismatch"),
]


def is_tree(text: str) -> str:
    """An expected tree, as written in a test."""
    return textwrap.dedent(text).strip()


def shape(captured: Captured) -> str:
    """The captured tree without the model's name; it's one trace."""
    assert len({line.trace_id for line in captured.lines}) == 1
    return captured.tree().replace(" gpt-4o-mini-2024-07-18", "")


def agent(name: str, client: Any, **options: Any) -> AssistantAgent:
    """An assistant with this name."""
    return AssistantAgent(name, client, description=name, **options)


def look_up(word: str) -> str:
    """Look a word up."""
    return word.upper()


def metadata(captured: Captured, operation: str) -> dict[str, Any]:
    """What the last such operation noted."""
    return captured.closing(operation)[-1].metadata or {}


async def test_round_robin(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A team is a workflow, its agents' turns are below it, with their model calls and tools."""
    client = autogen_chat(serve(tool_calls(call("look_up", word="a")), reply("APPROVE")))
    stop = TextMentionTermination("APPROVE") | MaxMessageTermination(9)
    team = observe(
        RoundRobinGroupChat([agent("ann", client, tools=[look_up]), agent("bob", client)], termination_condition=stop)
    )

    result = await team.run(task="go")

    assert [message.source for message in result.messages] == ["user", "ann", "ann", "ann", "bob"]
    assert shape(captured) == is_tree("""
        invoke_workflow RoundRobinGroupChat: ok
          invoke_agent ann: ok
            chat: ok
            execute_tool look_up: ok
          invoke_agent bob: ok
            chat: ok
    """)
    team_id = team._team_id
    assert metadata(captured, "invoke_workflow") == {
        "autogen.team.type": "RoundRobinGroupChat",
        "autogen.team.id": team_id,
        "autogen.team.participants": ["ann", "bob"],
        "autogen.stop.source": "TextMentionTermination",
    }
    assert [line.agent_id for line in captured.closing("chat")] == ["ann", "bob"]
    assert {line.framework for line in captured.lines} == {"autogen"}


async def test_the_limit_of_turns_stops_a_team(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """Which condition stopped the run is recorded, also when it's the limit of turns."""
    team = observe(RoundRobinGroupChat([agent("ann", autogen_chat(serve(reply("x"))))], max_turns=1))

    await team.run(task="go")

    assert metadata(captured, "invoke_workflow")["autogen.stop.source"] == "max_turns"


async def test_run_stream_is_the_same(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """Streaming a run shows the same tree, and its result is what ``run`` returns."""
    client = autogen_chat(serve(reply("x"), reply("y")))
    team = observe(RoundRobinGroupChat([agent("ann", client), agent("bob", client)], max_turns=2))

    items = [item async for item in team.run_stream(task="go")]

    assert isinstance(items[-1], TaskResult)
    assert shape(captured) == is_tree("""
        invoke_workflow RoundRobinGroupChat: ok
          invoke_agent ann: ok
            chat: ok
          invoke_agent bob: ok
            chat: ok
    """)


async def test_selector(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """The selector's own model calls are the team's."""
    client = autogen_chat(serve(reply("bob"), reply("x"), reply("ann"), reply("y")))
    members = [agent("ann", client), agent("bob", client), agent("eve", client)]
    team = observe(SelectorGroupChat(members, client, max_turns=2))

    await team.run(task="go")

    assert shape(captured) == is_tree("""
        invoke_workflow SelectorGroupChat: ok
          chat: ok
          invoke_agent bob: ok
            chat: ok
          chat: ok
          invoke_agent ann: ok
            chat: ok
    """)
    assert [line.agent_id for line in captured.closing("chat")] == [
        "SelectorGroupChat", "bob", "SelectorGroupChat", "ann",
    ]  # fmt: skip


async def test_swarm_with_handoffs(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A hand-off is an event and the agent's status; the hand-off tool, which bypasses the workbench, shows too."""
    client = autogen_chat(serve(tool_calls(call("transfer_to_bob")), tool_calls(call("transfer_to_user"))))
    members = [agent("ann", client, handoffs=["bob"]), agent("bob", client, handoffs=["user"])]
    team = observe(Swarm(members, termination_condition=HandoffTermination("user")))

    result = await team.run(task="go")

    assert result.stop_reason == "Handoff to user from bob detected."
    assert shape(captured) == is_tree("""
        invoke_workflow Swarm: interrupted
          invoke_agent ann: handoff
            chat: ok
            execute_tool transfer_to_bob: ok
          invoke_agent bob: handoff
            chat: ok
            execute_tool transfer_to_user: ok
    """)
    handoffs = [line for line in captured.lines if line.event_type == "agent.handoff"]
    assert [(line.name, line.metadata) for line in handoffs] == [("ann", {"to": "bob"}), ("bob", {"to": "user"})]
    assert metadata(captured, "invoke_workflow")["autogen.stop.source"] == "HandoffTermination"


def ledger(*, done: bool, speaker: str) -> Any:
    """What MagenticOne's orchestrator asks its model for after each turn."""
    answers = {
        "is_request_satisfied": done,
        "is_in_loop": False,
        "is_progress_being_made": True,
        "next_speaker": speaker,
        "instruction_or_question": "go on",
    }
    return structured({key: {"reason": "secret reason", "answer": answer} for key, answer in answers.items()})


async def test_magentic_one(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """The orchestrator's facts, plan, ledgers and final answer are model calls of the team."""
    client = autogen_chat(
        serve(
            reply("facts"),
            reply("plan"),
            ledger(done=False, speaker="bob"),
            reply("work"),
            ledger(done=True, speaker="bob"),
            reply("the answer"),
        )
    )
    team = observe(MagenticOneGroupChat([agent("ann", client), agent("bob", client)], client))

    result = await team.run(task="go")

    assert result.messages[-1].to_text() == "the answer"
    assert shape(captured) == is_tree("""
        invoke_workflow MagenticOneGroupChat: ok
          chat: ok
          chat: ok
          chat: ok
          invoke_agent bob: ok
            chat: ok
          chat: ok
          chat: ok
    """)
    # The reason that a model gave is content, and content is off.
    assert "secret" not in str(captured.lines)
    assert metadata(captured, "invoke_workflow")["autogen.stop.source"] == "MagenticOneOrchestrator"


async def test_graph_flow(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A graph with two branches that run at the same time and join."""
    client = autogen_chat(serve(reply("x", times=None)))
    start, left, right, end = (agent(name, client) for name in ("start", "left", "right", "end"))
    builder = DiGraphBuilder()
    for node in (start, left, right, end):
        builder.add_node(node)
    builder.add_edge(start, left).add_edge(start, right).add_edge(left, end).add_edge(right, end)
    team = observe(GraphFlow([start, left, right, end], builder.build()))

    await team.run(task="go")

    assert sorted(shape(captured).splitlines()) == sorted(
        is_tree("""
        invoke_workflow GraphFlow: ok
          invoke_agent start: ok
            chat: ok
          invoke_agent left: ok
            chat: ok
          invoke_agent right: ok
            chat: ok
          invoke_agent end: ok
            chat: ok
    """).splitlines()
    )


async def test_society_of_mind(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A team inside an agent is below that agent; what it passes on counts once."""
    client = autogen_chat(serve(tool_calls(call("look_up", word="a")), reply("summary"), reply("critique")))
    inner = RoundRobinGroupChat([agent("ann", client, tools=[look_up])], max_turns=1, name="inner")
    mind = SocietyOfMindAgent("mind", inner, client)
    team = observe(RoundRobinGroupChat([mind, agent("bob", client)], max_turns=2, name="outer"))

    await team.run(task="go")

    assert shape(captured) == is_tree("""
        invoke_workflow outer: ok
          invoke_agent mind: ok
            invoke_workflow inner: ok
              invoke_agent ann: ok
                chat: ok
                execute_tool look_up: ok
            chat: ok
          invoke_agent bob: ok
            chat: ok
    """)


async def test_a_team_in_a_team(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A team that takes part in a team is a workflow within a workflow."""
    client = autogen_chat(serve(reply("x", times=None)))
    inner = RoundRobinGroupChat([agent("ann", client)], max_turns=1, name="inner")
    outer = observe(RoundRobinGroupChat([inner, agent("bob", client)], max_turns=2, name="outer"))

    await outer.run(task="go")

    assert shape(captured) == is_tree("""
        invoke_workflow outer: ok
          invoke_workflow inner: ok
            invoke_agent ann: ok
              chat: ok
          invoke_agent bob: ok
            chat: ok
    """)


async def test_agents_and_teams_as_tools(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """``AgentTool`` and ``TeamTool`` are tools with an agent or a team below them."""
    server = serve(
        tool_calls(call("writer", task="write")),
        reply("a poem"),
        tool_calls(call("jury", task="judge")),
        reply("good"),
        reply("done"),
    )
    client = autogen_chat(server, parallel_tool_calls=False)
    jury = RoundRobinGroupChat([agent("judge", client)], max_turns=1, name="jury_team")
    tools = [AgentTool(agent("writer", client)), TeamTool(jury, "jury", "judges")]
    boss = observe(agent("boss", client, tools=tools, max_tool_iterations=5))

    await boss.run(task="go")

    assert shape(captured) == is_tree("""
        invoke_agent boss: ok
          chat: ok
          execute_tool writer: ok
            invoke_agent writer: ok
              chat: ok
          chat: ok
          execute_tool jury: ok
            invoke_workflow jury_team: ok
              invoke_agent judge: ok
                chat: ok
          chat: ok
    """)
    calls = [line.metadata["gen_ai.tool.call.id"] for line in captured.closing("execute_tool") if line.metadata]
    assert calls == [server.truth.calls[0].tool_calls[0].id, server.truth.calls[2].tool_calls[0].id]


@pytest.mark.parametrize("method", ["run", "run_stream", "on_messages", "on_messages_stream"])
async def test_a_single_agent(captured: Captured, serve: Serve, autogen_chat: Chat, method: str) -> None:
    """Every way of asking an agent is one turn."""
    ann = observe(agent("ann", autogen_chat(serve(reply("x")))))
    question = TextMessage(content="go", source="user")

    if method == "run":
        await ann.run(task="go")
    elif method == "run_stream":
        assert [item async for item in ann.run_stream(task="go")]
    elif method == "on_messages":
        await ann.on_messages([question], CancellationToken())
    else:
        assert [item async for item in ann.on_messages_stream([question], CancellationToken())]

    assert shape(captured) == is_tree("""
        invoke_agent ann: ok
          chat: ok
    """)


class Echo(BaseChatAgent):
    """An agent of the program's own that asks a model itself."""

    def __init__(self, name: str, client: Any) -> None:
        super().__init__(name, "echoes")
        self.client = client

    @property
    def produced_message_types(self) -> Sequence[type[BaseChatMessage]]:
        return (TextMessage,)

    async def on_messages(self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken) -> Response:
        answer = await self.client.create([message.to_model_message() for message in messages])
        return Response(chat_message=TextMessage(content=answer.content, source=self.name))

    async def on_reset(self, cancellation_token: CancellationToken) -> None:
        """Nothing to forget."""


class StreamingEcho(Echo):
    """The same, streaming."""

    async def on_messages_stream(
        self, messages: Sequence[BaseChatMessage], cancellation_token: CancellationToken
    ) -> AsyncGenerator[BaseAgentEvent | BaseChatMessage | Response, None]:
        async for part in self.client.create_stream([message.to_model_message() for message in messages]):
            if not isinstance(part, str):
                yield Response(chat_message=TextMessage(content=str(part.content), source=self.name))


async def test_agents_of_the_programs_own(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """Custom agents show as others do, with the model calls they make."""
    client = autogen_chat(serve(reply("x", times=None)))
    team = observe(RoundRobinGroupChat([Echo("ann", client), StreamingEcho("bob", client)], max_turns=2))

    await team.run(task="go")

    assert shape(captured) == is_tree("""
        invoke_workflow RoundRobinGroupChat: ok
          invoke_agent ann: ok
            chat: ok
          invoke_agent bob: ok
            chat: ok
    """)


async def test_a_code_executor_agent(captured: Captured, serve: Serve, autogen_chat: Chat, tmp_path: Path) -> None:
    """Code that runs is a tool; an exit code other than 0 is its error, and the agent asks again."""
    client = autogen_chat(
        serve(
            reply("```sh\nexit 3\n```"),
            structured({"reason": "wrong", "retry": True}),
            reply("```sh\necho right\n```"),
            reply("it says right"),
        )
    )
    executor = LocalCommandLineCodeExecutor(work_dir=tmp_path)
    coder = observe(CodeExecutorAgent("coder", executor, model_client=client, max_retries_on_error=1))

    await coder.run(task="go")

    assert shape(captured) == is_tree("""
        invoke_agent coder: ok
          chat: ok
          execute_tool execute_code: error
          chat: ok
          chat: ok
          execute_tool execute_code: ok
          chat: ok
    """)
    failed, worked = captured.closing("execute_tool")
    assert failed.error is not None
    assert (failed.error.type, failed.error.message) == ("exit_code", "")
    assert (failed.metadata or {})["autogen.code.exit_code"] == 3
    assert (worked.metadata or {})["autogen.code.languages"] == ["sh"]


async def test_a_user_proxy(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """Waiting for a person is an event of that agent."""
    client = autogen_chat(serve(reply("x")))
    proxy = UserProxyAgent("user_proxy", input_func=lambda prompt: "fine")
    team = observe(RoundRobinGroupChat([agent("ann", client), proxy], max_turns=2))

    result = await team.run(task="go")

    assert result.messages[-1].to_text() == "fine"
    assert shape(captured) == is_tree("""
        invoke_workflow RoundRobinGroupChat: ok
          invoke_agent ann: ok
            chat: ok
          invoke_agent user_proxy: ok
    """)
    assert [line.name for line in captured.lines if line.event_type == "agent.interrupt"] == ["user_proxy"]


async def test_a_team_that_waits_for_a_person(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A team that hands over to somebody outside is interrupted, and its next run is linked to the one that waited."""
    client = autogen_chat(serve(tool_calls(call("transfer_to_user")), reply("published")))
    writer, publisher = AssistantAgent("writer", client, handoffs=["user"]), agent("publisher", client)
    ends = HandoffTermination("user") | SourceMatchTermination(["publisher"])
    team = observe(Swarm([writer, publisher], termination_condition=ends))

    await team.run(task="go")
    await team.run(task=HandoffMessage(source="user", target="publisher", content="yes"))

    waited, resumed = captured.closing("invoke_workflow")
    assert (waited.status, resumed.status) == ("interrupted", "ok")
    assert [(link.trace_id, link.span_id, link.type) for link in resumed.links or ()] == [
        (waited.trace_id, waited.span_id, "resumes")
    ]
    happened = [line.event_type for line in captured.lines if line.event_type in {"agent.interrupt", "agent.resume"}]
    assert happened == ["agent.interrupt", "agent.resume"]


async def test_tools_that_fail(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A tool that raises, one that doesn't exist and arguments that are no JSON fail; the run goes on (autogen#5895)."""

    def broken(word: str) -> str:
        raise KeyError(word)

    client = autogen_chat(serve(tool_calls(call("broken", word="a"), call("missing")), reply("sorry")))
    ann = observe(agent("ann", client, tools=[FunctionTool(broken, "breaks")], reflect_on_tool_use=True))

    await ann.run(task="go")

    assert shape(captured) == is_tree("""
        invoke_agent ann: ok
          chat: ok
          execute_tool broken: error
          execute_tool missing: error
          chat: ok
    """)
    errors = {line.name: line.error and line.error.type for line in captured.closing("execute_tool")}
    assert errors == {"broken": "KeyError", "missing": "unknown_tool"}


async def test_a_workbench(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A tool of a workbench is one call, under the name that the model uses."""
    client = autogen_chat(serve(tool_calls(call("look_up", word="a"))))
    bench = StaticWorkbench([FunctionTool(look_up, "looks up")])

    await observe(agent("ann", client, workbench=bench)).run(task="go")

    assert shape(captured) == is_tree("""
        invoke_agent ann: ok
          chat: ok
          execute_tool look_up: ok
    """)


class Elsewhere(Workbench):
    """A workbench whose tools run in another process, as those of MCP servers do."""

    async def list_tools(self) -> list[ToolSchema]:
        return [ToolSchema(name="look_up", description=""), ToolSchema(name="broken", description="")]

    async def call_tool(
        self,
        name: str,
        arguments: Mapping[str, Any] | None = None,
        cancellation_token: CancellationToken | None = None,
        call_id: str | None = None,
    ) -> ToolResult:
        return ToolResult(name=name, result=[TextResultContent(content="secret")], is_error=name == "broken")

    async def _unused(self, *args: Any) -> Any:
        return {}

    start = stop = reset = save_state = load_state = _unused


async def test_a_workbench_that_runs_elsewhere(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A tool of a workbench without tool objects, such as MCP's, is a tool call; its error is one."""
    server = serve(tool_calls(call("look_up"), call("broken")))

    await observe(agent("ann", autogen_chat(server), workbench=Elsewhere())).run(task="go")

    assert shape(captured) == is_tree("""
        invoke_agent ann: ok
          chat: ok
          execute_tool look_up: ok
          execute_tool broken: error
    """)
    (broken,) = [line for line in captured.closing("execute_tool") if line.status == "error"]
    assert broken.error is not None
    assert (broken.error.type, broken.error.message) == ("tool_error", "")
    assert [(line.metadata or {})["gen_ai.tool.call.id"] for line in captured.closing("execute_tool")] == [
        asked.id for asked in server.truth.calls[0].tool_calls
    ]


async def test_memory(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A memory that adds to the context is a retrieval; what it found is content."""
    memory = ListMemory("facts", [MemoryContent(content="secret fact", mime_type=MemoryMimeType.TEXT)])
    ann = observe(agent("ann", autogen_chat(serve(reply("x"))), memory=[memory]))

    await ann.run(task="go")

    assert shape(captured) == is_tree("""
        invoke_agent ann: ok
          retrieval facts: ok
          chat: ok
    """)
    assert metadata(captured, "retrieval") == {"autogen.memory.type": "ListMemory", "autogen.memory.results": 1}
    assert "secret" not in str(captured.lines)


async def test_an_own_runtime(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A team on the program's own runtime is one trace, although that runtime knows nothing of the run's context."""
    runtime = SingleThreadedAgentRuntime()
    client = autogen_chat(serve(tool_calls(call("look_up", word="a")), reply("y")))
    members = [agent("ann", client, tools=[look_up]), agent("bob", client)]
    team = observe(RoundRobinGroupChat(members, max_turns=2, runtime=runtime))
    runtime.start()

    await team.run(task="go")
    await runtime.stop_when_idle()

    assert shape(captured) == is_tree("""
        invoke_workflow RoundRobinGroupChat: ok
          invoke_agent ann: ok
            chat: ok
            execute_tool look_up: ok
          invoke_agent bob: ok
            chat: ok
    """)


async def test_a_selector_on_an_own_runtime(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """The team's own model calls are found there too."""
    runtime = SingleThreadedAgentRuntime()
    client = autogen_chat(serve(reply("bob"), reply("x")))
    members = [agent(name, client) for name in ("ann", "bob")]
    team = observe(SelectorGroupChat(members, client, max_turns=1, runtime=runtime))
    runtime.start()

    await team.run(task="go")
    await runtime.stop_when_idle()

    assert shape(captured) == is_tree("""
        invoke_workflow SelectorGroupChat: ok
          chat: ok
          invoke_agent bob: ok
            chat: ok
    """)


async def test_two_teams_on_one_runtime(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """Teams that share a runtime and run at the same time are a trace each."""
    import asyncio

    runtime = SingleThreadedAgentRuntime()
    client = autogen_chat(serve(reply("x", times=None, latency=0.02)))
    teams = [
        observe(RoundRobinGroupChat([agent("ann", client)], max_turns=3, runtime=runtime, name=name))
        for name in ("one", "two")
    ]
    runtime.start()

    await asyncio.gather(*(team.run(task="go") for team in teams))
    await runtime.stop_when_idle()

    assert len({line.trace_id for line in captured.lines}) == 2
    for name in ("one", "two"):
        (team,) = [line for line in captured.closing("invoke_workflow") if line.name == name]
        turns = [line for line in captured.closing("invoke_agent") if line.trace_id == team.trace_id]
        assert [line.parent_span_id for line in turns] == [team.span_id] * 3


async def test_a_model_client(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A model client that is observed itself is observed everywhere, also outside of agents."""
    from autogen_core.models import UserMessage

    client = observe(autogen_chat(serve(reply("x"), reply("y"))))
    question = [UserMessage(content="hi", source="user")]

    await client.create(question)
    assert [part async for part in client.create_stream(question)]

    assert captured.tree() == "chat gpt-4o-mini-2024-07-18: ok\nchat gpt-4o-mini-2024-07-18: ok"


async def test_a_shared_client_is_quiet_elsewhere(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A client that an observed agent shares with an unobserved one is observed for the first alone."""
    client = autogen_chat(serve(reply("x", times=None)))
    observed, plain = observe(agent("ann", client)), agent("bob", client)

    await plain.run(task="go")
    assert captured.lines == []
    await observed.run(task="go")

    assert shape(captured) == "invoke_agent ann: ok\n  chat: ok"


async def test_a_name_of_its_own(captured: Captured) -> None:
    """``name`` says how the runs are called, without changing the object's own name."""
    client = ReplayChatCompletionClient(["x"])
    team = observe(RoundRobinGroupChat([agent("ann", client)], max_turns=1), name="squad")

    await team.run(task="go")

    assert captured.closing("invoke_workflow")[0].name == "squad"
    assert team.name == "RoundRobinGroupChat"


async def test_observing_twice_changes_nothing_more(captured: Captured) -> None:
    """Each operation is still captured once."""
    client = ReplayChatCompletionClient(["x"])
    team = observe(observe(RoundRobinGroupChat([observe(agent("ann", client))], max_turns=1)))

    await team.run(task="go")

    assert len(captured.closing()) == 3


async def test_nothing_after_unobserve(captured: Captured) -> None:
    """After ``unobserve`` a run emits nothing, and the objects are as they were."""
    info: Any = {"family": "unknown", "function_calling": True, "vision": False, "json_output": False}
    client = ReplayChatCompletionClient(["x", "y"], model_info={**info, "structured_output": False})
    ann = agent("ann", client, tools=[look_up])
    team = RoundRobinGroupChat([ann], max_turns=1)
    parts = [team, team._output_message_queue, ann, client, *ann._workbench, *ann._tools]
    before = [vars(part).keys() for part in map(copy.copy, parts)]

    await observe(team).run(task="go")
    seen = len(captured.lines)
    assert unobserve(team) is team
    await team.run(task="go")

    assert seen
    assert len(captured.lines) == seen
    assert [vars(part).keys() for part in parts] == before


async def test_what_is_added_later_is_found(captured: Captured) -> None:
    """A tool or client that is put in place after ``observe`` is observed from the next run on."""
    ann = observe(agent("ann", ReplayChatCompletionClient(["x"])))
    ann._model_client = ReplayChatCompletionClient(["y"])

    await ann.run(task="go")

    assert captured.tree() == "invoke_agent ann: ok\n  chat unknown: ok"


async def test_other_things_are_refused() -> None:
    """What can't be observed is a ``TypeError`` that says what can."""
    with pytest.raises(TypeError, match=r"cannot observe 'int'; allowed: a team, an agent, a model client"):
        observe(3)


async def test_nothing_when_switched_off(serve: Serve, autogen_chat: Chat) -> None:
    """With the product switched off, ``observe`` leaves the object alone."""
    from ai_dev_squad_testing import capture

    with capture(enabled=False) as captured:
        ann = observe(agent("ann", ReplayChatCompletionClient(["x"])))
        await ann.run(task="go")

    assert captured.lines == []
    assert "run" not in vars(ann)


async def test_state_after_an_observed_run(captured: Captured) -> None:
    """A team's state is saved and loaded as without observation, and a loaded team goes on."""
    team = observe(RoundRobinGroupChat([agent("ann", ReplayChatCompletionClient(["x"]))], max_turns=1))
    await team.run(task="go")
    state = json.loads(json.dumps(await team.save_state()))

    other = observe(RoundRobinGroupChat([agent("ann", ReplayChatCompletionClient(["y"]))], max_turns=1))
    await other.load_state(state)
    result = await other.run()

    assert result.messages[-1].to_text() == "y"
    assert len(captured.closing("invoke_workflow")) == 2
