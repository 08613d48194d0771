"""The server on real sockets: pages, live clients, slow clients, limits, and its end."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import Flask, request
from flask_socketio import SocketIO

from ai_dev_squad_dashboard import server as server_module
from ai_dev_squad_dashboard import server_connections
from ai_dev_squad_dashboard.live_limit import LiveLimit
from ai_dev_squad_dashboard.server import DashboardServer, ServerError, check_port, serve, url
from ai_dev_squad_dashboard.server_shares import Shares
from ai_dev_squad_dashboard.settings import DashboardSettings

LIVE = 8
REFUSAL = (
    b"8 live connections are open, and more are not allowed; close a page, or raise max_live_clients "
    b"(DASHBOARD_MAX_LIVE_CLIENTS)"
)


class Held:
    """What an application holds open, as the server sees it."""

    def __init__(self, socketio: SocketIO, live_limit: LiveLimit) -> None:
        self.socketio = socketio
        self.live_limit = live_limit
        self.closed: list[float] = []

    def close(self, timeout: float) -> None:
        self.closed.append(timeout)


def make_app(limit: int = LIVE) -> Flask:
    app = Flask(__name__)
    app.secret_key = "tests"
    socketio = SocketIO(app, async_mode="threading", max_http_buffer_size=10_000)
    live_limit = LiveLimit(app.wsgi_app, socketio, limit)
    app.wsgi_app = live_limit  # type: ignore[method-assign]
    app.extensions["ai_dev_squad"] = Held(socketio, live_limit)

    @app.get("/")
    def index() -> str:
        return "hello"

    @app.get("/echo/<path:what>")
    def echo_path(what: str) -> str:
        return what

    @app.get("/big")
    def big() -> bytes:
        return b"x" * 20_000_000

    @app.post("/upload")
    def upload() -> str:
        return str(len(request.get_data()))

    @socketio.on("connect")
    def connect() -> None:
        socketio.emit("greeting", {"to": "you"}, to=request.sid)  # type: ignore[attr-defined]

    @socketio.on("echo")
    def echo(data: Any) -> Any:
        return data

    return app


@pytest.fixture
def app() -> Flask:
    return make_app()


@pytest.fixture
def server(app: Flask) -> Iterator[DashboardServer]:
    running = DashboardServer(app, DashboardSettings(port=0, max_request_mib=1))
    running.start()
    yield running
    running.stop()


def dial(server: DashboardServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def ask(server: DashboardServer, path: str = "/", more: str = "", body: bytes = b"") -> tuple[int, bytes]:
    """One request on a connection of its own: status and body."""
    method = "POST" if body else "GET"
    with dial(server) as connection:
        # HTTP/1.0: the answer comes in one piece and ends with the connection.
        head = f"{method} {path} HTTP/1.0\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        connection.sendall(head.encode() + body)
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    answer, _, content = received.partition(b"\r\n\r\n")
    return int(answer.split()[1]), content


class Client:
    """A Socket.IO client by WebSocket, bare: text frames in, text frames out."""

    def __init__(self, server: DashboardServer) -> None:
        self._socket = dial(server)
        self._socket.settimeout(20)
        self._socket.sendall(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"
            b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aaaaaaaaaaaaaaaaaaaaaa==\r\n\r\n"
        )
        self._read = self._socket.makefile("rb")
        assert self._read.readline().startswith(b"HTTP/1.1 101 ")
        while self._read.readline().strip():
            pass

    def send(self, text: str) -> None:
        data = text.encode()
        size = struct.pack("!B", 0x80 | len(data)) if len(data) < 126 else struct.pack("!BH", 0xFE, len(data))
        self._socket.sendall(b"\x81" + size + bytes(4) + data)  # masked with zeros

    def frame(self) -> tuple[int, bytes]:
        """The next frame: its kind (1 text, 8 the end) and what is in it; ``(8, b"")`` for an end without a word."""
        try:
            head = self._read.read(2)
        except OSError:
            head = b""
        if len(head) < 2:
            return 8, b""
        size = head[1]
        if size >= 126:
            size = int.from_bytes(self._read.read(2 if size == 126 else 8), "big")
        return head[0] & 15, self._read.read(size)

    def receive(self) -> str:
        kind, data = self.frame()
        assert kind == 1
        return data.decode()

    def end(self) -> int | None:
        """Read to the end; the reason that the server gave."""
        while (frame := self.frame())[0] != 8:
            pass
        return int.from_bytes(frame[1][:2], "big") or None

    def close(self) -> None:
        self._read.close()
        self._socket.close()


def connect(server: DashboardServer) -> Client:
    """A client that has been greeted."""
    client = Client(server)
    assert client.receive().startswith('0{"sid":')
    client.send("40")
    greetings = sorted([client.receive(), client.receive()])
    assert greetings[0].startswith('40{"sid":')
    assert greetings[1] == '42["greeting",{"to":"you"}]'
    return client


def eventually(holds: Any) -> None:
    for _ in range(1_000):
        if holds():
            return
        time.sleep(0.01)
    raise AssertionError("this never came true")


def test_pages_are_served_and_connections_kept(server: DashboardServer) -> None:
    """Two requests on one connection are answered, and no version of the server is told."""
    with dial(server) as connection:
        for _ in range(2):
            connection.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            answer = b""
            while not answer.endswith(b"hello"):
                answer += connection.recv(65_536)
            assert answer.startswith(b"HTTP/1.1 200 ")
            assert b"Server: ai-dev-squad\r\n" in answer


def test_a_websocket_talks_both_ways(server: DashboardServer) -> None:
    """A Socket.IO client by WebSocket is greeted and gets its own words back, for as long as it likes."""
    client = connect(server)
    for number in range(3):
        client.send(f'42{number}["echo",{{"n":{number}}}]')
        assert client.receive() == f'43{number}[{{"n":{number}}}]'
    client.close()
    eventually(lambda: server._server.live.count() == 0)


def test_polling_works_without_holding_a_worker(server: DashboardServer) -> None:
    """A client that polls is served too; while its request waits for news, its connection is nobody else's."""
    status, body = ask(server, "/socket.io/?EIO=4&transport=polling")
    assert (status, body[:1]) == (200, b"0")
    session = body.decode().split('"sid":"')[1].split('"')[0]
    assert ask(server, f"/socket.io/?EIO=4&transport=polling&sid={session}", body=b"40") == (200, b"OK")
    status, body = ask(server, f"/socket.io/?EIO=4&transport=polling&sid={session}")
    assert status == 200
    assert min(part[:2] for part in body.split(b"\x1e")) == b"40"


def test_a_connection_that_polled_serves_pages_as_well(server: DashboardServer) -> None:
    """After a live request the same connection goes back among the others."""
    with dial(server) as connection:
        for path, expected in [("/socket.io/?EIO=4&transport=polling", b"0{"), ("/", b"hello")]:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            answer = b""
            while expected not in answer:
                answer += connection.recv(65_536)


def test_live_clients_are_limited_and_leave_room(server: DashboardServer) -> None:
    """Beyond the limit a WebSocket is refused with the cure; when one leaves, another may come; pages are served throughout."""
    clients = [connect(server) for _ in range(LIVE)]
    upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aaaaaaaaaaaaaaaaaaaaaa==\r\n"
    assert ask(server, "/socket.io/?EIO=4&transport=websocket", upgrade) == (503, REFUSAL)
    assert ask(server) == (200, b"hello")
    clients.pop().close()
    eventually(lambda: server._server.live_limit.count() < LIVE)
    clients.append(connect(server))
    for client in clients:
        client.close()


@pytest.mark.parametrize("named", ["", "&xsid=1", "&sid="])
def test_many_handshakes_at_once_get_the_places_that_there_are(server: DashboardServer, named: str) -> None:
    """However a handshake is dressed up, as many are answered as may be live, and all others are refused."""
    answers: list[tuple[int, bytes]] = []
    threads = [
        threading.Thread(target=lambda: answers.append(ask(server, f"/socket.io/?EIO=4&transport=polling{named}")))
        for _ in range(100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(status for status, _ in answers) == [200] * LIVE + [503] * (100 - LIVE)
    assert {body for status, body in answers if status == 503} == {REFUSAL}
    assert ask(server) == (200, b"hello")


def test_a_client_polls_sends_and_upgrades_in_its_place_and_what_it_asks_beyond_takes_others(app: Flask) -> None:
    """Nobody occupies the server by asking a hundred times in one name, or in the name of a client that is not there."""
    app = make_app(2)
    limit = app.extensions["ai_dev_squad"].live_limit
    session = app.test_client().get("/socket.io/?EIO=4&transport=polling").text.split('"sid":"')[1].split('"')[0]
    asked = [{"QUERY_STRING": f"EIO=4&transport=polling&sid={session}"} for _ in range(6)]
    assert [limit.enter(environ) for environ in asked] == [True] * 5 + [False]
    assert limit.enter({"QUERY_STRING": "EIO=4&transport=polling&sid=nobody"}) is False
    limit.leave(asked[4])
    others = {"QUERY_STRING": "EIO=4&transport=polling&sid=nobody"}
    assert limit.enter(others) is True
    assert limit.count() == 2
    limit.leave(others)
    assert limit.count() == 1


def test_another_server_gives_the_same_answer() -> None:
    """The limit holds under any WSGI server: it is the application's own."""
    app = make_app(1)
    asked = [app.test_client().get("/socket.io/?EIO=4&transport=polling") for _ in range(2)]
    assert [answer.status_code for answer in asked] == [200, 503]
    assert (asked[1].data, asked[1].headers["Retry-After"]) == (REFUSAL.replace(b"8 live", b"1 live"), "10")


def test_a_hundred_live_clients_at_once() -> None:
    """A hundred clients that connect at the same time are all told what happens, and pages are answered meanwhile."""
    app = make_app(128)
    running = DashboardServer(app, DashboardSettings(port=0))
    running.start()
    clients: list[Client] = []
    failures: list[BaseException] = []

    def come() -> None:
        try:
            clients.append(connect(running))
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=come) for _ in range(100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    assert ask(running) == (200, b"hello")
    app.extensions["ai_dev_squad"].socketio.emit("news", {"n": 1})
    heard = []
    for client in clients:
        # Pings may come in between.
        while '"news"' not in (text := client.receive()):
            pass
        heard.append(text)
    assert heard == ['42["news",{"n":1}]'] * 100
    running.stop()
    for client in clients:
        client.end()
        client.close()


def test_a_message_that_is_too_large_ends_the_connection(server: DashboardServer) -> None:
    """A live client cannot make the server keep a message beyond its limit."""
    client = connect(server)
    client.send("x" * 50_000)
    assert client.end() == 1009
    client.close()
    assert ask(server) == (200, b"hello")


def test_a_live_client_that_reads_nothing_is_let_go(
    server: DashboardServer, app: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When a client's connection is full for too long it is ended, and the others hear the news all the same."""
    monkeypatch.setattr(server_connections, "LIVE_SEND_S", 1.0)
    deaf = connect(server)
    listener = connect(server)
    heard: list[str] = []
    listening = threading.Thread(target=lambda: heard.extend(listener.receive() for _ in range(8)))
    listening.start()
    socketio = app.extensions["ai_dev_squad"].socketio
    for _ in range(8):
        socketio.emit("news", {"text": "x" * 4_000_000})
    listening.join(60)
    assert [text[:10] for text in heard] == ['42["news",'] * 8
    eventually(lambda: server._server.live.count() == 1)
    deaf.close()
    listener.close()


def test_slow_senders_do_not_keep_others_waiting(server: DashboardServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """With more half-sent requests than there were workers, pages are answered, and the slow ones are given up on."""
    monkeypatch.setattr(server_connections, "GRACE_S", 1.0)
    slow = [dial(server) for _ in range(40)]
    for connection in slow:
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\nx")
    assert ask(server) == (200, b"hello")
    answers = []
    for connection in slow:
        with connection:
            answers.append(connection.recv(65_536).split(b"\r\n")[0])
    assert answers == [b"HTTP/1.1 408 REQUEST TIMEOUT"] * 40


def test_a_trickle_is_given_up_on(server: DashboardServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that comes byte by byte, each in time, is ended when all of it takes too long."""
    monkeypatch.setattr(server_connections, "GRACE_S", 0.5)
    monkeypatch.setattr(server_connections, "LEAST_RATE", 1_000_000)
    with dial(server) as connection:
        ended = False
        for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"y" * 10_000:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                ended = True
                break
            time.sleep(0.02)
        assert ended


def test_half_heads_need_no_worker_and_are_given_up_on(
    server: DashboardServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More half-sent heads than there may be workers start none and keep nobody waiting; in time they are closed."""
    monkeypatch.setattr(server_connections, "GRACE_S", 0.1)
    before = set(threading.enumerate())
    slow = [dial(server) for _ in range(150)]
    for connection in slow:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: local")
    assert ask(server) == (200, b"hello")
    assert set(threading.enumerate()) - before == set()
    assert [connection.recv(100) for connection in slow] == [b""] * 150
    for connection in slow:
        connection.close()


def test_a_head_that_comes_in_pieces_is_answered(server: DashboardServer) -> None:
    """Each byte by itself, and the next request in the same piece as the end of the one before."""
    with dial(server) as connection:
        for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\n\r":
            connection.sendall(bytes([byte]))
            time.sleep(0.001)
        connection.sendall(b"\nGET / HTTP/1.1\r\nHost: local")
        eventually(lambda: connection.recv(100_000).endswith(b"hello"))
        connection.sendall(b"host\r\nConnection: close\r\n\r\n")
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    assert received.endswith(b"\r\n\r\nhello")


def test_whoever_fills_all_places_makes_room_for_others(
    server: DashboardServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When as many connections wait as may, the oldest is closed for a new one, which is answered."""
    monkeypatch.setattr(server_module, "WAITING_CONNECTIONS", 20)
    silent = [dial(server) for _ in range(30)]
    assert ask(server) == (200, b"hello")
    assert silent[0].recv(10) == b""
    for connection in silent:
        connection.close()


def test_one_address_has_only_some_of_the_workers() -> None:
    """Its further connections wait for its own to be done, in order; another address is served meanwhile."""
    served: list[str] = []
    shares = Shares(2, lambda connection: served.append(connection.name))
    slow = [SimpleNamespace(remote_addr="192.0.2.1", name=f"slow{number}") for number in range(4)]
    for connection in (*slow, SimpleNamespace(remote_addr="192.0.2.2", name="visitor")):
        shares.hand_over(connection)
    assert served == ["slow0", "slow1", "visitor"]
    for connection in slow[:3]:
        shares.give_back(connection)
    assert served == ["slow0", "slow1", "visitor", "slow2", "slow3"]
    shares.give_back(slow[3])
    shares.hand_over(slow[0])
    assert served[-1] == "slow0"


POST = "POST /upload HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = POST + "Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "sent",
    [
        POST + "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        POST + "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
        POST + "Content-Length: 5, 5\r\n\r\nhello",
        POST + "Content-Length: +5\r\n\r\nhello",
        POST + "Content-Length: 1_0\r\n\r\nhellohello",
        POST + "Content-Length: -5\r\n\r\nhello",
        POST + "Content-Length:\r\n\r\nhello",
        POST + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        POST + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        POST + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
        POST.replace("1.1", "1.0") + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        CHUNKED + "0x2\r\nhi\r\n0\r\n\r\n",
        CHUNKED + "+2\r\nhi\r\n0\r\n\r\n",
        CHUNKED + "1_0\r\nhihihihihihihihi\r\n0\r\n\r\n",
        CHUNKED + "-1\r\nhi\r\n0\r\n\r\n",
        CHUNKED + "2\nhi\r\n0\r\n\r\n",
        CHUNKED + "2\r\nhiX0\r\n\r\n",
        CHUNKED + "\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n folded\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\x00b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: a\rY: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX Y: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\nHost: localhost\n\n",
        "GET / HTTP/+1.1\r\nHost: localhost\r\n\r\n",
    ],
)
def test_framing_in_doubt_is_refused_and_ends_the_connection(server: DashboardServer, sent: str) -> None:
    """What a proxy in front could read otherwise is a 400, and nothing behind it is taken for a request."""
    with dial(server) as connection:
        connection.sendall(sent.encode("latin-1") + b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        received = b""
        try:
            while chunk := connection.recv(65_536):
                received += chunk
        except ConnectionResetError:
            pass
    assert received.startswith(b"HTTP/1.1 400 ")
    assert received.count(b"HTTP/1.1 ") == 1


def test_a_body_nobody_reads_is_no_next_request(server: DashboardServer) -> None:
    """Chunks for a page that takes none, with a request inside: one answer, then the end."""
    inside = b"GET /big HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with dial(server) as connection:
        connection.sendall(
            b"GET / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
            % (len(inside), inside)
        )
        received = b""
        try:
            while chunk := connection.recv(65_536):
                received += chunk
        except ConnectionResetError:
            pass
    assert received.count(b"HTTP/1.1 ") == 1


def test_trailers_are_read_and_dropped(server: DashboardServer) -> None:
    """They end the body and are no headers of the next request on the connection."""
    with dial(server) as connection:
        connection.sendall(
            (CHUNKED + "2;x=y\r\nhi\r\n3 \r\nyou\r\n0\r\nX-Sum: 5\r\n\r\n").encode()
            + b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: Close\r\n\r\n"
        )
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    assert [part.rpartition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 200")[1:]] == [b"5", b"hello"]


def test_connections_that_say_nothing_need_no_worker(server: DashboardServer) -> None:
    """Hundreds of silent connections neither delay a page nor start a thread."""
    before = set(threading.enumerate())  # some may be of an earlier test and end meanwhile
    silent = [dial(server) for _ in range(200)]
    assert ask(server) == (200, b"hello")
    assert set(threading.enumerate()) - before == set()
    for connection in silent:
        connection.close()


def test_a_slow_reader_gets_all_of_a_large_answer(server: DashboardServer) -> None:
    """A client that reads steadily but slowly gets a large answer whole."""
    with dial(server) as connection:
        connection.sendall(b"GET /big HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        size = 0
        while chunk := connection.recv(200_000):
            size += len(chunk)
            time.sleep(0.002)
    assert size > 20_000_000


@pytest.mark.parametrize(
    "head, status",
    [
        ("Content-Length: 50000000", 413),
        ("Content-Length: x", 400),
        ("X-Long: " + "y" * 100_000, 413),
    ],
)
def test_what_is_too_large_or_odd_is_refused(server: DashboardServer, head: str, status: int) -> None:
    """Heads and announced bodies beyond the limits are refused without being read."""
    with dial(server) as connection:
        connection.sendall(f"POST /upload HTTP/1.1\r\nHost: localhost\r\n{head}\r\n\r\n".encode())
        assert int(connection.recv(65_536).split()[1]) == status
    assert ask(server) == (200, b"hello")


@pytest.mark.parametrize(
    "sent, read", [("a%2Fb", "a/b"), ("a%252Fb", "a%2Fb"), ("%2e%2E%2fx", "../x"), ("%C3%A9", "é")]
)
def test_an_escaped_slash_in_a_path_is_a_slash(server: DashboardServer, sent: str, read: str) -> None:
    """What stands in a path is unescaped once, slashes too."""
    assert ask(server, f"/echo/{sent}") == (200, read.encode())


def test_a_body_within_the_limit_arrives_whole(server: DashboardServer) -> None:
    """A large request is taken, plain and in chunks."""
    assert ask(server, "/upload", body=b"x" * 1_000_000) == (200, b"1000000")
    with dial(server) as connection:
        connection.sendall(
            b"POST /upload HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n"
        )
        received = b""
        while chunk := connection.recv(65_536):
            received += chunk
    assert received.endswith(b"\r\n\r\n11")


def test_half_a_body_is_no_body(server: DashboardServer) -> None:
    """When a sender goes away in the middle the application does not take what came for all."""
    with dial(server) as connection:
        connection.sendall(b"POST /upload HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nhalf")
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(65_536).startswith(b"HTTP/1.1 400 ")


def test_a_websocket_handshake_with_more_in_it_is_refused(server: DashboardServer) -> None:
    """Bytes that come before the handshake is answered would be lost, so the request is refused."""
    upgrade = b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: aaaaaaaaaaaaaaaaaaaaaa==\r\n"
    with dial(server) as connection:
        connection.sendall(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: localhost\r\n" + upgrade + b"\r\n\x81\x8240"
        )
        assert connection.recv(65_536).startswith(b"HTTP/1.1 400 ")
    assert server._server.live.count() == 0


def test_a_taken_port_names_the_cure() -> None:
    """Where somebody listens already, the error says who it may be and how to go on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError) as caught:
            check_port("127.0.0.1", port)
    assert str(caught.value) == (
        f"port {port} of 127.0.0.1 is in use, maybe by a dashboard that is running already (http://127.0.0.1:{port}/); stop "
        f"that program, or take another port: --port {port + 1}, or --port 0 for any free one"
    )


@pytest.mark.parametrize(
    "host, expected",
    [
        ("127.0.0.1", "http://127.0.0.1:80/"),
        ("0.0.0.0", "http://127.0.0.1:80/"),
        ("::", "http://[::1]:80/"),
        ("::1", "http://[::1]:80/"),
        ("localhost", "http://localhost:80/"),
    ],
)
def test_the_address_is_one_that_a_browser_can_open(host: str, expected: str) -> None:
    """Addresses that mean all of them are shown as this machine's own."""
    assert url(host, 80) == expected


def test_serving_from_another_thread(app: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    """``serve`` works in a thread beside a program, tells its address, and closes the application when the server ends."""
    addresses: list[str] = []
    settings = DashboardSettings(port=0)
    thread = threading.Thread(target=serve, args=(app, settings), kwargs={"ready": addresses.append}, daemon=True)
    thread.start()
    eventually(lambda: addresses)
    parts = urlsplit(addresses[0])
    with socket.create_connection((parts.hostname or "", parts.port or 0), timeout=10) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200")
