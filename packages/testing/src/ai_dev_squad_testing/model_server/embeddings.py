"""The wire format of ``/v1/embeddings``. Vectors follow from the text alone."""

from __future__ import annotations

import base64
import hashlib
import math
import struct
from typing import Any

from .answer import Answer

__all__ = ["body", "response_id", "vector"]

DIMENSIONS = 16


def response_id(answer: Answer) -> None:
    """Embeddings have no id."""


def vector(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """A unit vector made from the text's hash: the same text has the same vector, and two texts hardly ever do."""
    needed = dimensions * 4
    data = b"".join(
        hashlib.sha256(f"{k}:{text}".encode("utf-8", "surrogatepass")).digest() for k in range(-(-needed // 32))
    )
    numbers = [n / 2**31 - 1 for n in struct.unpack(f"<{dimensions}I", data[:needed])]
    length = math.sqrt(sum(n * n for n in numbers)) or 1.0
    return [n / length for n in numbers]


def body(answer: Answer) -> dict[str, Any]:
    """The response, in floats or base64 as asked."""
    asked = answer.request.body
    dimensions = asked.get("dimensions") or DIMENSIONS
    data = []
    for index, message in enumerate(answer.request.messages):
        numbers: Any = vector(message.text, dimensions)
        if asked.get("encoding_format") == "base64":
            numbers = base64.b64encode(struct.pack(f"<{dimensions}f", *numbers)).decode()
        data.append({"object": "embedding", "index": index, "embedding": numbers})
    response: dict[str, Any] = {"object": "list", "model": answer.model, "data": data}
    if answer.reported is not None:
        tokens = answer.reported.input_tokens
        response["usage"] = {"prompt_tokens": tokens, "total_tokens": tokens}
    return response
