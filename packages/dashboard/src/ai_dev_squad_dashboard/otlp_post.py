"""One OTLP request over HTTP, and what its receiver says of it."""

from __future__ import annotations

import gzip
import http.client
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import msgspec

__all__ = ["Answer", "endpoint_for", "post"]

Verdict = Literal["taken", "later", "too large", "unreadable", "forbidden", "refused", "away"]

_SHOWN = 300
_VERDICTS: dict[int, Verdict] = {
    400: "unreadable",
    401: "forbidden",
    403: "forbidden",
    413: "too large",
    422: "unreadable",
}


@dataclass(frozen=True)
class Answer:
    """What came of a request."""

    verdict: Verdict
    """``taken``; ``later``: the same again, after ``retry_after_s``; ``too large`` and ``unreadable``: never as it is;
    ``forbidden``: not with this token; ``refused``: for a reason that OTLP does not know; ``away``: nobody answered."""
    problem: str = ""
    """In the receiver's words what it did not take, or why."""
    rejected: int = 0
    """Records that it left out of a request that it took."""
    retry_after_s: float | None = None


def endpoint_for(url: str, signal: str) -> str:
    """Where to send a signal (``traces``, ``logs``, ``metrics``): the path of OTLP below ``url``, unless it has it already.

    Raises ``ValueError`` for what is no address of HTTP.
    """
    if not url.startswith(("http://", "https://")):
        raise ValueError(f"{url!r} is no address; write it with http:// or https://, such as http://127.0.0.1:8080")
    path = f"/v1/{signal}"
    return url if url.rstrip("/").endswith(path) else url.rstrip("/") + path


def post(url: str, body: bytes, headers: Mapping[str, str], *, timeout: float = 60.0) -> Answer:
    """Send a request, in JSON unless ``headers`` say otherwise, gzipped, and wait for the answer, ``timeout`` seconds at most. Never
    raises for what a network does.
    """
    sent = {"Content-Type": "application/json", "Content-Encoding": "gzip", **headers}
    request = Request(url, gzip.compress(body, 1), sent)  # noqa: S310 - the user's own address
    try:
        with urlopen(request, timeout=timeout) as answer:  # noqa: S310
            return _taken(answer.read())
    except HTTPError as error:
        with error:
            said = error.read(_SHOWN).decode(errors="replace").strip()
        problem = f"refused with status {error.code}" + (f": {said}" if said and said.isprintable() else "")
        if error.code in {429, 502, 503, 504}:
            return Answer("later", problem, retry_after_s=_seconds(error.headers.get("Retry-After")))
        return Answer(_VERDICTS.get(error.code, "refused"), problem)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return Answer("away", str(getattr(error, "reason", None) or error) or type(error).__name__)


def _taken(body: bytes) -> Answer:
    try:
        partial = msgspec.json.decode(body or b"{}", type=dict[str, Any]).get("partialSuccess") or {}
        rejected = next((int(value) for name, value in partial.items() if name.startswith("rejected")), 0)
        return Answer("taken", str(partial.get("errorMessage", "")), rejected)
    except (msgspec.DecodeError, ValueError, TypeError, AttributeError):
        return Answer("taken")  # a receiver that took it and says so in its own words


def _seconds(text: str | None) -> float | None:
    try:
        return min(max(0.0, float(text or "")), 300.0)
    except ValueError:
        return None
