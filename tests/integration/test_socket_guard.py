"""The guard that keeps tests off the network is itself tested, or it would protect nothing."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest


def test_a_connection_to_the_loopback_is_let_through():
    """A server on 127.0.0.1 can be reached by number and by name."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        for host in ("127.0.0.1", "localhost"):
            with socket.create_connection((host, port), timeout=5):
                server.accept()[0].close()


@pytest.mark.dials("192.0.2.7")
def test_a_marked_test_may_try_to_reach_the_hosts_it_names(socket_guard):
    """The marker lets the attempt through to the operating system; nothing is refused."""
    dial()
    assert socket_guard.refused == []


def test_an_attempt_elsewhere_is_refused_and_remembered(socket_guard):
    """The caller gets a ConnectionRefusedError, and a caller that swallows it, in any thread, is found out as well."""
    assert refusal(dial) == "tests may not reach '192.0.2.7'; mark the test with @pytest.mark.dials('192.0.2.7')"
    assert "collector.example" in refusal(lambda: socket.getaddrinfo("collector.example", 4318))
    thread = threading.Thread(target=lambda: refusal(dial))
    thread.start()
    thread.join()
    assert socket_guard.refused == [
        "socket.connect 192.0.2.7",
        "socket.getaddrinfo collector.example",
        "socket.connect 192.0.2.7",
    ]
    socket_guard.refused.clear()


def dial() -> None:
    """Start connecting to an address reserved for documentation, without waiting for an answer."""
    with socket.socket() as client:
        client.setblocking(False)
        try:
            client.connect(("192.0.2.7", 9))
        except ConnectionRefusedError:
            raise
        except OSError:
            pass


def refusal(attempt: Callable[[], object]) -> str:
    """The text of the refusal, swallowed as a careless library would."""
    try:
        attempt()
    except ConnectionRefusedError as error:
        return str(error)
    return ""
