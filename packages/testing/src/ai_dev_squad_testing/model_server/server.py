"""The server: a thread with an event loop that answers from the script and records the truth."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from . import responses
from .answer import Answer, answer, dumps, error_body
from .background import Background
from .delivery import EVENT_STREAM, FORMATS, body_sent, events_sent, plain_delivery, stream_delivery, told_usage
from .http import Connection, Delivery, End, HttpRequest, response
from .performance import NoStepError, Performance, Taken
from .request import Endpoint, ModelRequest, RequestError, parse
from .script import Fail, Hang, Line, Reply, Script, Step
from .truth import Outcome, Recorder, Ticket, Truth

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

__all__ = ["ModelServer"]

_ENDPOINTS: dict[str, Endpoint] = {
    "/chat/completions": "chat.completions",
    "/responses": "responses",
    "/messages": "messages",
    "/embeddings": "embeddings",
    ":generateContent": "gemini",
    ":streamGenerateContent": "gemini",
    "/converse": "converse",
    "/converse-stream": "converse",
    "/api/chat": "ollama",
}

ACCEPTED_AT_ONCE = 100
"""Connections in one turn of the loop: those that are open are served in between."""


class ModelServer:
    """A model provider on loopback that plays a script and knows the truth.

    ``with ModelServer(script) as server:`` or ``start()`` and ``close()``. ``server.base_url`` is for OpenAI clients,
    ``server.url`` for Anthropic's. Raises ``OSError`` when the port is taken.
    """

    def __init__(
        self,
        script: Script | Iterable[Line] = (),
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        models: Sequence[str] = ("gpt-4o-mini", "gpt-4o", "text-embedding-3-small"),
        keep_messages: bool = False,
    ) -> None:
        self.script = script if isinstance(script, Script) else Script(script)
        self.host = host
        self.port = port
        self.models = tuple(models)
        self._performance = Performance(self.script)
        self._recorder = Recorder(keep_messages=keep_messages)
        self._connections: set[Connection] = set()
        self._background = Background()
        self._barriers: dict[int, asyncio.Barrier] = {}
        self._coming: set[asyncio.Task[Any]] = set()
        self._thread: threading.Thread | None = None
        self._stop: Callable[[], object] = lambda: None

    @property
    def url(self) -> str:
        """``http://127.0.0.1:PORT``, without a path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """The URL with ``/v1``, as OpenAI clients want it."""
        return f"{self.url}/v1"

    @property
    def truth(self) -> Truth:
        """What happened so far. Calls under way are ``active``; ``settle()`` waits for them."""
        return Truth(self._recorder.calls(), self._performance.left())

    def settle(self, timeout: float = 5.0) -> Truth:
        """Wait until no call is under way, then the truth. Raises ``TimeoutError`` after ``timeout`` seconds."""
        if not self._recorder.settle(timeout):
            active = [c.index for c in self._recorder.calls() if c.outcome == "active"]
            raise TimeoutError(
                f"calls {active} are still under way after {timeout} s; let their clients finish or close"
            )
        return self.truth

    def reset(self) -> None:
        """Forget the truth and start the script again."""
        self._performance.reset()
        self._background.forget()
        self._recorder.reset()

    def start(self) -> Self:
        """Listen, and answer from now on. Starting twice is an error."""
        if self._thread is not None:
            raise RuntimeError("the server is running already; close() it before another start()")
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        listener = socket.create_server((self.host, self.port), family=family, backlog=1024)
        self.port = listener.getsockname()[1]
        self._barriers = {}  # those of an earlier start belong to its event loop
        loop = asyncio.SelectorEventLoop()
        stop = loop.create_future()
        self._stop = lambda: loop.call_soon_threadsafe(stop.set_result, None)
        self._thread = threading.Thread(
            target=self._run, args=(loop, listener, stop), name=f"model-server-{self.port}", daemon=True
        )
        self._thread.start()
        return self

    def close(self) -> None:
        """Close every connection and end the thread. The truth stays. Closing twice is harmless."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop()
            thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _run(self, loop: asyncio.SelectorEventLoop, listener: socket.socket, stop: asyncio.Future[None]) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_until_complete(self._serve(listener, stop))
        finally:
            asyncio.set_event_loop(None)
            loop.close()

    async def _serve(self, listener: socket.socket, stop: asyncio.Future[None]) -> None:
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        loop.add_reader(listener, self._accept, listener, loop)
        await stop
        loop.remove_reader(listener)
        listener.close()
        # A connection just accepted has yet to come up, and an aborted one reports its loss in a later turn of the
        # loop; when neither is left, every record is closed.
        own = asyncio.current_task()
        while self._connections or asyncio.all_tasks() != {own}:
            for connection in tuple(self._connections):
                connection.abort()
            await asyncio.sleep(0)

    def _accept(self, listener: socket.socket, loop: asyncio.AbstractEventLoop) -> None:
        # Not asyncio's own server: closing that one while a connection comes up leaks the socket (Python 3.11).
        for _ in range(ACCEPTED_AT_ONCE):
            try:
                accepted, _ = listener.accept()
            except OSError:
                return  # nobody is left, went away already, or there is no file descriptor for him: the loop asks again
            accepted.setblocking(False)
            coming = loop.create_task(loop.connect_accepted_socket(self._connection, accepted))
            self._coming.add(coming)
            coming.add_done_callback(self._coming.discard)

    def _connection(self) -> Connection:
        return Connection(self._answer, self._connections)

    def _answer(self, http: HttpRequest) -> Delivery:
        for suffix, endpoint in _ENDPOINTS.items():
            if http.path.endswith(suffix):
                if http.method != "POST":
                    return _plain(405, {"error": {"message": f"{http.method} is not allowed here; use POST"}})
                return self._model_call(endpoint, http)
        return self._other(http)

    def _other(self, http: HttpRequest) -> Delivery:
        if (told := self._background.told(http)) is not None:
            return told
        match (http.method, http.path):
            case ("GET", "/truth"):
                return _plain(200, self.truth.to_dict())
            case ("POST", "/reset"):
                self.reset()
                return _plain(200, {"reset": True})
            case ("GET", "/v1/models" | "/models"):
                data = [{"id": m, "object": "model", "created": 0, "owned_by": "scripted"} for m in self.models]
                return _plain(200, {"object": "list", "data": data})
            case ("GET", "/"):
                return _plain(200, {"script": repr(self.script), "calls": len(self._recorder.calls())})
        known = ", ".join(
            (
                *(f"/v1{path}" if path.startswith("/") else f"/v1/models/MODEL{path}" for path in _ENDPOINTS),
                "/v1/models",
                "/truth",
                "/reset",
            )
        )
        return _plain(404, {"error": {"message": f"unknown path {http.method} {http.path}; known: {known}"}})

    def _model_call(self, endpoint: Endpoint, http: HttpRequest) -> Delivery:
        try:
            request = parse(endpoint, http.body, http.headers, http.path)
        except (RequestError, AttributeError, TypeError, KeyError) as error:
            # The other kinds come from a body whose parts have the wrong JSON type.
            message = str(error) if isinstance(error, RequestError) else f"a part of the body has a wrong type: {error}"
            ticket = self._recorder.open(ModelRequest(endpoint, "", (), headers=http.headers))
            return self._refuse(ticket, endpoint, "rejected", Fail(400, message))
        ticket = self._recorder.open(request)
        try:
            return self._perform(ticket, request)
        except NoStepError as error:
            return self._refuse(ticket, endpoint, "unexpected", Fail(400, str(error), code="unexpected_request"))
        except Exception as error:  # noqa: BLE001 (a script's own functions may raise anything)
            message = f"the script raised {error!r}"
            return self._refuse(ticket, endpoint, "unexpected", Fail(400, message, code="script_error"))

    def _refuse(self, ticket: Ticket, endpoint: Endpoint, outcome: Outcome, fail: Fail) -> Delivery:
        self._recorder.close(ticket, outcome, status=fail.status, error=fail.message)
        return _plain(fail.status, error_body(endpoint, fail))

    def _perform(self, ticket: Ticket, request: ModelRequest) -> Delivery:
        taken = self._take(request)
        self._recorder.update(ticket, step=taken.label, role=taken.step.role)
        action = taken.step.resolve(request)
        if isinstance(action, Fail):
            return self._failure(ticket, request.endpoint, action)
        if isinstance(action, Hang):
            return Delivery(
                (),
                end="hung",
                hang_seconds=action.seconds,
                before_last=lambda end, sent: self._recorder.close(ticket, end),
            )
        if request.endpoint == "embeddings":
            action = replace(action, texts=("",), calls=())
        return self._reply(ticket, answer(request, action, taken, ticket.index))

    def _take(self, request: ModelRequest) -> Taken:
        try:
            return self._performance.take(request)
        except NoStepError:
            if request.endpoint != "embeddings":
                raise
            return Taken(Step(Reply()), None, 0)

    def _failure(self, ticket: Ticket, endpoint: Endpoint, fail: Fail) -> Delivery:
        headers = {}
        if fail.retry_after is not None:
            headers = {"retry-after": f"{fail.retry_after:g}", "retry-after-ms": f"{fail.retry_after * 1000:g}"}
        data = response(fail.status, error_body(endpoint, fail), content_type=fail.content_type, headers=headers)
        self._recorder.update(ticket, status=fail.status, error=fail.code or str(fail.status))

        def before_last(end: End, sent: int) -> None:
            self._recorder.close(ticket, "failed" if end == "completed" else "client_closed")

        return Delivery([(fail.latency, data)], timed=fail.latency > 0, before_last=before_last)

    def _reply(self, ticket: Ticket, answered: Answer) -> Delivery:
        request, reply = answered.request, answered.reply
        wire = FORMATS[request.endpoint]
        headers = {"x-request-id": f"req_{answered.number}"}
        in_background = request.endpoint == "responses" and bool(request.body.get("background"))
        if request.stream and request.endpoint != "embeddings":
            events = list(events_sent(wire.events(answered), reply))
            delivery = stream_delivery(events, reply, headers, getattr(wire, "CONTENT_TYPE", EVENT_STREAM))
        else:
            events = []
            body = responses.queued(answered) if in_background else wire.body(answered)
            delivery = plain_delivery(body_sent(body, reply), reply, headers)
        if in_background:
            self._background.begin(answered)
        self._recorder.update(
            ticket,
            status=200,
            billed=answered.billed,
            finish_reasons=(answered.finish_reason,) * len(answered.texts),
            tool_calls=answered.calls,
            response_id=wire.response_id(answered),
            response_model=answered.model,
            service_tier=reply.service_tier,
        )

        def before_last(end: End, sent: int) -> None:
            told = told_usage(answered, max(0, sent - 1), len(events)) if events else None
            if not events and end == "completed":
                told = None if in_background else answered.reported
            self._recorder.close(ticket, end, reported=told, events_sent=max(0, sent - 1) if events else 0)

        delivery.before_last = before_last
        delivery.barrier = self._barrier(reply.together)
        return delivery

    def _barrier(self, together: int) -> asyncio.Barrier | None:
        if together == 1:
            return None
        return self._barriers.setdefault(together, asyncio.Barrier(together))


def _plain(status: int, value: Any) -> Delivery:
    return Delivery([(0.0, response(status, value if isinstance(value, bytes) else dumps(value)))])
