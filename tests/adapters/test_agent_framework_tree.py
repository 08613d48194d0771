"""What belongs to what: one run is one trace, whatever Agent Framework is made of, and each thing ends once, as it ended."""

# Without `from __future__ import annotations`: earlier releases read the annotations of handlers as they stand.
import asyncio
import gc
import weakref
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Never

import pytest
from agent_framework import (
    Agent,
    AgentContext,
    AgentMiddleware,
    AgentResponse,
    AgentSession,
    BaseAgent,
    BaseChatClient,
    ChatResponse,
    Content,
    ContextProvider,
    FileCheckpointStorage,
    Message,
    Workflow,
    WorkflowBuilder,
    WorkflowContext,
    WorkflowExecutor,
    agent_middleware,
    executor,
    function_middleware,
    handler,
    response_handler,
    step,
    tool,
    workflow,
)
from agent_framework import Executor as BaseExecutor
from agent_framework.observability import ChatTelemetryLayer
from agent_framework_orchestrations import HandoffBuilder, SequentialBuilder

from ai_dev_squad_agent_framework import observe, unobserve
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import (
    ModelServer,
    after_tool_result,
    call,
    reply,
    system_contains,
    tokens,
    tool_calls,
)

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]
USAGE = tokens(100, 10)


def tree(*lines: str) -> str:
    """Lines of a tree."""
    return "\n".join(lines)


def kinds(captured: Captured) -> list[tuple[str | None, str | None, str | None]]:
    """What has ended, in order."""
    return [(line.operation, line.name, line.status) for line in captured.closing()]


async def test_agents_as_tools(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """An agent that is used as a tool runs inside of it."""
    server = serve(
        reply("figs are sweet", usage=USAGE, when=system_contains("you know plants")),
        reply("so: sweet", usage=USAGE, when=system_contains("you decide") & after_tool_result()),
        tool_calls(call("botanist", task="what is a fig"), usage=USAGE, when=system_contains("you decide")),
    )
    client = agent_framework_chat(server)
    botanist = Agent(client, "you know plants", name="botanist")
    boss = observe(Agent(client, "you decide", name="boss", tools=[botanist.as_tool()]))

    assert (await boss.run("fig?")).text == "so: sweet"
    assert captured.tree() == tree(
        "invoke_agent boss: ok",
        "  chat gpt-4o-mini: ok",
        "  execute_tool botanist: ok",
        "    invoke_agent botanist: ok",
        "      chat gpt-4o-mini: ok",
        "  chat gpt-4o-mini: ok",
    )


async def test_hand_offs(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """The agent that hands over says so, and to whom; the one that takes over follows in the same trace."""
    server = serve(
        reply("money back", usage=USAGE, when=system_contains("you are billing")),
        tool_calls(call("handoff_to_billing"), usage=USAGE, when=system_contains("you are triage")),
    )
    client = agent_framework_chat(server)
    more: Any = {"require_per_service_call_history_persistence": True}
    triage = Agent(client, "you are triage", name="triage", **more)
    billing = Agent(client, "you are billing", name="billing", **more)
    desk = HandoffBuilder(name="desk", participants=[triage, billing]).with_start_agent(triage).build()

    await observe(desk).run("refund")

    agents = [(line.name, line.status) for line in captured.closing("invoke_agent")]
    assert agents == [("triage", "handoff"), ("billing", "ok")]
    assert [(line.name, line.status) for line in captured.closing("execute_tool")] == [("handoff_to_billing", "ok")]
    events = [(line.message, line.metadata) for line in captured.lines if line.event_type == "agent.handoff"]
    assert events == [("triage hands off", {"to": "billing"})]
    assert len({line.trace_id for line in captured.lines}) == 1


async def test_workflows_inside_of_workflows(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """A workflow as an executor of another one, with agentless executors around it."""
    client = agent_framework_chat(serve(reply("plan", usage=USAGE)))
    inner = observe(SequentialBuilder(participants=[Agent(client, name="planner")]).build(), name="inner")

    @executor(id="first")
    async def first(text: str, context: WorkflowContext[str]) -> None:
        await context.send_message(text.upper())

    @executor(id="last")
    async def last(said: AgentResponse, context: WorkflowContext[Never, str]) -> None:
        await context.yield_output(said.text)

    middle = WorkflowExecutor(inner, id="middle")
    outer = WorkflowBuilder(start_executor=first).add_edge(first, middle).add_edge(middle, last).build()
    result = await observe(outer, name="outer").run("go")

    assert result.get_outputs() == ["plan"]
    assert captured.tree() == tree(
        "invoke_workflow outer: ok",
        "  task first: ok",
        "  task middle: ok",
        "    invoke_workflow inner: ok",
        "      task input-conversation: ok",
        "      task planner: ok",
        "        invoke_agent planner: ok",
        "          chat gpt-4o-mini: ok",
        "  task last: ok",
    )


@pytest.mark.filterwarnings("ignore:.*is experimental:FutureWarning", "ignore:.*FUNCTIONAL_WORKFLOWS")
async def test_functional_workflows(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """A function with ``@workflow``: its steps are tasks, and what they ask is theirs."""
    clerk = Agent(agent_framework_chat(serve(reply("plan", usage=USAGE))), name="clerk")

    @step
    async def ask(text: str) -> str:
        return (await clerk.run(text)).text

    @workflow(name="desk")
    async def desk(text: str) -> str:
        return await ask(text)

    made: Any = observe(desk)
    made = made.build() if hasattr(made, "build") else made
    result = await made.run("go")

    assert result.get_outputs() == ["plan"]
    assert captured.tree() == tree(
        "invoke_workflow desk: ok", "  task ask: ok", "    invoke_agent clerk: ok", "      chat gpt-4o-mini: ok"
    )


async def test_an_agent_of_ones_own(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """A class with a ``run`` of its own is an agent wherever it works, and so is one that derives from ``Agent``."""
    client = agent_framework_chat(serve(reply("hi", usage=USAGE, times=None)))

    class Parrot(BaseAgent):
        async def run(self, messages: Any = None, *, session: Any = None, **options: Any) -> AgentResponse:
            return AgentResponse(messages=[Message("assistant", ["hi"])])

    class Twice(Agent):
        async def run(self, *args: Any, **kwargs: Any) -> Any:
            await super().run(*args, **kwargs)
            return await super().run(*args, **kwargs)

    await observe(Parrot(name="polly")).run("hi")
    await observe(Twice(client, name="twice")).run("hi")

    assert captured.tree() == tree(
        "invoke_agent polly: ok", "invoke_agent twice: ok", "  chat gpt-4o-mini: ok", "  chat gpt-4o-mini: ok"
    )


@pytest.mark.parametrize("derives", [False, True], ids=["its own class", "a derived class"])
async def test_an_agent_that_runs_within_its_own_run(
    captured: Captured, serve: Serve, agent_framework_chat: Chat, derives: bool
) -> None:
    """A run that middleware makes of the same agent is a run of its own; a class that calls its base's ``run`` is none."""

    class Derived(Agent):
        def run(self, *args: Any, **kwargs: Any) -> Any:
            return super().run(*args, **kwargs)

    class Again(AgentMiddleware):
        async def process(self, context: AgentContext, call_next: Callable[[], Awaitable[None]]) -> None:
            if context.messages[-1].text == "go":
                await agent.run("first this")
            await call_next()

    client = agent_framework_chat(serve(reply("x", usage=USAGE, times=2)))
    agent = observe((Derived if derives else Agent)(client, name="clerk", middleware=[Again()]))
    await agent.run("go")

    assert captured.tree() == tree(
        "invoke_agent clerk: ok", "  invoke_agent clerk: ok", "    chat gpt-4o-mini: ok", "  chat gpt-4o-mini: ok"
    )


async def test_what_a_middleware_asks(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """Agents that middleware and context providers ask belong to the run; agent-framework#8559 misses what middleware does."""
    server = serve(reply("fine", usage=USAGE, times=None))
    client = agent_framework_chat(server)
    judge, memory = Agent(client, name="judge"), Agent(client, name="memory")

    @agent_middleware
    async def guard(context: AgentContext, call_next: Callable[[], Awaitable[None]]) -> None:
        await judge.run("is this fine?")
        await call_next()

    class Notes(ContextProvider):
        async def before_run(self, **given: Any) -> None:
            await memory.run("what do we know?")

        async def after_run(self, **given: Any) -> None:
            await memory.run("what have we learnt?")

    clerk = observe(Agent(client, name="clerk", middleware=[guard], context_providers=[Notes("notes")]))
    await clerk.run("hi")
    async for _ in clerk.run("hi", stream=True):
        pass

    once = [
        "invoke_agent clerk: ok",
        *("  invoke_agent judge: ok", "    chat gpt-4o-mini: ok"),
        *("  invoke_agent memory: ok", "    chat gpt-4o-mini: ok"),
        "  chat gpt-4o-mini: ok",
        *("  invoke_agent memory: ok", "    chat gpt-4o-mini: ok"),
    ]
    assert captured.tree().splitlines() == once * 2


async def test_a_middleware_that_tries_again(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """A tool that its middleware calls until it answers is the one call that the model asked for; one that calls itself is two."""
    asked = tool_calls(call("look_up", word="fig"), call("nest", word="fig"), usage=USAGE)
    server = serve(asked, reply("a fruit", usage=USAGE))
    answers: Iterator[str | None] = iter([None, "a fruit"])

    @tool
    def look_up(word: str) -> str:
        answer = next(answers)
        if answer is None:
            raise ConnectionError("try again")
        return answer

    @tool
    async def nest(word: str) -> str:
        return word if word == "inner" else str(await nest.invoke(arguments={"word": "inner"}))

    @function_middleware
    async def until_it_answers(context: Any, call_next: Callable[[], Awaitable[None]]) -> None:
        try:
            await call_next()
        except ConnectionError:
            await call_next()

    client = agent_framework_chat(server)
    clerk = observe(Agent(client, name="clerk", tools=[look_up, nest], middleware=[until_it_answers]))
    await clerk.run("hi")

    assert captured.tree().splitlines() == [
        "invoke_agent clerk: ok",
        "  chat gpt-4o-mini: ok",
        "  execute_tool look_up: ok",
        "  execute_tool nest: ok",
        "    execute_tool nest: ok",
        "  chat gpt-4o-mini: ok",
    ]


@pytest.mark.parametrize("stream", [False, True])
async def test_approval_of_a_tool(captured: Captured, serve: Serve, agent_framework_chat: Chat, stream: bool) -> None:
    """The run that asks is interrupted; the one that is given the answer is linked to it."""
    server = serve(
        tool_calls(call("publish", word="fig"), usage=USAGE),
        reply("published", usage=USAGE, when=after_tool_result()),
    )

    @tool(approval_mode="always_require")
    def publish(word: str) -> str:
        return f"{word} is out"

    clerk = observe(Agent(agent_framework_chat(server), name="clerk", tools=[publish]))
    session = AgentSession()

    async def run(said: Any) -> AgentResponse:
        if not stream:
            return await clerk.run(said, session=session)
        running = clerk.run(said, session=session, stream=True)
        async for _ in running:
            pass
        return await running.get_final_response()

    (request,) = (await run("publish fig")).user_input_requests
    answer = await run(Message("user", [request.to_function_approval_response(approved=True)]))

    assert answer.text == "published"
    assert captured.tree() == tree(
        *("invoke_agent clerk: interrupted", "  chat gpt-4o-mini: ok"),
        *("invoke_agent clerk: ok", "  execute_tool publish: ok", "  chat gpt-4o-mini: ok"),
    )
    waited, resumed = captured.closing("invoke_agent")
    links = [(link.trace_id, link.type) for link in resumed.links or ()]
    assert links == [(waited.trace_id, "resumes")]


async def test_approval_that_is_asked_for_after_the_end(
    captured: Captured, serve: Serve, agent_framework_chat: Chat
) -> None:
    """A run in a task that outlives the run that began it waits for a person as any does, and is resumed as any is."""
    server = serve(
        tool_calls(call("hand_in"), usage=USAGE),
        reply("handed in", usage=USAGE),
        tool_calls(call("publish", word="fig"), usage=USAGE),
        reply("published", usage=USAGE),
    )

    @tool(approval_mode="always_require")
    def publish(word: str) -> str:
        return f"{word} is out"

    editor = observe(Agent(agent_framework_chat(server), name="editor", tools=[publish]))
    over, session, tasks = asyncio.Event(), AgentSession(), []

    async def editing() -> AgentResponse:
        await over.wait()
        return await editor.run("publish fig", session=session)

    async def hand_in() -> str:
        tasks.append(asyncio.create_task(editing()))
        return "thanks"

    await observe(Agent(agent_framework_chat(server), name="author", tools=[hand_in])).run("go")
    over.set()
    (request,) = (await tasks[0]).user_input_requests
    await editor.run(Message("user", [request.to_function_approval_response(approved=True)]), session=session)

    author, waited, resumed = captured.closing("invoke_agent")
    assert [(run.name, run.status) for run in (author, waited, resumed)] == [
        ("author", "ok"),
        ("editor", "interrupted"),
        ("editor", "ok"),
    ]
    assert waited.trace_id == author.trace_id
    assert [(link.trace_id, link.type) for link in resumed.links or ()] == [(waited.trace_id, "resumes")]


class Asker(BaseExecutor):
    """Asks a person, and goes on with the answer."""

    @handler
    async def ask(self, text: str, context: WorkflowContext) -> None:
        await context.request_info(request_data=f"{text}?", response_type=str)

    @response_handler
    async def told(self, question: str, answer: str, context: WorkflowContext[Never, str]) -> None:
        await context.yield_output(f"{question} {answer}")


async def test_a_workflow_that_asks_a_person(captured: Captured) -> None:
    """``request_info`` interrupts the run, and the run with the answer is linked to it."""
    desk: Workflow = observe(WorkflowBuilder(name="desk", start_executor=Asker(id="asker")).build())

    (asked,) = (await desk.run("refund")).get_request_info_events()
    result = await desk.run(responses={asked.request_id: "yes"})

    assert result.get_outputs() == ["refund? yes"]
    assert captured.tree() == tree(
        *("invoke_workflow desk: interrupted", "  task asker: ok", "invoke_workflow desk: ok", "  task asker: ok")
    )
    waited, resumed = captured.closing("invoke_workflow")
    assert [(link.trace_id, link.type) for link in resumed.links or ()] == [(waited.trace_id, "resumes")]


async def test_a_checkpoint_is_resumed(captured: Captured, tmp_path: Any) -> None:
    """By a new workflow object with the files of the first: a run of its own, which ends well."""
    storage = FileCheckpointStorage(tmp_path)

    def desk() -> Workflow:
        return observe(
            WorkflowBuilder(name="desk", start_executor=Asker(id="asker"), checkpoint_storage=storage).build()
        )

    (asked,) = (await desk().run("refund")).get_request_info_events()
    latest = await storage.get_latest(workflow_name="desk")
    assert latest is not None
    result = await desk().run(checkpoint_id=latest.checkpoint_id, responses={asked.request_id: "yes"})

    assert result.get_outputs() == ["refund? yes"]
    assert [line.status for line in captured.closing("invoke_workflow")] == ["interrupted", "ok"]


async def test_a_tool_that_does_not_exist(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """A call of a tool that the model made up is a failed one, ``unknown_tool``, as with the other frameworks."""
    server = serve(tool_calls(call("nope", word="fig"), usage=USAGE), reply("sorry", usage=USAGE))

    def look_up(word: str) -> str:
        return word

    await observe(Agent(agent_framework_chat(server), name="clerk", tools=[look_up])).run("hi")

    (line,) = captured.closing("execute_tool")
    assert line.error is not None
    assert (line.name, line.status, line.error.type) == ("nope", "error", "unknown_tool")


async def test_names(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """The name given to ``observe``, else the framework's, else the class; a workflow that has none is ``workflow``."""
    client = agent_framework_chat(serve(reply("hi", usage=USAGE, times=None)))

    @executor(id="only")
    async def only(text: str, context: WorkflowContext[Never, str]) -> None:
        await context.yield_output(text)

    await observe(Agent(client, name="clerk"), name="desk").run("hi")
    await observe(Agent(client, name="clerk")).run("hi")
    await observe(Agent(client)).run("hi")
    await observe(WorkflowBuilder(start_executor=only).build()).run("hi")

    roots = [line.name for line in captured.closing() if line.parent_span_id is None]
    assert roots == ["desk", "clerk", "Agent", "workflow"]


async def test_what_can_be_observed(captured: Captured, serve: Serve, agent_framework_chat: Chat) -> None:
    """The very object comes back, and nothing about it has changed; other things are refused with what is allowed."""
    clerk = Agent(agent_framework_chat(serve(reply("hi", usage=USAGE))), name="clerk")
    before = dict(vars(clerk))

    assert observe(clerk) is clerk
    assert vars(clerk) == before
    with pytest.raises(TypeError, match=r"cannot observe 'clerk'; allowed: an agent, a workflow"):
        observe("clerk")
    with pytest.raises(TypeError, match="cannot observe"):
        observe(Agent)
    assert unobserve(clerk) is clerk
    await clerk.run("hi")
    assert captured.lines == []


async def test_a_tool_alone(captured: Captured) -> None:
    """A tool that is observed itself, without any agent."""

    @tool
    def look_up(word: str) -> str:
        """Look a word up."""
        return word.upper()

    (result,) = await observe(look_up).invoke(arguments={"word": "fig"})

    assert isinstance(result, Content)
    assert (result.text, captured.tree()) == ("FIG", "execute_tool look_up: ok")


async def said() -> ChatResponse[Any]:
    """An answer from nowhere."""
    return ChatResponse(messages=[Message("assistant", ["hi"])], model="own-model")


class Plain:
    """A client of the program's own, with nothing of the framework below its telemetry."""

    model = "own-model"

    def __init__(self, **_: Any) -> None:
        self.additional_properties: dict[str, Any] = {}

    def get_response(self, messages: Any, **_: Any) -> Any:
        return said()


class Between(BaseChatClient):  # type: ignore[type-arg]
    """One whose own method calls that of the framework's class."""

    model = "own-model"

    def get_response(self, *args: Any, **kwargs: Any) -> Any:
        return super().get_response(*args, **kwargs)

    def _inner_get_response(self, **_: Any) -> Any:
        return said()


@pytest.mark.parametrize("base", [Plain, Between])
async def test_a_client_with_a_method_of_its_own_is_one_call(captured: Captured, base: type) -> None:
    """Whatever stands below the framework's telemetry layer, a request is one model call."""
    layered: Any = type("Layered", (ChatTelemetryLayer, base), {})

    await observe(Agent(layered(), name="clerk")).run("go")

    assert captured.tree() == tree("invoke_agent clerk: ok", "  chat own-model: ok")


async def test_a_class_that_a_request_makes_goes_with_it() -> None:
    """Classes of clients and agents that are made where they are needed are kept by nobody."""

    async def handle() -> list[weakref.ref[type]]:
        made: list[Any] = [type("Layered", (ChatTelemetryLayer, Between), {}), type("Clerk", (Agent,), {})]
        await observe(made[1](made[0](), name="clerk")).run("go")
        return [weakref.ref(cls) for cls in made]

    made = await handle()
    gc.collect()

    assert [cls() for cls in made] == [None, None]
