"""Other providers' clients under a cassette: what they got of a server they get again of the file, observed alike."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from google import genai

from ai_dev_squad_testing import use_cassette
from ai_dev_squad_testing.model_server import ModelServer, Script, reply, tokens

MESSAGES: Any = [{"role": "user", "content": "When?"}]
CLAUDE: Any = {"model": "claude", "max_tokens": 9, "messages": MESSAGES}
KEY = "sk-ant-api03-Zq8vT3nLx0aB7cD5eF2gH9jK4mN6pR1s"


def anthropic_messages(url: str) -> Any:
    """A whole answer and a stream of Anthropic's."""
    with anthropic.Anthropic(base_url=url, api_key=KEY) as client:
        whole = client.messages.create(**CLAUDE).model_dump()
        with client.messages.stream(**CLAUDE) as stream:
            return [whole, *(event.model_dump() for event in stream)]


def anthropic_async(url: str) -> Any:
    """The same by its asynchronous client."""

    async def ask() -> Any:
        async with anthropic.AsyncAnthropic(base_url=url, api_key=KEY) as client:
            whole = (await client.messages.create(**CLAUDE)).model_dump()
            async with client.messages.stream(**CLAUDE) as stream:
                return [whole, *[event.model_dump() async for event in stream]]

    return asyncio.run(ask())


def openai_over_aiohttp(url: str) -> Any:
    """OpenAI's client, of which aiohttp carries the requests."""

    async def ask() -> Any:
        async with openai.AsyncOpenAI(
            base_url=f"{url}/v1", api_key=KEY, http_client=openai.DefaultAioHttpClient()
        ) as client:
            whole = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES)
            stream = await client.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            return [whole.model_dump(), *[piece.model_dump() async for piece in stream]]

    return asyncio.run(ask())


def gemini(url: str) -> Any:
    """Google's client: whole, and a stream."""
    client = genai.Client(api_key=KEY, http_options={"base_url": url})
    asking: Any = {"model": "gemini-2.5-flash", "contents": "When?"}
    whole = client.models.generate_content(**asking)
    parts = [whole, *client.models.generate_content_stream(**asking)]
    return [(part.text, part.usage_metadata and part.usage_metadata.total_token_count) for part in parts]


@pytest.mark.parametrize("ask", [anthropic_messages, anthropic_async, openai_over_aiohttp, gemini])
def test_clients_get_and_show_again_what_was_recorded(tmp_path, tapped, ask: Callable[[str], Any]):
    """Nobody listens when it is given back; what was billed is seen both times, and no key is in the file."""
    steps = [reply("To mor row.", usage=tokens(120, 8)), reply("To day.", usage=tokens(7, 3))]
    with ModelServer(Script(steps)) as server, use_cassette(tmp_path / "c.json", record=True):
        first = ask(server.url)
    with use_cassette(tmp_path / "c.json"):
        assert ask("http://127.0.0.1:9") == first

    told = tapped.told()
    assert len(told) == 4
    assert told[2:] == told[:2]
    assert KEY not in (tmp_path / "c.json").read_text(encoding="utf-8")
