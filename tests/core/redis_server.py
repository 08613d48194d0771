"""A real Redis of the test's own, and a cable to it that can be cut."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Self

import pytest

__all__ = ["Cable", "RedisServer", "free_port", "need_redis"]

_CLOCK = frozenset({"LD_PRELOAD", "DYLD_INSERT_LIBRARIES", "FAKETIME"})
"""By what another clock is given to a process."""


def need_redis() -> None:
    """Skip where there is no server or no client."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed here (apt-get install redis-server); the Redis store is not tested")
    pytest.importorskip("redis", reason="the client is not installed here (pip install 'ai-dev-squad[redis]')")


def free_port() -> int:
    """A port of the loopback that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """``redis-server`` on a free port of the loopback. ``keeps`` whether it remembers over a restart."""

    def __init__(self, directory: Path, *, host: str = "127.0.0.1", keeps: bool = False) -> None:
        need_redis()
        self.directory, self.host, self.port = directory, host, free_port()
        self._arguments = ["--appendonly", "yes", "--appendfsync", "always"] if keeps else ["--appendonly", "no"]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://{self.host}:{self.port}/0"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        self.directory.mkdir(parents=True, exist_ok=True)
        command = ["redis-server", "--bind", self.host, "--port", str(self.port), "--save", "", "--dir", self.directory]
        # Where the tests run on a changed clock, the server keeps the machine's, as another host would; it would not start with theirs.
        environ = {name: value for name, value in os.environ.items() if name not in _CLOCK}
        with (self.directory / "redis.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, "--protected-mode", "no", *self._arguments], stdout=log, env=environ
            )
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                with socket.create_connection((self.host, self.port), 1) as connection:
                    connection.settimeout(1)
                    connection.sendall(b"PING\r\n")
                    if connection.recv(16) == b"+PONG\r\n":
                        return
            except OSError:
                pass
            time.sleep(0.01)
        pytest.fail(f"redis-server does not answer: {(self.directory / 'redis.log').read_text()[-2000:]}")

    def kill(self) -> None:
        """End it without any warning."""
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(30)
            self._process = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()


class Cable:
    """A TCP proxy on the loopback. ``cut`` makes it silent: connections stay, and nothing arrives any more."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._whole = threading.Event()
        self._whole.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Let nothing through."""
        self._whole.clear()

    def mend(self) -> None:
        """Let through what waits and what comes."""
        self._whole.set()

    def close(self) -> None:
        """End all connections."""
        self._whole.set()
        for one in [self._listener, *self._sockets]:
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
                far = socket.create_connection(("127.0.0.1", self._target), 5)
            except OSError:
                return
            far.settimeout(None)
            self._sockets += near, far
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                self._whole.wait()
                sink.sendall(data)
        except OSError:
            pass
        for one in (source, sink):
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
