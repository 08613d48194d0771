"""How long is held what the wire has seen of a model call: bodies, answers, and the tree that the call belongs to."""

from __future__ import annotations

import gc
from collections.abc import Callable

import httpx
import pytest

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.operations import ModelRequest, Operation
from ai_dev_squad.running import running
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
