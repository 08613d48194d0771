"""Captured model calls and tokens equal what the model server billed, in every way of running AutoGen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from autogen_agentchat.agents import AssistantAgent, CodeExecutorAgent
from autogen_agentchat.conditions import MaxMessageTermination, TokenUsageTermination
from autogen_agentchat.teams import MagenticOneGroupChat, RoundRobinGroupChat, SelectorGroupChat
from autogen_core.logging import LLMCallEvent
from autogen_core.models import CreateResult, RequestUsage, UserMessage
from autogen_ext.code_executors.local import LocalCommandLineCodeExecutor
from autogen_ext.models.cache import ChatCompletionCache
from autogen_ext.models.replay import ReplayChatCompletionClient
from pydantic import BaseModel

from ai_dev_squad_autogen import observe, unobserve
from ai_dev_squad_testing import Captured
from ai_dev_squad_testing.contract.truth import equals_the_bill
from ai_dev_squad_testing.model_server import ModelServer, call, fail, reply, structured, tokens, tool_calls

pytestmark = pytest.mark.filterwarnings(
    "ignore:Using LocalCommandLineCodeExecutor",
    "ignore:Using the current directory as work_dir",
    "ignore:No approval function set",
    "ignore:Pydantic serializer warnings",
)

USAGE = tokens(200, 30, cached=64, reasoning=8)
Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]


def look_up(word: str) -> str:
    """Look a word up."""
    return word.upper()


async def test_a_team_with_a_tool(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """Two agents and a tool loop: each call once, cached and reasoning tokens too, at the published price."""
    server = serve(
        tool_calls(call("look_up", word="a"), call("look_up", word="b"), usage=USAGE),
        reply("fine", usage=tokens(100, 5)),
    )
    client = autogen_chat(server)
    clerk = AssistantAgent("clerk", client, tools=[look_up])
    team = observe(RoundRobinGroupChat([clerk, AssistantAgent("critic", client)], max_turns=2))

    result = await team.run(task="a and b")

    assert result.stop_reason == "Maximum number of turns 2 reached."
    equals_the_bill(captured, server, traces=1)
    asked = [(tool.name, tool.id) for tool in server.truth.calls[0].tool_calls]
    ran = [(line.name, (line.metadata or {})["gen_ai.tool.call.id"]) for line in captured.closing("execute_tool")]
    assert sorted(ran) == sorted(asked)
    cost = captured.closing("chat")[0].cost
    assert cost is not None
    # gpt-4o-mini: 0.15 USD per million input, 0.075 cached, 0.60 output tokens.
    assert cost.usd == pytest.approx((136 * 0.15 + 64 * 0.075 + 30 * 0.60) / 1e6)


def assistant(name: str, client: Any, **options: Any) -> AssistantAgent:
    """An assistant with this name."""
    return AssistantAgent(name, client, description=name, **options)


async def test_a_selector_bills_more_than_its_messages_say(
    captured: Captured, serve: Serve, autogen_chat: Chat
) -> None:
    """The selector's own calls are billed and counted, though no message of the result carries them."""
    server = serve(*(reply(text, usage=USAGE) for text in ("bob", "x", "ann", "y")))
    client = autogen_chat(server)
    members = [assistant("ann", client), assistant("bob", client), assistant("eve", client)]

    result = await observe(SelectorGroupChat(members, client, max_turns=2)).run(task="go")

    equals_the_bill(captured, server, traces=1)
    said = sum(message.models_usage.prompt_tokens for message in result.messages if message.models_usage)
    assert (said, server.truth.totals.billed.input_tokens) == (400, 800)


async def test_magentic_one_bills_more_than_its_messages_say(
    captured: Captured, serve: Serve, autogen_chat: Chat
) -> None:
    """Facts, plan, ledgers and final answer of the orchestrator are billed and counted."""
    answers = {"is_request_satisfied": True, "is_in_loop": False, "is_progress_being_made": True}
    texts = {"next_speaker": "bob", "instruction_or_question": "go on"}
    ledger = {key: {"reason": "", "answer": answer} for key, answer in {**answers, **texts}.items()}
    server = serve(
        reply("facts", usage=USAGE),
        reply("plan", usage=USAGE),
        structured(ledger, usage=USAGE),
        reply("x", usage=USAGE),
    )
    client = autogen_chat(server)

    await observe(MagenticOneGroupChat([assistant("bob", client)], client)).run(task="go")

    assert len(captured.closing("chat")) == 4
    equals_the_bill(captured, server, traces=1)


async def test_code_executor_agents_are_billed(
    captured: Captured, serve: Serve, autogen_chat: Chat, tmp_path: Path
) -> None:
    """The agent's messages carry no usage at all; its model calls do."""
    server = serve(reply("```sh\necho hi\n```", usage=USAGE), reply("it says hi", usage=USAGE))
    executor = LocalCommandLineCodeExecutor(work_dir=tmp_path)

    await observe(CodeExecutorAgent("coder", executor, model_client=autogen_chat(server))).run(task="go")

    assert len(captured.closing("chat")) == 2
    equals_the_bill(captured, server, traces=1)


@pytest.mark.parametrize("asks", [False, True])
async def test_streaming(captured: Captured, serve: Serve, autogen_chat: Chat, asks: bool) -> None:
    """Streamed tokens are counted (openinference#2258, autogen#6548, autogen#3971), whether the program asks or not.

    With ``asks`` the program asks for the usage itself, and gets it.
    """
    server = serve(reply("one two three", usage=USAGE))
    options = {"stream_options": {"include_usage": True}} if asks else {}
    ann = observe(assistant("ann", autogen_chat(server, **options), model_client_stream=True))

    result = await ann.run(task="go")

    equals_the_bill(captured, server, traces=1)
    usage = result.messages[-1].models_usage
    assert usage is not None
    assert (usage.prompt_tokens, usage.completion_tokens) == ((200, 30) if asks else (0, 0))
    (line,) = captured.closing("chat")
    assert line.metadata is not None
    assert line.metadata["gen_ai.response.id"] == server.truth.calls[0].response_id
    assert line.metadata["gen_ai.response.time_to_first_chunk"] > 0


async def test_asking_does_not_change_a_termination(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """The usage that we asked for is not the program's: a limit of tokens stops the team when it would have anyway."""
    server = serve(reply("x", usage=USAGE, times=None))
    members = [assistant("ann", autogen_chat(server), model_client_stream=True)]
    stop = TokenUsageTermination(max_total_token=100) | MaxMessageTermination(4)
    team = observe(RoundRobinGroupChat(members, termination_condition=stop))

    observed = await team.run(task="go")
    equals_the_bill(captured, server, traces=1)
    plain = await unobserve(team).run(task="go")

    assert len(observed.messages) == len(plain.messages) == 4
    assert observed.stop_reason == plain.stop_reason == "Maximum number of messages 4 reached, current message count: 4"


class Verdict(BaseModel):
    """A structured answer."""

    good: bool


@pytest.mark.parametrize("stream", [False, True])
async def test_structured_answers(captured: Captured, serve: Serve, autogen_chat: Chat, stream: bool) -> None:
    """Structured output goes through another part of OpenAI's client, also when streamed."""
    server = serve(structured({"good": True}, usage=USAGE))
    client = autogen_chat(server)
    ann = observe(assistant("ann", client, output_content_type=Verdict, model_client_stream=stream))

    result = await ann.run(task="go")

    assert result.messages[-1].content == Verdict(good=True)  # type: ignore[union-attr]
    equals_the_bill(captured, server, traces=1)


async def test_a_server_that_refuses_to_report_usage(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A server that rejects the option is asked again without it; the answer is the program's, the count estimated."""
    refuses = fail(400, message="unknown option", when=lambda request: "stream_options" in request.body)
    server = serve(refuses, reply("one two three"))
    ann = observe(assistant("ann", autogen_chat(server), model_client_stream=True))

    result = await ann.run(task="go")

    assert result.messages[-1].to_text() == "one two three"
    assert [line.usage.source for line in captured.closing("chat") if line.usage] == ["estimated"]


async def test_an_answer_without_usage_is_estimated_and_says_so(
    captured: Captured, serve: Serve, autogen_chat: Chat
) -> None:
    """Missing usage, which AutoGen gives as 0, is a labelled estimate."""
    server = serve(reply("Paris is the capital of France.", report_usage=False))

    await observe(assistant("ann", autogen_chat(server), system_message=None)).run(task="What is France's capital?")

    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert line.usage.source == "estimated"
    assert 4 < (line.usage.input_tokens or 0) < 20
    assert 4 < (line.usage.output_tokens or 0) < 12


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_from_a_cache_cost_nothing(
    captured: Captured, serve: Serve, autogen_chat: Chat, stream: bool
) -> None:
    """What ``ChatCompletionCache`` knows already is a call of 0 tokens and 0 USD; the first answer counts (langfuse#8055)."""
    server = serve(reply("x", usage=USAGE))
    client = ChatCompletionCache(autogen_chat(server))
    question = [UserMessage(content="hi", source="user")]
    observe(client)

    for _ in range(2):
        if stream:
            assert [part async for part in client.create_stream(question)]
        else:
            await client.create(question)

    first, second = captured.closing("chat")
    assert first.usage is not None
    assert (first.usage.input_tokens, first.usage.cache_read_input_tokens) == (200, 64)
    assert second.usage is not None
    assert (second.usage.input_tokens, second.usage.output_tokens) == (0, 0)
    assert second.cost is not None
    assert (second.cost.usd, second.cost.price_source) == (0.0, "cache_hit")
    assert second.metadata is not None
    assert second.metadata["ai_dev_squad.cache_hit"] is True
    assert first.name == second.name == "gpt-4o-mini-2024-07-18"


async def test_retries_of_the_client(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """A 429 that the client retries is one model call, ended well."""
    server = serve(fail(429, retry_after=0.01), reply("x", usage=USAGE))

    await observe(assistant("ann", autogen_chat(server))).run(task="go")

    assert server.truth.totals.calls == 2
    equals_the_bill(captured, server, traces=1)


class Logging(ReplayChatCompletionClient):
    """A client that logs the provider's own answer, as those of AutoGen's extensions do."""

    answer: dict[str, Any]

    async def create(self, *args: Any, **kwargs: Any) -> CreateResult:
        usage = self.answer["usage"]
        LLMCallEvent(
            messages=[],
            response=self.answer,
            prompt_tokens=usage["input_tokens"],
            completion_tokens=usage["output_tokens"],
        )
        counts = RequestUsage(usage["input_tokens"], usage["output_tokens"])
        return CreateResult(finish_reason="stop", content="x", usage=counts, cached=False)


async def test_a_provider_that_counts_its_cache_beside_the_input(captured: Captured) -> None:
    """Anthropic's report is read in full, whatever the log level; AutoGen keeps two of its numbers."""
    client = Logging(["x"])
    usage = {"input_tokens": 136, "output_tokens": 30, "cache_read_input_tokens": 64, "cache_creation_input_tokens": 0}
    client.answer = {"id": "msg_1", "model": "claude-haiku-4-5", "usage": usage}

    await observe(assistant("ann", client)).run(task="go")

    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert (line.usage.input_tokens, line.usage.cache_read_input_tokens, line.usage.output_tokens) == (200, 64, 30)
    assert line.metadata is not None
    assert (line.metadata["gen_ai.response.id"], line.metadata["gen_ai.response.model"]) == (
        "msg_1",
        "claude-haiku-4-5",
    )


async def test_a_client_of_any_other_provider(captured: Captured) -> None:
    """A client that says no more than AutoGen asks of it is counted by that."""
    client = ReplayChatCompletionClient(
        [CreateResult(finish_reason="stop", content="x", usage=RequestUsage(7, 3), cached=False)]
    )

    await observe(assistant("ann", client)).run(task="go")

    (line,) = captured.closing("chat")
    assert line.usage is not None
    assert (line.name, line.usage.source) == ("unknown", "provider")
    assert (line.usage.input_tokens or 0) > 0


async def test_a_stream_that_is_left_early_is_estimated(captured: Captured, serve: Serve, autogen_chat: Chat) -> None:
    """The server bills it all the same; what was read of it is what can be counted."""
    client = observe(autogen_chat(serve(reply("one two three four five", usage=USAGE, chunk_size=4))))

    stream = client.create_stream([UserMessage(content="count for me", source="user")])
    async for _ in stream:
        break
    await stream.aclose()

    (line,) = captured.closing("chat")
    assert line.status == "closed_early"
    assert line.usage is not None
    assert line.usage.source == "estimated"
    assert (line.usage.output_tokens or 0) >= 1
