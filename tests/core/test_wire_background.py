"""Responses that OpenAI goes on with in the background: counted when their tokens are first told, and once."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pytest

import ai_dev_squad
from ai_dev_squad import context, operations
from ai_dev_squad.costs.budgets import BudgetExceeded
from ai_dev_squad.running import running
from ai_dev_squad.schema import Usage
from ai_dev_squad.wire.claims import claim
from ai_dev_squad_testing import Captured, capture
from ai_dev_squad_testing.model_server import ModelServer, Script, reply, tokens

STEPS = [reply("A long report.", usage=tokens(1000, 500, reasoning=100))]
PRICE = (1000 * 2.5 + 500 * 10) / 1e6
"""In US dollars, of gpt-4o."""


@pytest.fixture
def captured() -> Iterator[Captured]:
    """What is observed in the test."""
    with capture() as everything:
        yield everything


@pytest.fixture
def server() -> Iterator[ModelServer]:
    """A server that has each response done when it is asked about for the second time."""
    with ModelServer(Script(STEPS * 8)) as one:
        yield one


def client(server: ModelServer) -> openai.OpenAI:
    """A real client of the server, as if it were OpenAI's."""
    return openai.OpenAI(base_url=server.base_url, api_key="sk-test", max_retries=0)


def begin(api: openai.OpenAI, **options: Any) -> Any:
    """Ask for a response in the background."""
    return api.responses.create(model="gpt-4o", input="Write a report.", background=True, **options)


def poll(api: openai.OpenAI, identifier: str) -> Any:
    """Ask until it is done."""
    while (response := api.responses.retrieve(identifier)).status in {"queued", "in_progress"}:
        pass
    return response


def entered(captured: Captured) -> list[tuple[Any, ...]]:
    """Tokens, cost and framework of each call that has any, from the journal."""
    ends = [line for line in captured.closing("chat") if line.usage is not None and line.usage.input_tokens is not None]
    return [
        (line.usage.input_tokens, line.usage.output_tokens, line.cost and line.cost.usd, line.framework)
        for line in ends
        if line.usage
    ]


COUNTED = (1000, 500, PRICE, "test")


def total() -> tuple[int, Any]:
    """How many calls with tokens the ledger has, and what they cost."""
    entries = ai_dev_squad.get_cost_tracker().entries
    return len(entries), sum(entry.cost_usd or 0.0 for entry in entries)


@pytest.mark.parametrize("polls", [2, 20])
def test_a_response_is_counted_when_it_is_done_and_once(server: ModelServer, captured: Captured, polls: int) -> None:
    """The request knows no tokens; the poll that is told them first has them counted, below the request."""
    with running(operations.AGENT, "writer", framework="test"), client(server) as api:
        response = begin(api)
        assert (response.status, entered(captured), total()) == ("queued", [], (0, 0))
        for _ in range(polls):
            api.responses.retrieve(response.id)
    assert (entered(captured), total()) == ([COUNTED], (1, PRICE))
    assert (
        captured.tree()
        == """\
invoke_agent writer: ok
  chat gpt-4o: ok"""
    )


def test_a_response_is_streamed_again_from_where_it_was_left(captured: Captured) -> None:
    """The first stream breaks off, and nothing of it is estimated: the second one, from there on, tells the tokens."""
    step = reply("A long report.", usage=tokens(1000, 500), cut_after=4)
    with (
        ModelServer(Script([step])) as server,
        running(operations.AGENT, "writer", framework="test"),
        client(server) as api,
    ):
        seen: list[Any] = []
        with pytest.raises((httpx.HTTPError, openai.APIConnectionError)), begin(api, stream=True) as events:
            seen.extend(events)
        last, identifier = seen[-1].sequence_number, seen[0].response.id
        with api.responses.retrieve(identifier, stream=True, starting_after=last) as events:
            rest = list(events)
        poll(api, identifier)
    assert [event.sequence_number for event in rest][:1] == [last + 1]
    assert (entered(captured), total()) == ([COUNTED], (1, PRICE))


def test_a_stream_that_is_read_to_its_end_is_counted_by_itself(server: ModelServer, captured: Captured) -> None:
    """Who asks about it later is told the same tokens again, and has nothing counted."""
    with running(operations.AGENT, "writer", framework="test"), client(server) as api:
        with begin(api, stream=True) as events:
            seen = list(events)
        poll(api, seen[0].response.id)
    assert (entered(captured), total()) == ([COUNTED], (1, PRICE))
    assert captured.calls == 1


def test_a_call_that_waits_for_it_knows_its_tokens(server: ModelServer, captured: Captured) -> None:
    """A framework that asks and polls within one model call gets them on that call."""
    request = operations.ModelRequest("gpt-4o", "openai")
    with running(operations.AGENT, "writer", framework="test"), client(server) as api:
        with running(operations.CHAT, "gpt-4o", framework="test", request=request):
            poll(api, begin(api).id)
    assert (entered(captured), total()) == ([COUNTED], (1, PRICE))
    assert captured.calls == 1


def test_what_was_set_aside_stays_so_until_the_tokens_are_known(server: ModelServer, captured: Captured) -> None:
    """While it is worked on, no other call gets its money; then it is spent, or, of one that was cancelled, free again."""
    ai_dev_squad.get_cost_tracker().budget_manager.set_budget("all", 0.03, "total", [], on_exceed="stop")

    def standing() -> tuple[float, bool]:
        (status,) = ai_dev_squad.get_cost_tracker().budget_manager.status()
        return round(status.spent_usd, 6), status.reserved_usd > 0

    with running(operations.AGENT, "writer", framework="test"), client(server) as api:
        first = begin(api, max_output_tokens=2000)
        assert standing() == (0.0, True)
        with pytest.raises(BudgetExceeded):
            begin(api, max_output_tokens=2000)
        poll(api, first.id)
        assert standing() == (PRICE, False)
        second = begin(api, max_output_tokens=2000)
        assert standing() == (PRICE, True)
        assert api.responses.cancel(second.id).status == "cancelled"
        assert standing() == (PRICE, False)
        poll(api, second.id)
    assert (entered(captured), total()) == ([COUNTED], (1, PRICE))


def ends(captured: Captured) -> list[tuple[Any, ...]]:
    """What the journal says of each model call's end: status, and tokens where there are any."""
    lines = captured.closing("chat")
    return [(line.status, line.usage and (line.usage.input_tokens, line.usage.output_tokens)) for line in lines]


def test_a_call_that_its_framework_has_ended_ends_once_and_with_its_tokens(
    server: ModelServer, captured: Captured
) -> None:
    """The framework's call and even its run are over when somebody asks: the call is still one, and nothing is below it."""
    request = operations.ModelRequest("gpt-4o", "openai")
    with client(server) as api:
        with running(operations.AGENT, "writer", framework="test"):
            call = operations.start(operations.CHAT, "gpt-4o", framework="test", request=request)
            with context.attached(call):
                identifier = begin(api).id
            assert (call.stop(), call.stop(), call.fail(ValueError("late"))) == (True, False, False)
        assert ends(captured) == []
        poll(api, identifier)
    assert ends(captured) == [("ok", (1000, 500))]
    assert (entered(captured), total(), captured.calls) == ([COUNTED], (1, PRICE), 1)
    assert operations.open_operations() == []


def test_a_response_that_nobody_asks_about_ends_with_the_process(server: ModelServer, captured: Captured) -> None:
    """It was asked for, and so it ends as it did then: ``ok``, with no tokens."""
    with running(operations.AGENT, "writer", framework="test"), client(server) as api:
        begin(api)
    assert [operation.name for operation in operations.open_operations()] == ["gpt-4o"]
    operations.abandon_open_operations()
    assert (ends(captured), total()) == ([("ok", None)], (0, 0))


def test_a_response_that_nobody_asks_about_for_long_ends(
    server: ModelServer, captured: Captured, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next one that is asked for finds it overdue."""
    monkeypatch.setattr("ai_dev_squad.wire.background._HELD_S", -1.0)
    with running(operations.AGENT, "writer", framework="test"), client(server) as api:
        begin(api)
    assert (ends(captured), operations.open_operations()) == ([("ok", None)], [])


def test_a_response_that_is_cancelled_ends_so(server: ModelServer, captured: Captured) -> None:
    """What the provider says of it last is how it ended."""
    with running(operations.AGENT, "writer", framework="test"), client(server) as api:
        api.responses.cancel(begin(api).id)
    assert (ends(captured), operations.open_operations()) == ([("cancelled", None)], [])


def test_a_response_that_another_process_has_counted_ends_without_tokens(
    server: ModelServer, captured: Captured
) -> None:
    """They are there, and are not doubled here."""
    with running(operations.AGENT, "writer", framework="test"), client(server) as api:
        identifier = begin(api).id
        assert claim(identifier)
        poll(api, identifier)
    assert (ends(captured), total()) == ([("ok", None)], (0, 0))


def test_two_responses_of_one_call_end_with_the_later(server: ModelServer, captured: Captured) -> None:
    """A framework that asks for two at once has one call, of which both are parts."""
    request = operations.ModelRequest("gpt-4o", "openai")
    with running(operations.AGENT, "writer", framework="test"), client(server) as api:
        with running(operations.CHAT, "gpt-4o", framework="test", request=request):
            first, second = begin(api).id, begin(api).id
        poll(api, first)
        assert ends(captured) == []
        poll(api, second)
    assert ends(captured) == [("ok", (2000, 1000))]


def test_a_framework_that_announces_its_polls_has_its_tokens_counted_once(
    server: ModelServer, captured: Captured
) -> None:
    """It takes each poll for a model call, and reads in the last one what the response has cost: that is the first call's."""
    request = operations.ModelRequest("gpt-4o", "openai", prompt=lambda: "Write a report.")
    with running(operations.AGENT, "writer", framework="test"), client(server) as api:
        with running(operations.CHAT, "gpt-4o", framework="test", request=request):
            identifier = begin(api).id
        for told in (None, Usage(input_tokens=1000, output_tokens=500, source="provider")):
            with running(operations.CHAT, "gpt-4o", framework="test", request=request) as poll_of_it:
                api.responses.retrieve(identifier)
                poll_of_it.usage = told
    assert ends(captured) == [("ok", None), ("ok", (1000, 500)), ("ok", None)]
    assert (entered(captured), total()) == ([COUNTED], (1, PRICE))


def test_geminis_interactions_are_counted_whole_streamed_and_in_the_background(captured: Captured) -> None:
    """Thoughts stand beside the output, and a stream's last event holds the whole (semantic-conventions-genai#403)."""
    usage = {"total_input_tokens": 1000, "total_output_tokens": 100, "total_thought_tokens": 50, "total_tokens": 1150}
    done = {"id": "v1_a", "model": "gemini-2.5-flash", "status": "completed", "usage": usage}
    begun = {"id": "v1_a", "model": "gemini-2.5-flash", "status": "in_progress"}
    events = [("interaction.created", begun), ("step.delta", None), ("interaction.completed", done)]

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content or b"{}")
        if body.get("stream"):
            told = ({"event_type": name, "interaction": inner} for name, inner in events)
            text = "".join(f"data: {json.dumps(event)}\n\n" for event in told)
            return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})
        asked.append(request.method)
        return httpx.Response(200, json=begun if body.get("background") or asked == ["POST", "POST", "GET"] else done)

    asked: list[str] = []
    url, question = (
        "https://generativelanguage.googleapis.com/v1beta/interactions",
        {"model": "gemini-2.5-flash", "input": "q"},
    )
    with (
        running(operations.AGENT, "writer", framework="test"),
        httpx.Client(transport=httpx.MockTransport(answer)) as sender,
    ):
        sender.post(url, json=question)
        sender.post(url, json=question | {"stream": True})
        sender.post(url, json=question | {"background": True})
        for _ in range(3):
            sender.get(f"{url}/v1_a")
    cost = (1000 * 0.3 + 150 * 2.5) / 1e6
    assert entered(captured) == [(1000, 150, cost, "test")] * 3
    assert captured.calls == 3


SONAR = {"model": "sonar-deep-research", "messages": []}
REPORT = {"prompt_tokens": 1000, "completion_tokens": 500}
PERPLEXED = {"id": "a-1", "model": "sonar-deep-research"}
DEFERRED = [
    pytest.param(
        "https://api.perplexity.ai/async/chat/completions",
        {"request": SONAR},
        PERPLEXED | {"status": "CREATED", "response": None},
        "https://api.perplexity.ai/async/chat/completions/a-1",
        [
            PERPLEXED | {"status": "IN_PROGRESS", "response": None},
            PERPLEXED
            | {"status": "COMPLETED", "response": {"id": "r", "usage": REPORT | {"cost": {"total_cost": 0.82}}}},
        ],
        0.82,
        id="Perplexity",
    ),
    pytest.param(
        "https://api.x.ai/v1/chat/completions",
        {"model": "grok-3", "messages": [], "deferred": True},
        {"request_id": "f15c-1"},
        "https://api.x.ai/v1/chat/deferred-completion/f15c-1",
        [None, {"id": "c", "model": "grok-3", "choices": [], "usage": REPORT}],
        1000 * 3e-6 + 500 * 15e-6,
        id="xAI",
    ),
    pytest.param(
        "https://api.openai.com/v1/threads/thread_1/runs",
        {"assistant_id": "asst_1"},
        {"id": "run_1", "object": "thread.run", "status": "queued", "model": "gpt-4o", "usage": None},
        "https://api.openai.com/v1/threads/thread_1/runs/run_1",
        [
            {"id": "run_1", "status": "requires_action", "model": "gpt-4o", "usage": None},
            {"id": "run_1", "status": "completed", "model": "gpt-4o", "usage": REPORT},
        ],
        1000 * 2.5e-6 + 500 * 10e-6,
        id="a thread of OpenAI's",
    ),
    pytest.param(
        "https://api.replicate.com/v1/models/meta/llama/predictions",
        {"input": {"prompt": "q"}},
        {"id": "p1", "status": "starting", "metrics": {}},
        "https://api.replicate.com/v1/predictions/p1",
        [
            {"id": "p1", "status": "processing"},
            {"id": "p1", "status": "succeeded", "metrics": {"input_token_count": 1000, "output_token_count": 500}},
        ],
        None,
        id="Replicate",
    ),
]


@pytest.mark.parametrize("url, body, begun, later, told, usd", DEFERRED)
def test_what_others_defer_is_counted_when_it_is_told(
    captured: Captured, url: str, body: Any, begun: Any, later: str, told: list[Any], usd: float | None
) -> None:
    """Whatever the provider calls it, and however it says that it isn't there yet: once, in the call that asked for it."""
    answers = iter([begun, *told, told[-1]])

    def answer(_: httpx.Request) -> httpx.Response:
        said = next(answers)
        return httpx.Response(202) if said is None else httpx.Response(200, json=said)

    with (
        running(operations.AGENT, "writer", framework="test"),
        httpx.Client(transport=httpx.MockTransport(answer)) as api,
    ):
        api.post(url, json=body)
        for _ in range(2):
            assert total() == (0, 0)
            api.get(later)
        api.get(later)
    (entry,) = ai_dev_squad.get_cost_tracker().entries
    (call,) = (line for line in captured.closing() if line.operation != "invoke_agent")
    assert (entry.input_tokens, entry.output_tokens) == (1000, 500)
    assert (entry.cost_usd, call.status) == (usd if usd is None else pytest.approx(usd), "ok")


def test_a_run_that_waits_for_tools_is_counted_when_it_has_them(captured: Captured) -> None:
    """Both streams are of one run, and the first counts a step of it only."""
    run, steps = {"id": "run_1", "model": "gpt-4o"}, {"prompt_tokens": 10, "completion_tokens": 1}
    streams = iter(
        [
            [
                {"id": "thread_1", "object": "thread"},
                run | {"status": "queued", "usage": None},
                {"id": "step_1", "status": "completed", "usage": steps},
                run | {"status": "requires_action", "usage": None},
            ],
            [{"id": "step_2", "status": "completed", "usage": steps}, run | {"status": "completed", "usage": REPORT}],
        ]
    )

    def answer(_: httpx.Request) -> httpx.Response:
        text = "".join(f"data: {json.dumps(event)}\n\n" for event in next(streams)) + "data: [DONE]\n\n"
        return httpx.Response(200, text=text, headers={"content-type": "text/event-stream"})

    url = "https://api.openai.com/v1/threads"
    with (
        running(operations.AGENT, "writer", framework="test"),
        httpx.Client(transport=httpx.MockTransport(answer)) as api,
    ):
        api.post(f"{url}/runs", json={"assistant_id": "asst_1", "stream": True})
        assert total() == (0, 0)
        api.post(f"{url}/thread_1/runs/run_1/submit_tool_outputs", json={"tool_outputs": [], "stream": True})
    assert entered(captured) == [(1000, 500, pytest.approx(PRICE), "test")]


def test_threads_that_poll_at_once_count_it_once(server: ModelServer, captured: Captured) -> None:
    """Eight threads are told the tokens of each of eight responses."""
    with running(operations.AGENT, "writer", framework="test"), client(server) as api, ThreadPoolExecutor(8) as pool:
        identifiers = [begin(api).id for _ in range(8)]
        list(pool.map(lambda each: poll(api, each), identifiers * 8))
    assert (entered(captured), total()) == ([COUNTED] * 8, (8, pytest.approx(8 * PRICE)))


_POLLS = """
import sys, openai, ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.running import running
ai_dev_squad.configure(log_dir=sys.argv[1])
with running(operations.AGENT, "poller", framework="test"):
    api = openai.OpenAI(base_url=sys.argv[2], api_key="sk-test", max_retries=0)
    while (response := api.responses.retrieve(sys.argv[3])).status != "completed":
        pass
entries = ai_dev_squad.get_cost_tracker().entries
print([(entry.usage.input_tokens, entry.usage.output_tokens, entry.cost_usd, entry.agent_id) for entry in entries])
ai_dev_squad.shutdown()
"""


def test_whichever_process_polls_first_counts_it(server: ModelServer, tmp_path: Path) -> None:
    """Two processes with one journal ask about a response that a third asked for: one of them counts it."""
    with client(server) as api:
        identifier = begin(api).id  # in a part of the program that nobody observes
    command = [sys.executable, "-c", _POLLS, str(tmp_path / "logs"), server.base_url, identifier]
    children = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    told = sorted(child.communicate(timeout=120)[0].strip() for child in children)
    assert told == [str([(1000, 500, PRICE, "poller")]), "[]"]


def test_a_response_that_was_no_background_one_is_not_counted_when_it_is_read_again(
    server: ModelServer, captured: Captured
) -> None:
    """What was answered at once was counted then, whatever reads it later."""
    with running(operations.AGENT, "writer", framework="test"), client(server) as api:
        identifier = api.responses.create(model="gpt-4o", input="Write a report.").id
        with pytest.raises(openai.NotFoundError):
            api.responses.retrieve(identifier)
        with httpx.Client(transport=httpx.MockTransport(_read_again)) as other:
            other.get(f"https://api.openai.com/v1/responses/{identifier}")
    assert (entered(captured), total()) == ([COUNTED], (1, PRICE))


def _read_again(request: httpx.Request) -> httpx.Response:
    usage = {"input_tokens": 1000, "output_tokens": 500, "total_tokens": 1500}
    told = {"id": "resp_00000000", "object": "response", "status": "completed", "background": False, "usage": usage}
    return httpx.Response(200, content=json.dumps(told), headers={"content-type": "application/json"})
