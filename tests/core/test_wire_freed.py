"""How long is held what the wire has seen of a model call: bodies, answers, and the tree that the call belongs to."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import httpx
import pytest

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.operations import ModelRequest, Operation
from ai_dev_squad.running import running
from ai_dev_squad.schema import Usage
from ai_dev_squad.wire.attempts import Attempt
from ai_dev_squad.wire.exchange import Exchange
from ai_dev_squad_testing import capture

ANSWER = {"id": "c", "model": "gpt-4o", "usage": {"prompt_tokens": 100, "completion_tokens": 10}}


def ask(client: httpx.Client) -> None:
    """A call that no framework announces."""
    client.post("https://api.openai.com/v1/chat/completions", json={"model": "gpt-4o", "messages": []})


def ask_announced(client: httpx.Client) -> None:
    """A call that a framework announces."""
    with running(operations.CHAT, "gpt-4o", framework="test", request=ModelRequest("gpt-4o", "openai")):
        ask(client)


def ask_twice(client: httpx.Client) -> None:
    """An announced call that is answered by a server's error first."""
    with running(operations.CHAT, "gpt-4o", framework="test", request=ModelRequest("gpt-4o", "openai")):
        ask(client)
        ask(client)


@pytest.mark.parametrize("call, statuses", [(ask, [200]), (ask_announced, [200]), (ask_twice, [500, 200])])
def test_a_call_that_was_answered_goes_without_the_garbage_collector(
    call: Callable[[httpx.Client], None], statuses: list[int]
) -> None:
    """A call and its requests lead to one another until it has ended. A program asks a thousand times between two collections."""
    answers = iter([httpx.Response(status, json=ANSWER if status == 200 else {}) for status in statuses])
    transport = httpx.MockTransport(lambda _: next(answers))
    with capture(), httpx.Client(transport=transport) as client:
        gc.collect()
        before = {id(thing) for thing in gc.get_objects()}
        gc.disable()
        try:
            with running(operations.AGENT, "agent", framework="test"):
                call(client)
            ai_dev_squad.flush()  # operations are the journal's until their lines are written
            held = Operation, Attempt, Exchange
            left = [
                type(thing).__name__ for thing in gc.get_objects() if type(thing) in held and id(thing) not in before
            ]
        finally:
            gc.enable()
    assert left == []
    assert next(answers, None) is None


class Coming(httpx.SyncByteStream):
    """An answer that comes in events, of which somebody reads as much as he likes."""

    def __iter__(self) -> Iterator[bytes]:
        for word in ("one", "two", "three"):
            yield f'data: {{"choices": [{{"delta": {{"content": "{word}"}}}}]}}\n\n'.encode()


def unread(client: httpx.Client, request: httpx.Request) -> None:
    """Ask, and look at nothing."""
    client.send(request, stream=True)


def half_read(client: httpx.Client, request: httpx.Request) -> None:
    """Ask, and leave after the first event."""
    next(client.send(request, stream=True).iter_raw())


@pytest.mark.parametrize("left, output_tokens", [(unread, None), (half_read, 1)])
def test_an_answer_that_nobody_holds_any_more_was_left(
    left: Callable[[httpx.Client, httpx.Request], None], output_tokens: int | None
) -> None:
    """Neither read to its end nor closed: its call ends with the next look, and stays open no longer (openlit#1454, openlit#1545)."""
    head = {"content-type": "text/event-stream"}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=head, stream=Coming()))
    asked = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "q"}]}
    with capture() as captured, httpx.Client(transport=transport) as client:
        request = client.build_request("POST", "https://api.openai.com/v1/chat/completions", json=asked)
        with running(operations.AGENT, "agent", framework="test"):
            left(client, request)
            gc.collect()
            ai_dev_squad.flush()
            assert [operation.name for operation in operations.open_operations()] == ["agent"]
    (call,) = captured.closing("chat")
    assert call.status == "closed_early"
    assert call.usage == Usage(input_tokens=9, output_tokens=output_tokens, source="estimated")
