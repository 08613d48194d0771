"""Who sends all the while: OTLP that is repeated until it was taken, and an observed program whose journal is shipped as well."""

from __future__ import annotations

import json
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

__all__ = ["Sender", "Truth"]

_PAUSE_S = 0.1
_TIMEOUT_S = 8.0
_AGAIN = frozenset({429, 502, 503, 504})
"""What OTLP's protocol says to send again."""


@dataclass(frozen=True)
class Truth:
    """What has to be in the store: no less, and no more."""

    spans: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: Truth) -> Truth:
        return Truth(
            self.spans + other.spans,
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cost_usd + other.cost_usd,
        )


class Sender:
    """Posts runs of three spans to ``url``, each request until somebody has taken it, every fifth once more afterwards."""

    def __init__(self, url: str, token: str, number: int) -> None:
        self._url, self._token, self._number = url, token, number
        self._lock = threading.Lock()
        self._taken = Truth()
        self._attempts = 0
        self._refusal = (0, "")
        self._dear = ""
        self._going = threading.Event()
        self._idle = threading.Event()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def taken(self) -> Truth:
        """What was acknowledged."""
        with self._lock:
            return self._taken

    @property
    def failed(self) -> int:
        """How often a request was sent in vain."""
        with self._lock:
            return self._attempts

    @property
    def refusal(self) -> tuple[int, str]:
        """The status and the text of the last answer that was none of taking."""
        with self._lock:
            return self._refusal

    def go(self) -> None:
        """Send until ``rest``."""
        self._idle.clear()
        self._going.set()

    def rest(self, timeout: float = 120) -> None:
        """Stop, once the request under way was taken, and what was to be spent is."""
        self._going.clear()
        assert self._idle.wait(timeout), "a request was not taken, though everything runs again"

    def spend(self, agent: str) -> None:
        """Have the runs of the next request be of ``agent``, and cost six dollars."""
        with self._lock:
            self._dear = agent

    def end(self) -> None:
        """Stop for good."""
        self._ended.set()
        self._going.set()
        self._thread.join(30)

    def _run(self) -> None:
        number = 0
        while not self._ended.is_set():
            if not self._going.is_set() and not self._dear:
                self._idle.set()
                self._going.wait()
                continue
            body, told = self._request(number)
            self._until_taken(body)
            with self._lock:
                self._taken += told
            if number % 5 == 0:
                self._until_taken(body)  # a sender that did not hear the answer
            number += 1
            time.sleep(_PAUSE_S)

    def _until_taken(self, body: bytes) -> None:
        while not self._ended.is_set():
            request = Request(
                self._url + "/v1/traces",
                body,
                {"Content-Type": "application/json", "Authorization": f"Bearer {self._token}"},
            )
            try:
                with urlopen(request, timeout=_TIMEOUT_S) as answer:
                    answer.read()
                    if answer.status == 200:
                        return
            except HTTPError as error:
                with error:
                    if error.code not in _AGAIN:
                        raise
                    with self._lock:
                        self._refusal = (error.code, error.read().decode(errors="replace"))
            except (URLError, OSError):
                pass
            with self._lock:
                self._attempts += 1
            time.sleep(_PAUSE_S)

    def _request(self, number: int) -> tuple[bytes, Truth]:
        """Some runs: an agent that calls a model and a tool."""
        spans: list[dict[str, Any]] = []
        told = Truth()
        now = time.time_ns()
        with self._lock:
            dear, self._dear = self._dear, ""
        for run in range(4):
            trace = f"{self._number:04x}{number:014x}{run:014x}"
            call = Truth(3, 100 + run, 10, 1.5 if dear else 0.001)
            told += call
            spans += _run_of(trace, dear or "crew", call, now)
        body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
        return json.dumps(body).encode(), told


def _run_of(trace: str, agent: str, call: Truth, now: int) -> list[dict[str, Any]]:
    def span(last: str, parent: str | None, operation: str, name: str, **attributes: Any) -> dict[str, Any]:
        given = {"gen_ai.operation.name": operation, "gen_ai.agent.name": agent, **attributes}
        return {
            "traceId": trace,
            "spanId": trace[:4] + trace[8:18] + last,
            **({"parentSpanId": trace[:4] + trace[8:18] + parent} if parent else {}),
            "name": name,
            "startTimeUnixNano": str(now - 50_000_000),
            "endTimeUnixNano": str(now),
            "attributes": [{"key": key, "value": _value(value)} for key, value in given.items()],
        }

    run = trace[-1]
    usage = {
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.usage.input_tokens": call.input_tokens,
        "gen_ai.usage.output_tokens": call.output_tokens,
        "ai_dev_squad.cost.usd": call.cost_usd,
    }
    return [
        span(f"{run}1", None, "invoke_agent", f"invoke_agent {agent}"),
        span(f"{run}2", f"{run}1", "chat", "chat gpt-4o-mini", **usage),
        span(f"{run}3", f"{run}1", "execute_tool", "execute_tool look up", **{"gen_ai.tool.name": "look up"}),
    ]


def _value(value: Any) -> dict[str, Any]:
    if isinstance(value, str):
        return {"stringValue": value}
    return {"intValue": str(value)} if isinstance(value, int) else {"doubleValue": value}


def main(model_server: str) -> None:
    """An observed program: makes runs until its standard input ends."""
    import httpx

    import ai_dev_squad
    from ai_dev_squad.kinds import AGENT, TOOL
    from ai_dev_squad.running import running

    ai_dev_squad.configure(service_name="squad")
    ended = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
    runs = 0
    with httpx.Client(base_url=model_server, timeout=30) as client:
        while not ended.wait(0.2):
            with running(AGENT, "program", framework="my-squad", session_id=f"s{runs % 3}"):
                question = [{"role": "user", "content": f"what of {runs}?"}]
                answer = client.post("/v1/chat/completions", json={"model": "gpt-4o-mini", "messages": question})
                answer.raise_for_status()
                with running(TOOL, "look up", framework="my-squad"):
                    pass
            runs += 1
    ai_dev_squad.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
