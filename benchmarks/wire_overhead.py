"""What does a tap on the wire add to a request, to a model call and to an event of a stream?

Model calls go through httpx2, over a transport that answers at once; other requests through a client that does nothing,
so that the rest of a request doesn't hide what is added. Blocks with and without a tap take turns in one process. What other work on the machine takes away it takes from
some blocks only, so targets look at the difference between the best blocks; the median difference stands beside it.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

import environments
from report import Report, Target, main
from worker import Worker, serve

_USAGE = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
_EVENTS = 2000


class _Quiet:
    """An observer that does nothing, so that only the tap is measured."""

    def asked(self, exchange: Any) -> None:
        pass

    def ended(self, exchange: Any) -> None:
        pass


def _event(**more: Any) -> bytes:
    choice = {"index": 0, "delta": {"content": "word"}, "finish_reason": None}
    base = {"id": "c", "model": "m", "object": "chat.completion.chunk", "created": 1, "choices": [choice]}
    return b"data: " + json.dumps({**base, **more}).encode() + b"\n\n"


def _pieces(events: list[bytes], size: int | None) -> list[bytes]:
    whole = b"".join(events)
    return events if size is None else [whole[start : start + size] for start in range(0, len(whole), size)]


def _tap() -> Any:
    from ai_dev_squad import wire

    return wire.install(_Quiet())


class Subject(NamedTuple):
    """What is done, how often in a block, how many units one of it is, and what hangs a tap over it."""

    do: Callable[[], Any]
    calls: int
    units: int = 1
    tap: Callable[[], Any] = _tap


def _subjects() -> dict[str, Subject]:
    import httpx2

    from ai_dev_squad.patching import Patches
    from ai_dev_squad.wire.doors import DOORS
    from ai_dev_squad.wire.passage import Passage

    answer = {"id": "c", "model": "m", "choices": [{"message": {"role": "assistant", "content": "y" * 4000}}]}
    whole = json.dumps({**answer, "usage": _USAGE}).encode()
    streams = {
        "/plain": _pieces([_event()] * _EVENTS, None),
        "/usage": _pieces([_event(usage=_USAGE)] * _EVENTS, None),
        "/pieces": _pieces([_event()] * _EVENTS, 1 << 16),
    }

    class Pieces(httpx2.SyncByteStream):
        def __init__(self, pieces: list[bytes]) -> None:
            self._pieces = pieces

        def __iter__(self) -> Any:
            yield from self._pieces

    def respond(request: httpx2.Request) -> httpx2.Response:
        path = request.url.path
        if path.endswith("/chat/completions"):
            pieces = streams.get(path.removesuffix("/chat/completions"))
            if pieces is not None:
                return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Pieces(pieces))
            return httpx2.Response(200, headers={"content-type": "application/json"}, content=whole)
        return httpx2.Response(204)

    class Idle:
        """What httpx2 is to its door, for requests that only have to pass it."""

        class Client:
            def send(self, request: Any) -> None:
                pass

        AsyncClient, RequestNotRead = httpx2.AsyncClient, httpx2.RequestNotRead
        SyncByteStream, AsyncByteStream = httpx2.SyncByteStream, httpx2.AsyncByteStream

    client = httpx2.Client(transport=httpx2.MockTransport(respond))

    def passing(method: str, path: str, **body: Any) -> Subject:
        request, idle = client.build_request(method, f"http://api.example.com{path}", **body), Idle.Client()

        def tap() -> Patches:
            with Patches() as patches:
                DOORS["httpx2"](Idle, patches, Passage(_Quiet()))
                return patches.pop_all()

        return Subject(lambda: idle.send(request), 2000, tap=tap)

    def sending(path: str, **body: Any) -> Subject:
        request = client.build_request("POST", f"http://api.example.com{path}", **body)
        return Subject(lambda: client.send(request), 50)

    def streaming(path: str) -> Subject:
        body = {"model": "gpt-4o", "stream": True}
        request = client.build_request("POST", f"http://api.example.com{path}/chat/completions", json=body)

        def read() -> None:
            response = client.send(request, stream=True)
            for _ in response.iter_raw():
                pass
            response.close()

        return Subject(read, 1, _EVENTS)

    asked = {"model": "gpt-4o", "messages": [{"role": "user", "content": "x" * 50_000}]}
    return {
        "GET": passing("GET", "/v1/things/42?x=1"),
        "unrelated POST": passing("POST", "/v1/things/42/comments", json={"a": 1}),
        "model call, 50 kB": sending("/v1/chat/completions", json=asked),
        "event of a stream": streaming("/plain"),
        "event with usage": streaming("/usage"),
        "event in pieces of 64 KiB": streaming("/pieces"),
    }


def _work(name: str) -> None:
    """Take turns, without and with a tap."""
    do, calls, units, tap = _subjects()[name]
    warm_up = max(1, calls // 4)

    def block() -> float:
        started = time.thread_time()
        for _ in range(calls):
            do()
        return (time.thread_time() - started) / calls / units

    def run(repetitions: int) -> dict[str, Any]:
        bare, tapped = [], []
        for _ in range(repetitions):
            bare.append(block())
            with tap():
                for _ in range(warm_up):  # the doors were just hung: the interpreter looks everything up anew
                    do()
                tapped.append(block())
        return {"bare": bare, "tapped": tapped, "versions": environments.versions("ai-dev-squad", "httpx2", "msgspec")}

    serve(run)


_LIMITS = {"GET": 1, "unrelated POST": 4, "model call, 50 kB": 40, "event of a stream": 10, "event with usage": 10}


def measure(options: argparse.Namespace) -> Report:
    """Each subject in a process of its own."""
    repetitions = 20 if options.quick else 100
    report = Report(
        title="The wire",
        how="Requests over httpx2 and a transport that answers at once; CPU time of the best of "
        f"{repetitions} blocks without, and of {repetitions} with a tap, in turn.",
        columns={"subject": "", "without, us": ".2f", "added, us": ".2f", "median added, us": ".2f"},
    )
    python = environments.python_of(environments.OURS)
    for name in _subjects():
        worker = Worker(python, __file__, name)
        worker.ask(repetitions=3)  # warms up
        answer = worker.ask(repetitions=repetitions)
        worker.close()
        report.used(answer["versions"])
        bare, tapped = answer["bare"], answer["tapped"]
        added = (min(tapped) - min(bare)) * 1e6
        middle = median(one - other for one, other in zip(tapped, bare, strict=True)) * 1e6
        without = min(bare) * 1e6
        report.rows.append({"subject": name, "without, us": without, "added, us": added, "median added, us": middle})
        if name in _LIMITS:
            limit = _LIMITS[name]
            report.targets.append(Target(f"at most {limit} us for each {name}", f"{added:.2f} us", added <= limit))
    return report


if __name__ == "__main__":
    main(measure, _work, __doc__)
