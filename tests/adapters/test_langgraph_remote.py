"""A graph on another server: one client span here, and the trace goes on over there."""

from __future__ import annotations

import copy
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
import pytest
from langgraph.graph import START, StateGraph
from langgraph.pregel.remote import RemoteException, RemoteGraph
from langgraph_sdk.client import SyncLangGraphClient
from opentelemetry.trace import SpanKind
from typing_extensions import TypedDict

from ai_dev_squad import get_trace_manager, session
from ai_dev_squad_langgraph import observe
from ai_dev_squad_testing import Captured

Event = tuple[str, Any]


class State(TypedDict, total=False):
    """A little state."""

    n: int


class GraphServer:
    """Speaks as much of the LangGraph server's API as a run needs: a POST, answered by events."""

    def __init__(self) -> None:
        self.events: list[Event] = [("values", {"n": 0}), ("updates", {"plan": {"n": 1}}), ("values", {"n": 1})]
        self.status = 200
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.hold = threading.Event()
        self.hold.set()
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
                self.send_response(server.status)
                self.send_header("Content-Type", "text/event-stream" if server.status == 200 else "application/json")
                self.end_headers()
                if server.status != 200:
                    self.wfile.write(b'{"detail": "no such assistant"}')
                    return
                for number, (event, data) in enumerate(server.events):
                    if number:
                        server.hold.wait(10)
                    try:
                        self.wfile.write(f"event: {event}\ndata: {json.dumps(data)}\n\n".encode())
                        self.wfile.flush()
                    except OSError:  # the client went away
                        return

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self.hold.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()


@pytest.fixture
def server() -> Iterator[GraphServer]:
    """A graph server on the loopback."""
    running = GraphServer()
    yield running
    running.close()


@pytest.fixture
def remote(server: GraphServer) -> Iterator[Any]:
    """An observed graph on that server."""
    graph = observe(RemoteGraph("assistant-1", url=server.url, name="far"))
    yield graph
    graph.sync_client.http.client.close()


def carried(server: GraphServer) -> list[list[str]]:
    """The trace id and the span id that each request carried."""
    return [headers["traceparent"].split("-")[1:3] for _, headers, _ in server.requests]


def ids(line: Any) -> list[str]:
    """The trace id and the span id of an operation."""
    return [line.trace_id, line.span_id]


def test_a_remote_run_is_a_client_span_that_travels(captured: Captured, server: GraphServer, remote: Any) -> None:
    """The result is the server's; the request carries the span that stands for the call."""
    assert remote.invoke({"n": 0}) == {"n": 1}

    assert captured.tree() == "invoke_agent far: ok"
    (line,) = captured.closing()
    assert carried(server) == [ids(line)]
    (span,) = captured.spans
    assert (span.name, span.kind) == ("invoke_agent far", SpanKind.CLIENT)
    assert (span.attributes or {})["langgraph.assistant_id"] == "assistant-1"
    path, _, body = server.requests[0]
    assert (path, body["assistant_id"], body["input"]) == ("/runs/stream", "assistant-1", {"n": 0})


async def test_an_asynchronous_remote_run(captured: Captured, server: GraphServer, remote: Any) -> None:
    """The same for ``ainvoke`` and ``astream``."""
    assert await remote.ainvoke({"n": 0}) == {"n": 1}
    assert [chunk async for chunk in remote.astream({"n": 0}, stream_mode="values")] == [{"n": 0}, {"n": 1}]
    await remote.client.http.client.aclose()

    assert captured.tree() == "invoke_agent far: ok\ninvoke_agent far: ok"
    assert carried(server) == [ids(line) for line in captured.closing()]


def test_the_callers_headers_and_config_stay_as_they_are(captured: Captured, server: GraphServer, remote: Any) -> None:
    """Own headers are sent along, and neither they nor the config are changed."""
    headers = {"x-mine": "1"}
    config: Any = {"configurable": {"thread_id": "t1"}, "metadata": {"a": "b"}}
    before = copy.deepcopy((headers, config))

    remote.invoke({"n": 0}, config, headers=headers)

    assert (headers, config) == before
    path, sent, _ = server.requests[0]
    assert (path, sent["x-mine"]) == ("/threads/t1/runs/stream", "1")
    (line,) = captured.closing()
    assert line.session_id == "t1"
    assert (line.metadata or {})["gen_ai.conversation.id"] == "t1"


def test_a_remote_graph_as_a_node(captured: Captured, server: GraphServer, remote: Any) -> None:
    """As a node of an observed graph it stands below that node, in the same trace and session."""
    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("team", remote)
    builder.add_edge(START, "team")

    with session("session-1"):
        observe(builder.compile(name="squad")).invoke({"n": 0})

    assert captured.tree() == "invoke_workflow squad: ok\n  task team: ok\n    invoke_agent far: ok"
    assert {line.session_id for line in captured.lines} == {"session-1"}
    assert carried(server) == [ids(captured.closing("invoke_agent")[0])]


def test_a_remote_run_below_the_users_own_span(captured: Captured, server: GraphServer, remote: Any) -> None:
    """The user's current span is the parent, and the consumer's context is never changed."""
    from opentelemetry import context as otel_context

    with get_trace_manager().tracer.start_as_current_span("request") as request:
        before = otel_context.get_current()
        for _ in remote.stream({"n": 0}):
            assert otel_context.get_current() == before

    (line,) = captured.closing()
    assert line.parent_span_id == format(request.get_span_context().span_id, "016x")


def test_an_error_of_the_remote_graph(captured: Captured, server: GraphServer, remote: Any) -> None:
    """An error event is LangGraph's own exception, and the operation failed."""
    server.events = [("values", {"n": 0}), ("error", {"error": "ValueError", "message": "no plan"})]

    with pytest.raises(RemoteException):
        remote.invoke({"n": 0})

    (line,) = captured.closing()
    assert (line.status, line.error and line.error.type) == ("error", "RemoteException")
    assert captured.spans[0].status.status_code.name == "ERROR"


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_a_server_that_refuses(captured: Captured, server: GraphServer, remote: Any, asynchronous: bool) -> None:
    """An HTTP error reaches the caller as it is without us, and the operation failed."""
    server.status = 404
    plain = RemoteGraph("assistant-1", url=server.url, name="far")
    raised: list[BaseException] = []

    for graph in (plain, remote):
        with pytest.raises(Exception, match="no such assistant") as caught:
            await graph.ainvoke({"n": 0}) if asynchronous else graph.invoke({"n": 0})
        raised.append(caught.value)
        await graph.client.http.client.aclose()
    plain.sync_client.http.client.close()  # type: ignore[union-attr]

    assert [type(error) for error in raised] == [type(raised[0])] * 2
    assert [line.status for line in captured.closing()] == ["error"]


def test_a_server_that_is_not_there(captured: Captured) -> None:
    """A refused connection is an error of the operation, too."""
    with httpx.Client(base_url="http://127.0.0.1:9") as client:  # LangGraph's own client would try five times
        graph = observe(RemoteGraph("assistant-1", sync_client=SyncLangGraphClient(client), name="far"))

        with pytest.raises(httpx.ConnectError):
            graph.invoke({"n": 0})

    assert [line.status for line in captured.closing()] == ["error"]


def test_leaving_a_remote_stream_early(captured: Captured, server: GraphServer, remote: Any) -> None:
    """A consumer that goes away ends the operation, which is no error; nothing waits for the server."""
    server.hold.clear()
    stream = remote.stream({"n": 0}, stream_mode="values")

    assert next(stream) == {"n": 0}
    stream.close()

    (line,) = captured.closing()
    assert (line.status, line.error) == ("closed_early", None)
    assert captured.spans[0].status.status_code.name == "UNSET"


async def test_leaving_an_asynchronous_remote_stream_early(
    captured: Captured, server: GraphServer, remote: Any
) -> None:
    """The same for ``astream``."""
    server.hold.clear()
    stream = remote.astream({"n": 0}, stream_mode="values")

    assert await anext(stream) == {"n": 0}
    await stream.aclose()
    await remote.client.http.client.aclose()

    assert [line.status for line in captured.closing()] == ["closed_early"]


def test_an_interrupt_in_a_remote_node_is_no_error(captured: Captured, server: GraphServer, remote: Any) -> None:
    """A remote graph that waits for a person interrupts the graph around it."""
    from langgraph.checkpoint.memory import InMemorySaver

    server.events = [("updates", {"__interrupt__": [{"value": "ok?", "id": "i-1"}]})]
    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("team", remote)
    builder.add_edge(START, "team")
    graph = observe(builder.compile(name="squad", checkpointer=InMemorySaver()))

    graph.invoke({"n": 0}, {"configurable": {"thread_id": "t1"}})

    assert captured.tree() == (
        "invoke_workflow squad: interrupted\n  task team: interrupted\n    invoke_agent far: interrupted"
    )
