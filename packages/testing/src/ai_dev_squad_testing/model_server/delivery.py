"""From an answer to timed pieces on the wire: streams, plain bodies, and both of them cut."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

from . import chat, converse, embeddings, gemini, messages, ollama, responses
from .answer import Answer, dumps
from .counts import Tokens
from .http import Delivery, response, stream_head
from .request import Endpoint
from .script import Reply, ScriptError

__all__ = ["EVENT_STREAM", "FORMATS", "body_sent", "events_sent", "plain_delivery", "stream_delivery", "told_usage"]

FORMATS: Mapping[Endpoint, ModuleType] = {
    "chat.completions": chat,
    "responses": responses,
    "messages": messages,
    "gemini": gemini,
    "converse": converse,
    "ollama": ollama,
    "embeddings": embeddings,
}
"""The wire format of each endpoint: a module with ``response_id``, ``body`` and, except for embeddings, ``events``;
``CONTENT_TYPE`` where its stream is none of server-sent events."""

EVENT_STREAM = "text/event-stream; charset=utf-8"

END_OF_BODY = b"0\r\n\r\n"


def body_sent(body: dict[str, Any], reply: Reply) -> bytes:
    """The body as it goes out. Raises ``ScriptError`` when ``rewrite`` makes none of it, or several."""
    sent = [body] if reply.rewrite is None else list(reply.rewrite(body))
    if len(sent) != 1:
        raise ScriptError(f"rewrite returned {len(sent)} bodies; a plain answer has 1")
    return dumps(sent[0])


def events_sent(events: Iterable[bytes], reply: Reply) -> Iterator[bytes]:
    """The events as they go out; the mark of the end stays what it is."""
    for event in events:
        head, mark, data = event.partition(b"data: ")
        if reply.rewrite is None or data.startswith(b"[DONE]"):
            yield event
        else:
            for sent in reply.rewrite(json.loads(data)):
                yield head + mark + dumps(sent) + b"\n\n"


def plain_delivery(body: bytes, reply: Reply, headers: Mapping[str, str]) -> Delivery:
    """A response in one piece; with ``cut_after``, the connection is cut in the middle of the body."""
    data = response(200, body, content_type=reply.content_type or "application/json", headers=headers)
    timed = reply.latency > 0
    if reply.cut_after is None:
        return Delivery([(reply.latency, data)], timed=timed)
    return Delivery([(reply.latency, data[: len(data) - (len(body) + 1) // 2])], timed=timed, end="cut")


def stream_delivery(
    events: Sequence[bytes], reply: Reply, headers: Mapping[str, str], content_type: str = EVENT_STREAM
) -> Delivery:
    """A chunked stream, one event a chunk. Raises ``ScriptError`` when it is to be cut after its end."""
    chunks = [_chunk(event) for event in events]
    if reply.cut_after is None:
        # The end mark of the body travels with the last event: one without the other would be a broken stream.
        chunks[-1] += END_OF_BODY
    elif reply.cut_after >= len(events):
        raise ScriptError(f"cut_after={reply.cut_after}, but this stream has {len(events)} events; cut it earlier")
    else:
        following = events[reply.cut_after]
        chunks = chunks[: reply.cut_after]
        if reply.half_line:
            chunks.append(_chunk(following[: len(following) // 2]))
    waits = (reply.first_token, *(reply.per_chunk for _ in chunks[1:]))
    head = stream_head(reply.content_type or content_type, headers)
    return Delivery(
        [(reply.latency, head), *zip(waits, chunks, strict=False)],
        timed=bool(reply.latency or reply.first_token or reply.per_chunk),
        end="completed" if reply.cut_after is None else "cut",
    )


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def told_usage(answer: Answer, sent: int, total: int) -> Tokens | None:
    """The usage a client knows after ``sent`` of ``total`` events of a stream."""
    if answer.reported is None:
        return None
    # Chat completions and messages close the stream with one more event; the others tell it in the very last one.
    closing = answer.request.endpoint in {"chat.completions", "messages"}
    if sent >= (total - 1 if closing else total):
        return answer.reported
    if answer.request.endpoint == "messages" and sent >= 1:
        return replace(answer.reported, output_tokens=0, reasoning_output_tokens=0, audio_output_tokens=0)
    return None
