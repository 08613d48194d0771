"""What the adapters' tests share: a scripted model server, a model that talks to it, and what was captured."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from ai_dev_squad.operations import open_operations
from ai_dev_squad.testing import Captured, capture
from ai_dev_squad_parity.model_server import ModelServer, Script


@pytest.fixture
def captured() -> Iterator[Captured]:
    """Everything that is observed in the test, spans included; whatever started has ended when the test ends."""
    with capture(spans=True) as everything:
        yield everything
        assert open_operations() == []


@pytest.fixture
def serve() -> Iterator[Callable[..., ModelServer]]:
    """``serve(step, ...)`` starts a model server that plays these steps."""
    with ExitStack() as servers:

        def start(*steps: Any) -> ModelServer:
            return servers.enter_context(ModelServer(Script(list(steps))))

        yield start


@pytest.fixture
def chat() -> Callable[..., Any]:
    """``chat(server)`` is a real ``ChatOpenAI`` that talks to it over HTTP."""
    from langchain_openai import ChatOpenAI

    def model(server: ModelServer, **options: Any) -> Any:
        return ChatOpenAI(**{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "sk-test", **options})

    return model


@pytest.fixture
async def autogen_chat() -> AsyncIterator[Callable[..., Any]]:
    """``autogen_chat(server)`` is AutoGen's own client for OpenAI, talking to it over HTTP."""
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    clients = []

    def model(server: ModelServer, **options: Any) -> Any:
        settings = {"model": "gpt-4o-mini-2024-07-18", "base_url": server.base_url, "api_key": "sk-test"}
        clients.append(OpenAIChatCompletionClient(**{**settings, **options}))
        return clients[-1]

    yield model
    for client in clients:
        await client.close()
