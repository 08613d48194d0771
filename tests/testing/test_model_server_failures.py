"""Everything that can go wrong on purpose: errors, time-outs, broken streams, wrong content."""

from __future__ import annotations

from typing import Any

import httpx
import openai
import pytest

from ai_dev_squad_testing.model_server import (
    ModelServer,
    Script,
    Step,
    disconnect,
    fail,
    hang,
    reply,
    tokens,
)

USER: Any = [{"role": "user", "content": "hello"}]
BODY = {"model": "m", "messages": USER}
STREAMED = {**BODY, "stream": True, "stream_options": {"include_usage": True}}


def client_of(server: ModelServer, **options: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="k", **{"max_retries": 0, **options})


def ask(client: openai.OpenAI, **options: Any) -> Any:
    return client.chat.completions.create(model="m", messages=USER, **options)


@pytest.mark.parametrize(
    "status,kind",
    [
        (400, openai.BadRequestError),
        (401, openai.AuthenticationError),
        (404, openai.NotFoundError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
def test_errors_are_the_clients_own(status: int, kind: type[openai.APIStatusError]):
    """Every scripted status becomes the exception that the real service would cause, and bills nothing."""
    with ModelServer([fail(status, message="scripted")]) as server, client_of(server) as client:
        with pytest.raises(kind, match="scripted"):
            ask(client)

    (recorded,) = server.truth.calls
    assert (recorded.status, recorded.outcome, recorded.billed, recorded.successful) == (status, "failed", None, False)


def test_a_rate_limit_says_when_to_come_back():
    """Retry-After is sent in seconds and in milliseconds, and the error carries the provider's code."""
    with ModelServer([fail(429, retry_after=0.25, code="insufficient_quota")]) as server:
        response = httpx.post(f"{server.base_url}/chat/completions", json=BODY)

    assert (response.headers["retry-after"], response.headers["retry-after-ms"]) == ("0.25", "250")
    assert response.json()["error"] == {
        "message": "Rate limit reached. Please try again later.",
        "type": "requests",
        "param": None,
        "code": "insufficient_quota",
    }


def test_times_and_for_ever():
    """``times`` repeats a failure; None repeats it without end."""
    with ModelServer([fail(500, times=2), fail(503, times=None)]) as server:
        found = [httpx.post(f"{server.base_url}/chat/completions", json=BODY).status_code for _ in range(4)]

    assert found == [500, 500, 503, 503]
    assert server.truth.steps_left == ()


def test_a_call_that_hangs_ends_when_the_client_gives_up():
    """The client's time-out is a real one; the retry after it is answered."""
    with ModelServer([hang(), reply("late")]) as server:
        with client_of(server, timeout=0.2, max_retries=1) as client:
            assert ask(client).choices[0].message.content == "late"
        truth = server.settle()

    assert [(c.outcome, c.status, c.billed, c.retry) for c in truth.calls] == [
        ("hung", None, None, 0),
        ("completed", 200, tokens(2, 1), 1),
    ]


def test_a_connection_closed_without_a_word():
    """A disconnect is a connection error for the client, not an HTTP status."""
    with ModelServer([disconnect()]) as server, client_of(server) as client:
        with pytest.raises(openai.APIConnectionError):
            ask(client)
        truth = server.settle()

    assert [(c.outcome, c.status) for c in truth.calls] == [("cut", None)]


def lines_before_the_break(server: ModelServer) -> tuple[list[str], bool]:
    """The lines of a stream, and whether it broke."""
    lines: list[str] = []
    try:
        with httpx.stream("POST", f"{server.base_url}/chat/completions", json=STREAMED) as response:
            lines.extend(line for line in response.iter_lines() if line)
    except httpx.RemoteProtocolError:
        return lines, True
    return lines, False


def test_a_stream_cut_in_the_middle():
    """The connection ends after the scripted number of events; the tokens are billed and never reported."""
    with ModelServer([reply("one two three four five", cut_after=2)]) as server:
        lines, broke = lines_before_the_break(server)
        truth = server.settle()

    assert (len(lines), broke) == (2, True)
    (recorded,) = truth.calls
    assert (recorded.outcome, recorded.status, recorded.events_sent) == ("cut", 200, 2)
    assert (recorded.billed, recorded.reported, recorded.successful) == (tokens(2, 6), None, False)


def test_a_stream_cut_inside_a_line():
    """Half of the next line is sent before the cut: no JSON parser can read it."""
    with ModelServer([reply("one two three four five", cut_after=2, half_line=True)]) as server:
        received = b""
        with pytest.raises(httpx.RemoteProtocolError):
            with httpx.stream("POST", f"{server.base_url}/chat/completions", json=STREAMED) as response:
                for data in response.iter_raw():
                    received += data

    *whole, half = received.split(b"\n\n")
    assert len(whole) == 2
    assert half.startswith(b"data: {")
    assert not half.endswith(b"}")


def test_the_openai_client_sees_the_cut():
    """The real client raises in the middle of the iteration, after the pieces that came."""
    with ModelServer([reply("one two three four five", cut_after=3)]) as server, client_of(server) as client:
        said = []
        with pytest.raises((openai.APIConnectionError, httpx.RemoteProtocolError)):
            said.extend(chunk.choices[0].delta.content for chunk in ask(client, stream=True))

    assert said == ["", "one two thre", "e four five"]


def test_a_plain_response_cut_in_its_body():
    """Half of the body arrives, less than its content length promises."""
    with ModelServer([reply("x" * 100, cut_after=0)]) as server, client_of(server) as client:
        with pytest.raises(openai.APIConnectionError):
            ask(client)
        truth = server.settle()

    assert [(c.outcome, c.billed, c.reported) for c in truth.calls] == [("cut", tokens(2, 25), None)]


def test_a_cut_beyond_the_end_is_a_mistake_in_the_script():
    """A stream too short to be cut there would pass for a whole one, so the request is refused."""
    with ModelServer([reply("short", cut_after=50)]) as server:
        response = httpx.post(f"{server.base_url}/chat/completions", json=STREAMED)

    assert response.status_code == 400
    assert "cut_after=50, but this stream has 5 events" in response.json()["error"]["message"]
    assert [c.outcome for c in server.truth.calls] == ["unexpected"]


def test_a_client_that_closes_the_stream_early():
    """The server stops sending; the call is billed, and no usage was told."""
    step = reply("word " * 200, per_chunk=0.02)
    with ModelServer([step]) as server, client_of(server) as client:
        stream = ask(client, stream=True, stream_options={"include_usage": True})
        next(iter(stream))
        stream.close()
        (recorded,) = server.settle().calls

    assert (recorded.outcome, recorded.billed, recorded.reported) == ("client_closed", tokens(2, 250), None)
    assert 1 <= recorded.events_sent < 80


def test_latencies_delay_what_they_name():
    """Latency comes before the head, first_token before the first event, per_chunk before each further one."""
    step = reply("abc", latency=0.02, first_token=0.03, per_chunk=0.01)
    with ModelServer(Script([step, step])) as server:
        assert httpx.post(f"{server.base_url}/chat/completions", json=STREAMED).text.endswith("data: [DONE]\n\n")
        assert httpx.post(f"{server.base_url}/chat/completions", json=BODY).status_code == 200
        streamed, plain = server.truth.calls

    # Five events. Lower bounds only: how much longer it takes is the machine's affair.
    assert (streamed.duration_s or 0) >= 0.02 + 0.03 + 4 * 0.01 - 0.005
    assert (plain.duration_s or 0) >= 0.02 - 0.005


@pytest.mark.parametrize("body", [BODY, STREAMED])
def test_a_wrong_content_type(body: dict[str, Any]):
    """A proxy's HTML header over a good body."""
    with ModelServer([reply("hi", content_type="text/html")]) as server:
        response = httpx.post(f"{server.base_url}/chat/completions", json=body)

    assert (response.status_code, response.headers["content-type"]) == (200, "text/html")


def test_an_error_page_instead_of_json():
    """A gateway's HTML page as the body of an error."""
    page = fail(503, body="<html>Bad gateway</html>", content_type="text/html")
    with ModelServer([page]) as server, client_of(server) as client:
        with pytest.raises(openai.InternalServerError) as caught:
            ask(client)

    assert caught.value.response.text == "<html>Bad gateway</html>"


def test_a_request_no_step_matches():
    """The answer, which no client retries, says what was asked and which steps are left; the truth counts it."""
    from ai_dev_squad_testing.model_server import role, system_contains

    script = [role("planner", system_contains("plan"), reply("a plan"))]
    with ModelServer(script) as server, client_of(server, max_retries=3) as client:
        with pytest.raises(openai.BadRequestError) as caught:
            ask(client)

    assert caught.value.code == "unexpected_request"
    assert (
        "no step of the script matches this request: chat.completions, model 'm', 1 messages, system '', "
        "last (user) 'hello', tools none. Steps left: 0: reply('a plan') when system contains 'plan'"
    ) in caught.value.message
    (recorded,) = server.truth.unexpected
    assert (recorded.status, recorded.billed, recorded.step) == (400, None, None)
    assert server.truth.steps_left == ("0: reply('a plan') when system contains 'plan'",)


def boom(request: Any) -> Step:
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    "step,message",
    [
        (boom, "the script raised RuntimeError('boom')"),
        (lambda request: 42, "(request) returned 42; return reply(...)"),
        (reply("x", when=boom), "the script raised RuntimeError('boom')"),
    ],
)
def test_a_script_that_raises_tells_the_client(step: Any, message: str):
    """A mistake in a script's own function is a 400 with its text, never a silent hang."""
    with ModelServer([step]) as server:
        response = httpx.post(f"{server.base_url}/chat/completions", json=BODY)

    assert (response.status_code, response.json()["error"]["code"]) == (400, "script_error")
    assert message in response.json()["error"]["message"]
    assert len(server.truth.unexpected) == 1


@pytest.mark.parametrize(
    "body,message",
    [
        ({"messages": USER}, "you must provide a model parameter"),
        ({"model": "m"}, "messages must be a list of objects"),
        ({"model": "m", "messages": []}, "messages is empty"),
        ({"model": "m", "messages": ["hi"]}, "messages must be a list of objects"),
        ({"model": "m", "messages": USER, "n": 0.5}, "n is 0.5"),
        ({"model": "m", "messages": USER, "tools": [3]}, "a part of the body has a wrong type"),
        ({**BODY, "stream_options": {"include_usage": True}}, "stream_options is only allowed when stream is true"),
        ([], "the body is a JSON list"),
        (
            {"model": "m", "messages": [{"role": "tool", "content": "x", "tool_call_id": "c1"}]},
            "answers tool call 'c1', which the assistant message before it did not ask for",
        ),
        (
            {
                "model": "m",
                "messages": [
                    {"role": "assistant", "tool_calls": [{"id": "c1", "function": {"name": "f", "arguments": "{}"}}]},
                    *USER,
                ],
            },
            "must be followed by a tool message for each; unanswered: c1",
        ),
    ],
)
def test_a_body_the_service_would_refuse(body: Any, message: str):
    """A malformed request gets the reason, uses up no step, and is recorded as rejected."""
    with ModelServer([reply("x")]) as server:
        response = httpx.post(f"{server.base_url}/chat/completions", json=body)

    assert response.status_code == 400
    assert message in response.json()["error"]["message"]
    assert [c.outcome for c in server.truth.calls] == ["rejected"]
    assert server.truth.steps_left == ("0: reply('x')",)


def test_a_body_that_is_not_json():
    """Bytes that are no JSON are refused with the parser's reason."""
    with ModelServer([reply("x")]) as server:
        response = httpx.post(f"{server.base_url}/chat/completions", content=b'{"model": \xff')

    assert response.status_code == 400
    assert "the body is not JSON" in response.json()["error"]["message"]
