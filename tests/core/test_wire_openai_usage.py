"""Usage of streamed OpenAI answers: asked for inside observed model calls, and seen by nobody but us."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from openai.resources.chat.completions import AsyncCompletions, Completions

from ai_dev_squad import context, operations
from ai_dev_squad.genai.usage import usage_from
from ai_dev_squad.operations import CHAT, TASK, ModelRequest, Operation
from ai_dev_squad.running import running
from ai_dev_squad.schema import Usage
from ai_dev_squad.wire import openai_usage
from ai_dev_squad_testing import Captured, capture
from ai_dev_squad_testing.fixtures import serving
from ai_dev_squad_testing.model_server import ModelServer, fail, reply, tokens

ASKS = "stream_options"
USAGE = tokens(200, 40, cached=64, reasoning=8)
COUNTED = Usage(
    input_tokens=200,
    output_tokens=40,
    cache_read_input_tokens=64,
    reasoning_output_tokens=8,
    audio_input_tokens=0,
    audio_output_tokens=0,
    source="provider",
)
MESSAGES: Any = [{"role": "user", "content": "hello"}]


@pytest.fixture(autouse=True)
def _as_the_client_is() -> Iterator[None]:
    """Before and after each test the client is unpatched, and no endpoint is remembered."""
    openai_usage.uninstall()
    openai_usage._refusing.clear()
    openai_usage._known.clear()
    yield
    openai_usage.uninstall()
    openai_usage._refusing.clear()
    openai_usage._known.clear()


def install() -> None:
    """Patch what the client loads when it is used, and is loaded here at once."""
    for name in openai_usage.MODULES:
        openai_usage.install(importlib.import_module(name))


@pytest.fixture
def captured() -> Iterator[Captured]:
    """What is observed in the test, with the seam installed."""
    with capture() as everything:
        install()
        yield everything


@pytest.fixture
def serve() -> Iterator[Callable[..., ModelServer]]:
    """``serve(step, ...)`` starts a model server that plays these steps."""
    with serving() as start:
        yield start


def arrived(pieces: int) -> Usage:
    """What is known of an answer without usage and text: as many tokens as pieces came over the wire, about."""
    return Usage(output_tokens=pieces, source="estimated")


def client(server: ModelServer, **options: Any) -> openai.OpenAI:
    """A real client of the server, closed with the test's last reference to it."""
    return openai.OpenAI(base_url=server.base_url, api_key="sk-test", max_retries=0, **options)


def start() -> Operation:
    """A model call that is about to be made."""
    return operations.start(CHAT, "gpt-4o", framework="test", request=ModelRequest("gpt-4o", "openai"))


def stream(server: ModelServer, **options: Any) -> tuple[Operation, list[Any]]:
    """One streamed answer inside an observed call: the operation, ended, and the chunks that the program saw."""
    operation = start()
    with context.attached(operation), client(server) as api:
        with api.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True, **options) as chunks:
            seen = list(chunks)
    operation.stop()
    return operation, seen


def text(chunks: list[Any]) -> str:
    """What the program reads."""
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def plain(chunks: list[Any]) -> list[dict[str, Any]]:
    """Chunks without what differs between two answers."""
    return [{**chunk.model_dump(exclude_unset=True), "id": "", "created": 0} for chunk in chunks]


# --- installing -------------------------------------------------------------------------------------------------------


def test_the_client_is_restored_exactly() -> None:
    """Installing twice patches once; uninstalling puts the very functions back, and may be repeated."""
    before = Completions.__dict__["create"], AsyncCompletions.__dict__["create"]
    install()
    once = Completions.__dict__["create"]
    install()
    assert Completions.__dict__["create"] is once is not before[0]

    openai_usage.uninstall()
    openai_usage.uninstall()

    assert (Completions.__dict__["create"], AsyncCompletions.__dict__["create"]) == before


def test_the_patched_method_looks_like_the_original(captured: Captured) -> None:
    """Name, documentation and signature are the client's own."""
    import inspect

    original = Completions.create.__wrapped__  # type: ignore[attr-defined]

    assert Completions.create.__name__ == "create"
    assert inspect.signature(Completions.create) == inspect.signature(original)


@pytest.mark.parametrize("order", ["configure(); import openai", "import openai; configure()"])
def test_a_client_is_asked_whenever_it_is_loaded(order: str) -> None:
    """Before or after us, and its resources at once or when a program uses them: chats, and texts that are continued."""
    program = f"""
import json, sys, httpx
from ai_dev_squad import configure, context, operations
assert "openai" not in sys.modules
{order}
def answer(request):
    print(request.url.path, json.loads(request.content).get("stream_options"))
    return httpx.Response(200, text="data: [DONE]\\n\\n", headers={{"content-type": "text/event-stream"}})
with httpx.Client(transport=httpx.MockTransport(answer)) as sender, context.attached(
    operations.start(operations.TASK, "it", framework="test")
):
    api = openai.OpenAI(api_key="x", http_client=sender)
    list(api.chat.completions.create(model="m", stream=True, messages=[]))
    list(api.completions.create(model="m", stream=True, prompt="p"))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines() == [
        "/v1/chat/completions {'include_usage': True}",
        "/v1/completions {'include_usage': True}",
    ]


# --- asking -----------------------------------------------------------------------------------------------------------


def test_the_program_sees_the_stream_it_would_have_seen(captured: Captured, serve: Callable[..., ModelServer]) -> None:
    """Inside an observed call the usage is asked for and noted; the program's chunks are those of an unobserved call."""
    server = serve(reply("one two three", usage=USAGE, times=2))
    operation, observed = stream(server)
    openai_usage.uninstall()
    _, unobserved = stream(server)

    assert operation.usage == COUNTED
    assert [chunk["choices"] for chunk in plain(observed)] == [chunk["choices"] for chunk in plain(unobserved)]
    assert [chunk.usage for chunk in observed] == [None] * len(unobserved)
    assert [call.reported for call in server.truth.calls] == [USAGE, None]
    assert [line.usage for line in captured.closing("chat")] == [COUNTED, arrived(4)]


async def test_an_asynchronous_stream(captured: Captured, serve: Callable[..., ModelServer]) -> None:
    """The same for the asynchronous client."""
    server = serve(reply("one two three", usage=USAGE))
    operation = start()
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-test", max_retries=0) as api:
        with context.attached(operation):
            chunks = await api.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
        seen = [chunk async for chunk in chunks]
    operation.stop()

    assert (operation.usage, text(seen)) == (COUNTED, "one two three")
    assert [chunk for chunk in seen if chunk.usage or not chunk.choices] == []


@pytest.mark.parametrize("given", [None, openai.NOT_GIVEN, openai.omit])
def test_an_option_that_was_passed_empty_was_not_chosen(
    captured: Captured, serve: Callable[..., ModelServer], given: Any
) -> None:
    """Wrappers pass ``stream_options=None`` or the client's own marks; that is no choice, and no error of ours."""
    operation, seen = stream(serve(reply("one two", usage=USAGE)), stream_options=given)

    assert (operation.usage, text(seen)) == (COUNTED, "one two")


def test_the_clients_stream_helper(captured: Captured, serve: Callable[..., ModelServer]) -> None:
    """``chat.completions.stream(...)`` goes the same way; its final answer is whole and has no usage of ours."""
    server = serve(reply("one two", usage=USAGE))
    operation = start()
    with context.attached(operation), client(server) as api:
        with api.chat.completions.stream(model="gpt-4o", messages=MESSAGES) as events:
            final = events.get_final_completion()
    operation.stop()

    assert operation.usage == COUNTED
    assert (final.choices[0].message.content, final.usage) == ("one two", None)


@pytest.mark.parametrize(
    "options, usages",
    [({"include_usage": True}, [COUNTED]), ({"include_usage": False}, []), ({}, [])],
    ids=["asks", "asks not", "asks for other things"],
)
def test_the_programs_own_choice_is_respected(
    captured: Captured, serve: Callable[..., ModelServer], options: dict[str, Any], usages: list[Usage]
) -> None:
    """A program that sets ``stream_options`` gets exactly what it asked for; what comes of it is read on the wire."""
    operation, seen = stream(serve(reply("one", usage=USAGE)), stream_options=options)

    assert [usage_from(chunk.usage) for chunk in seen if chunk.usage] == usages
    assert operation.usage == (usages[0] if usages else arrived(3))


def test_only_streams_of_observed_runs_are_asked(captured: Captured, serve: Callable[..., ModelServer]) -> None:
    """A task's own call is asked, too; outside of any operation and without a stream, the request is untouched."""
    server = serve(reply("one", usage=USAGE, times=4))
    with client(server) as api:

        def ask(**more: Any) -> None:
            answer = api.chat.completions.create(model="gpt-4o", messages=MESSAGES, **more)
            if more:
                list(answer)

        ask(stream=True)
        task = operations.start(TASK, "it", framework="test")
        with context.attached(task):
            ask(stream=True)
        call = start()
        with context.attached(call):
            ask()
        ask(stream=True)
        call.stop()
        task.stop()

    assert [(call.stream, call.reported) for call in server.truth.calls] == [
        (True, None),
        (True, USAGE),
        (False, USAGE),
        (True, None),
    ]


@pytest.mark.parametrize("how", ["with_raw_response", "with_streaming_response"])
def test_raw_responses_are_left_alone(captured: Captured, serve: Callable[..., ModelServer], how: str) -> None:
    """Who reads the bytes reads the bytes that were asked for."""
    server = serve(reply("one", usage=USAGE))
    operation = start()
    with context.attached(operation), client(server) as api:
        raw = getattr(api.chat.completions, how).create(model="gpt-4o", messages=MESSAGES, stream=True)
        if how == "with_raw_response":
            seen = list(raw.parse())
        else:
            with raw as response:
                seen = list(response.parse())
    operation.stop()

    assert text(seen) == "one"
    assert server.truth.calls[0].reported is None


# --- servers that don't know the option -------------------------------------------------------------------------------


def refuses(request: Any) -> bool:
    """A server that rejects what it doesn't know."""
    return ASKS in request.body


@pytest.mark.parametrize("status", [400, 422])
def test_a_refusal_is_remembered_for_the_endpoint(
    captured: Captured, serve: Callable[..., ModelServer], status: int
) -> None:
    """The call is repeated without the option, once; later calls there don't ask, calls elsewhere do."""
    server = serve(fail(status, message="unknown option", when=refuses, times=None), reply("one", times=3))
    other = serve(reply("one", usage=USAGE))

    answers = [text(stream(server)[1]) for _ in range(3)]

    assert answers == ["one"] * 3
    assert [call.status for call in server.truth.calls] == [status, 200, 200, 200]
    assert stream(other)[0].usage == COUNTED


async def test_a_refusal_is_remembered_by_the_asynchronous_client(
    captured: Captured, serve: Callable[..., ModelServer]
) -> None:
    """The same for the asynchronous client."""
    server = serve(fail(400, message="unknown option", when=refuses, times=None), reply("one", times=2))
    seen = []
    async with openai.AsyncOpenAI(base_url=server.base_url, api_key="sk-test", max_retries=0) as api:
        for _ in range(2):
            operation = start()
            with context.attached(operation):
                chunks = await api.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True)
            seen.append(text([chunk async for chunk in chunks]))
            operation.stop()

    assert seen == ["one", "one"]
    assert [call.status for call in server.truth.calls] == [400, 200, 200]


def test_an_error_of_the_request_itself_is_not_blamed_on_the_option(
    captured: Captured, serve: Callable[..., ModelServer]
) -> None:
    """A request that fails with and without the option raises its own error, without a trace of the attempt before;
    the endpoint goes on being asked.
    """
    server = serve(fail(400, message="the prompt is too long", times=2), reply("one", usage=USAGE))
    with pytest.raises(openai.BadRequestError, match="the prompt is too long") as error:
        stream(server)

    assert not isinstance(error.value.__context__, openai.BadRequestError)
    assert stream(server)[0].usage == COUNTED


def test_a_server_that_takes_the_option_is_sent_a_bad_request_once(
    captured: Captured, serve: Callable[..., ModelServer]
) -> None:
    """Where the option was taken before, a rejection is the program's own and reaches it at once, every time."""
    server = serve(reply("one", usage=USAGE), fail(400, message="the prompt is too long", times=2))
    stream(server)
    for _ in range(2):
        with pytest.raises(openai.BadRequestError, match="the prompt is too long"):
            stream(server)

    assert [call.status for call in server.truth.calls] == [200, 400, 400]


def test_a_first_request_that_is_wrong_in_another_parameter_is_sent_once(
    captured: Captured, serve: Callable[..., ModelServer]
) -> None:
    """As OpenAI names it for a context that is too long; the next stream there is asked for its usage."""
    wrong = fail(400, body='{"error": {"message": "too long", "code": "context_length_exceeded", "param": "messages"}}')
    server = serve(wrong, reply("one", usage=USAGE))
    with pytest.raises(openai.BadRequestError, match="too long"):
        stream(server)
    operation, _ = stream(server)

    assert operation.usage == COUNTED
    assert [call.status for call in server.truth.calls] == [400, 200]


def test_a_bad_first_request_is_tried_again_once_for_its_endpoint(
    captured: Captured, serve: Callable[..., ModelServer]
) -> None:
    """An endpoint that rejects with and without the option is known from then on."""
    server = serve(fail(400, message="the prompt is too long", times=None))
    for _ in range(3):
        with pytest.raises(openai.BadRequestError):
            stream(server)

    assert [call.status for call in server.truth.calls] == [400, 400, 400, 400]


def test_a_server_that_speaks_of_the_option_is_believed_at_any_time(
    captured: Captured, serve: Callable[..., ModelServer]
) -> None:
    """A gateway that moved to another server may refuse what it took before: it says so, and isn't asked again."""
    refusal = fail(400, message="Unknown parameter: 'stream_options.include_usage'", when=refuses, times=None)
    server = serve(reply("one", usage=USAGE), refusal, reply("two", times=2))

    answers = [text(stream(server)[1]) for _ in range(3)]

    assert answers == ["one", "two", "two"]
    assert [call.status for call in server.truth.calls] == [200, 400, 200, 200]


@pytest.mark.parametrize("status", [401, 429, 500])
def test_other_errors_are_not_tried_again(captured: Captured, serve: Callable[..., ModelServer], status: int) -> None:
    """Only a rejected request may be the option's fault; everything else reaches the program at once."""
    server = serve(fail(status, times=None))
    with pytest.raises(openai.APIStatusError):
        stream(server)

    assert [call.status for call in server.truth.calls] == [status]


def test_usage_that_a_server_adds_unasked_stays_in_the_programs_chunks(captured: Captured) -> None:
    """Usage beside an answer is the server's own habit: we note it, and the program sees it as it always did."""
    lines = [
        {"choices": [{"index": 0, "delta": {"content": "one"}}], "usage": {"prompt_tokens": 3, "completion_tokens": 1}},
        {
            "choices": [{"index": 0, "delta": {"content": " two"}}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2},
        },
        {"choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 2}},
    ]
    body = "".join(f"data: {_json({**_CHUNK, **line})}\n\n" for line in lines) + "data: [DONE]\n\n"
    answer = httpx.Response(200, text=body, headers={"Content-Type": "text/event-stream"})
    operation = start()
    with httpx.Client(transport=httpx.MockTransport(lambda request: answer)) as http, context.attached(operation):
        api = openai.OpenAI(base_url="http://localhost/v1", api_key="sk-test", http_client=http)
        seen = list(api.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    operation.stop()

    assert operation.usage == Usage(input_tokens=3, output_tokens=2, source="provider")
    assert [chunk.usage and chunk.usage.completion_tokens for chunk in seen] == [1, 2]


def test_a_stream_that_is_left_early_is_closed(captured: Captured, serve: Callable[..., ModelServer]) -> None:
    """Leaving after the first chunk closes the connection as without us; the call is estimated or missing, not wrong."""
    server = serve(reply("one two three four five", usage=USAGE, chunk_size=1, per_chunk=0.01))
    operation = start()
    with context.attached(operation), client(server) as api:
        with api.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True) as chunks:
            first = next(iter(chunks))
    operation.close_early()
    server.settle()

    assert first.choices
    assert operation.usage == arrived(1)
    assert [call.outcome for call in server.truth.calls] == ["client_closed"]


_CHUNK = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o"}


def _json(value: Any) -> str:
    import json

    return json.dumps(value)


@pytest.mark.parametrize("knows_the_option", [True, False])
def test_a_text_that_is_continued_is_asked_for_its_usage_too(captured: Captured, knows_the_option: bool) -> None:
    """The older interface streams likewise; a server that refuses the option there is still asked for chats."""

    def answer(request: httpx.Request) -> httpx.Response:
        asks, is_chat = ASKS in json.loads(request.content), "chat" in request.url.path
        asked.append((request.url.path, asks))
        if asks and not is_chat and not knows_the_option:
            return httpx.Response(400, json={"error": {"message": "stream_options: extra fields not permitted"}})
        piece = {"index": 0, "delta": {"content": "a"}} if is_chat else {"index": 0, "text": "a"}
        told = {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 77}}
        chunks = [*[{"choices": [piece]}] * 3, *([told] if asks else ())]
        lines = (f"data: {json.dumps({'id': 'c', 'model': 'm', **chunk})}\n\n" for chunk in chunks)
        return httpx.Response(200, content="".join(lines), headers={"content-type": "text/event-stream"})

    asked: list[tuple[str, bool]] = []
    transport = httpx.MockTransport(answer)
    with running(operations.AGENT, "agent", framework="test"), httpx.Client(transport=transport) as sender:
        api = openai.OpenAI(api_key="x", http_client=sender)
        seen = list(api.completions.create(model="gpt-3.5-turbo-instruct", prompt="word " * 100, stream=True))
        list(api.chat.completions.create(model="gpt-4o", messages=MESSAGES, stream=True))
    ends = [line for name in ("text_completion", "chat") for line in captured.closing(name)]
    usages = [line.usage for line in ends if line.status == "ok"]
    counted = [(usage.output_tokens, usage.source) for usage in usages if usage]
    told, refused = (77, "provider"), ("/v1/completions", False)
    assert [chunk.choices[0].text for chunk in seen] == ["a", "a", "a"]
    assert counted == ([told, told] if knows_the_option else [(3, "estimated"), told])
    again = [] if knows_the_option else [refused]
    assert asked == [("/v1/completions", True), *again, ("/v1/chat/completions", True)]
