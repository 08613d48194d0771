"""Whatever goes wrong has the right status, once, and reaches the program as it would without us."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest
from agents import (
    Agent,
    GuardrailFunctionOutput,
    InputGuardrailTripwireTriggered,
    MaxTurnsExceeded,
    Model,
    ModelBehaviorError,
    ModelResponse,
    OutputGuardrailTripwireTriggered,
    Runner,
    Usage,
    UserError,
    function_tool,
    input_guardrail,
    output_guardrail,
)
from openai.types.responses import ResponseOutputMessage, ResponseOutputText

from ai_dev_squad_openai_agents import _seams, observe
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.model_server import ModelServer, call, fail, reply, system_contains, tool_calls

Serve = Callable[..., ModelServer]
MakeModel = Callable[..., Any]
Said = list[tuple[str | None, str | None, str | None]]

STREAMED = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


def statuses(captured: Captured) -> Said:
    """What ended how, in order: operation, status, type of error."""
    return [(line.operation, line.status, line.error and line.error.type) for line in captured.closing()]


async def run(agent: Agent[Any], streamed: bool, **options: Any) -> Any:
    """Run it, and read all events of a stream."""
    if not streamed:
        return await Runner.run(agent, "go", **options)
    result = Runner.run_streamed(agent, "go", **options)
    async for _ in result.stream_events():
        pass
    return result


@STREAMED
async def test_a_model_error(captured: Captured, serve: Serve, openai_agents_model: MakeModel, streamed: bool) -> None:
    """The client's own exception reaches the program, and all around the call failed with it."""
    clerk = observe(Agent(name="clerk", model=openai_agents_model(serve(fail(400, message="no")))))

    with pytest.raises(openai.BadRequestError):
        await run(clerk, streamed)

    assert statuses(captured) == [
        ("chat", "error", "BadRequestError"),
        ("invoke_agent", "error", "BadRequestError"),
        ("invoke_workflow", "error", "BadRequestError"),
    ]


@function_tool
def broken(word: str) -> str:
    """Fails."""
    raise LookupError("no fig")


@function_tool(failure_error_function=lambda context, error: f"sorry: {error}")
def broken_in_its_own_words(word: str) -> str:
    """Fails."""
    raise LookupError("no fig")


@function_tool(timeout=0.05)
async def slow(word: str) -> str:
    """Takes long."""
    await asyncio.sleep(30)
    return word


@STREAMED
@pytest.mark.parametrize(
    "tool, arguments, error",
    [
        pytest.param(broken, {"word": "fig"}, "LookupError", id="an error"),
        pytest.param(broken_in_its_own_words, {"word": "fig"}, "LookupError", id="an error in its own words"),
        pytest.param(slow, {"word": "fig"}, "timeout", id="a time-out"),
        pytest.param(broken, {"name": "fig"}, "ModelBehaviorError", id="wrong arguments"),
    ],
)
async def test_a_tool_error(
    captured: Captured,
    serve: Serve,
    openai_agents_model: MakeModel,
    tool: Any,
    arguments: dict[str, str],
    error: str,
    streamed: bool,
) -> None:
    """The SDK tells the model and goes on; that tool call failed all the same, with what it raised."""
    server = serve(tool_calls(call(tool.name, **arguments)), reply("sorry"))
    clerk = observe(Agent(name="clerk", model=openai_agents_model(server), tools=[tool]))

    result = await run(clerk, streamed)

    assert result.final_output == "sorry"
    assert statuses(captured) == [
        ("chat", "ok", None),
        ("execute_tool", "error", error),
        ("chat", "ok", None),
        ("invoke_agent", "ok", None),
        ("invoke_workflow", "ok", None),
    ]


async def test_a_tool_error_that_is_raised(captured: Captured, serve: Serve, openai_agents_model: MakeModel) -> None:
    """The SDK's own exception, with the tool's as its cause."""

    @function_tool(failure_error_function=None)
    def look_up(word: str) -> str:
        """Fails."""
        raise LookupError("no fig")

    server = serve(tool_calls(call("look_up", word="fig")))
    clerk = observe(Agent(name="clerk", model=openai_agents_model(server), tools=[look_up]))

    with pytest.raises(UserError, match="Error running tool look_up") as caught:
        await Runner.run(clerk, "go")

    assert isinstance(caught.value.__cause__, LookupError)
    assert [status for _, status, _ in statuses(captured)] == ["ok", "error", "error", "error"]


@STREAMED
async def test_an_unknown_tool(
    captured: Captured, serve: Serve, openai_agents_model: MakeModel, streamed: bool
) -> None:
    """The SDK ends the run; no tool ran."""
    clerk = observe(Agent(name="clerk", model=openai_agents_model(serve(tool_calls(call("nope", word="fig"))))))

    with pytest.raises(ModelBehaviorError):
        await run(clerk, streamed)

    assert [(operation, status) for operation, status, _ in statuses(captured)] == [
        *(("chat", "ok"), ("invoke_agent", "error"), ("invoke_workflow", "error")),
    ]


@STREAMED
async def test_too_many_turns(captured: Captured, serve: Serve, openai_agents_model: MakeModel, streamed: bool) -> None:
    """The agent and its run failed with the SDK's exception, which a stream raises only where its events are read."""
    server = serve(tool_calls(call("broken", word="fig"), times=None))
    clerk = observe(Agent(name="clerk", model=openai_agents_model(server), tools=[broken]))

    with pytest.raises(MaxTurnsExceeded):
        await run(clerk, streamed, max_turns=2)

    assert [(line.status, line.error and line.error.type) for line in captured.closing()[-2:]] == [
        ("error", "MaxTurnsExceeded")
    ] * 2
    assert len(captured.closing("chat")) == 2


@STREAMED
@pytest.mark.parametrize("parallel", [False, True])
async def test_an_input_guardrail_that_trips(
    captured: Captured, serve: Serve, openai_agents_model: MakeModel, parallel: bool, streamed: bool
) -> None:
    """The run fails with its exception."""

    @input_guardrail(run_in_parallel=parallel)
    async def never(context: Any, agent: Any, given: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(None, tripwire_triggered=True)

    server = serve(reply("x", latency=0.2))
    clerk = observe(Agent(name="clerk", model=openai_agents_model(server), input_guardrails=[never]))

    with pytest.raises(InputGuardrailTripwireTriggered):
        await run(clerk, streamed)

    (workflow,) = captured.closing("invoke_workflow")
    assert (workflow.status, workflow.error and workflow.error.type) == (
        "error",
        "InputGuardrailTripwireTriggered",
    )


@STREAMED
async def test_an_output_guardrail_that_trips(
    captured: Captured, serve: Serve, openai_agents_model: MakeModel, streamed: bool
) -> None:
    """The agent answered; the run failed."""

    @output_guardrail
    async def never(context: Any, agent: Any, output: Any) -> GuardrailFunctionOutput:
        return GuardrailFunctionOutput(None, tripwire_triggered=True)

    clerk = observe(Agent(name="clerk", model=openai_agents_model(serve(reply("x"))), output_guardrails=[never]))

    with pytest.raises(OutputGuardrailTripwireTriggered):
        await run(clerk, streamed)

    assert statuses(captured)[-1] == (
        *("invoke_workflow", "error"),
        "OutputGuardrailTripwireTriggered",
    )


async def test_a_failing_agent_as_a_tool(captured: Captured, serve: Serve, openai_agents_model: MakeModel) -> None:
    """The tool failed with what its agent failed with; the outer agent went on."""
    server = serve(
        fail(400, message="bad", when=system_contains("you know plants")),
        tool_calls(call("ask", input="fig")),
        reply("sorry"),
    )
    model = openai_agents_model(server)
    botanist = Agent(name="botanist", instructions="you know plants", model=model)
    boss = observe(Agent(name="boss", model=model, tools=[botanist.as_tool("ask", "asks")]))

    await Runner.run(boss, "go")

    assert statuses(captured)[1:5] == [
        ("chat", "error", "BadRequestError"),
        ("invoke_agent", "error", "BadRequestError"),
        ("invoke_workflow", "error", "BadRequestError"),
        ("execute_tool", "error", "BadRequestError"),
    ]


class Canned(Model):
    """A model of the program's own, which asks another one if it has one."""

    def __init__(self, model: str, other: Model | None = None) -> None:
        self.model, self.other = model, other

    async def get_response(self, *args: Any, **kwargs: Any) -> ModelResponse:
        if self.other is not None:
            return await self.other.get_response(*args, **kwargs)
        text = ResponseOutputText(text="canned", type="output_text", annotations=[])
        message = ResponseOutputMessage(id="1", content=[text], role="assistant", status="completed", type="message")
        usage = Usage(requests=1, input_tokens=11, output_tokens=7, total_tokens=18)
        return ModelResponse(output=[message], usage=usage, response_id="r1")

    def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


async def test_models_of_the_programs_own(captured: Captured) -> None:
    """They are found where the run loop looks for them; one that asks another has no tokens of its own."""
    router = Canned("router", Canned("gpt-4o-mini"))

    result = await Runner.run(observe(Agent(name="clerk", model=router)), "go")

    assert result.final_output == "canned"
    assert captured.tree().splitlines()[2:] == ["    chat router: ok", "      chat gpt-4o-mini: ok"]
    inner, outer = captured.closing("chat")
    assert inner.usage is not None
    assert (inner.usage.input_tokens, inner.usage.output_tokens, inner.usage.source) == (11, 7, "provider")
    assert outer.usage is None or not outer.usage.input_tokens


class Loose(Canned):
    """It streams events as mappings, of which the SDK makes what it can."""

    async def stream_response(self, *args: Any, **kwargs: Any) -> Any:
        yield {"type": "response.created"}


async def test_a_stream_of_something_else(captured: Captured) -> None:
    """What the SDK makes of it is the program's; the call is there."""
    with pytest.raises(ModelBehaviorError, match="final response"):
        await run(observe(Agent(name="clerk", model=Loose("loose"))), streamed=True)

    assert [(line.operation, line.status) for line in captured.closing("chat")] == [("chat", "ok")]


def test_a_release_that_has_moved_things(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said at ``observe``, with the cure, and nothing is replaced."""
    from agents import run

    monkeypatch.setattr(_seams, "_SEAMS", (*_seams._SEAMS, (run, "moved", _seams._turning)))

    with pytest.raises(RuntimeError, match=r"openai-agents [\d.]+ is not supported .*'moved'.*allowed: >=0.20,<0.25"):
        observe(Agent(name="clerk"))
