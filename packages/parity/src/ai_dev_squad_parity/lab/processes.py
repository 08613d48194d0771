"""Where the processes of cells come from: each from nothing, or forked from one that has imported its framework."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from ai_dev_squad_parity.lab.fork_server import printed_by

__all__ = ["End", "Processes", "end_group"]

# Importing a framework on a machine that has much else to do.
_IMPORT_S = 600.0
_DYING_S = 10.0


@dataclass(frozen=True)
class End:
    """How a cell's process ended."""

    code: int | None
    """As :class:`subprocess.Popen` has it; ``None``: it took too long and was killed, with all that it had started."""
    printed: str


class Processes:
    """Starts the processes of a run's cells, and keeps those that they are forked from until it is closed.

    A framework that ``preload`` names is imported once; the cells of any other start from nothing.
    """

    def __init__(
        self, pythons: Mapping[str, Path], preload: Mapping[str, tuple[str, ...]], environment: Mapping[str, str]
    ) -> None:
        self._pythons = pythons
        self._preload = preload
        self._environment = dict(environment)
        self._fork_servers: dict[str, _ForkServer] = {}
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for fork_server in self._fork_servers.values():
            fork_server.close()

    def python(self, framework: str) -> Path:
        """The interpreter of the framework's environment; this one where none is named."""
        return self._pythons.get(framework, Path(sys.executable))

    def run(self, framework: str, order_file: Path, limit_s: float) -> End:
        """Run one cell's process to its end. Raises ``OSError`` where the interpreter cannot be started."""
        if framework not in self._preload:
            return self._from_nothing(framework, order_file, limit_s)
        with self._lock:
            if framework not in self._fork_servers:
                self._fork_servers[framework] = _ForkServer(
                    self.python(framework), self._preload[framework], self._environment
                )
        return self._fork_servers[framework].run(order_file, limit_s)

    def _from_nothing(self, framework: str, order_file: Path, limit_s: float) -> End:
        with printed_by(order_file).open("wb") as printed:
            process = subprocess.Popen(  # noqa: S603 - the interpreter that the user names
                [str(self.python(framework)), "-m", "ai_dev_squad_parity.lab.cell", str(order_file)],
                env=self._environment, stdin=subprocess.DEVNULL, stdout=printed, stderr=subprocess.STDOUT,
                start_new_session=True, cwd=order_file.parent,
            )  # fmt: skip
            try:
                code: int | None = process.wait(limit_s)
            except subprocess.TimeoutExpired:
                end_group(process.pid)
                process.wait()
                code = None
        return End(code, _read(printed_by(order_file)))


class _ForkServer:
    """This side of :mod:`ai_dev_squad_parity.lab.fork_server`."""

    def __init__(self, python: Path, modules: tuple[str, ...], environment: Mapping[str, str]) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="parity-")
        self._printed = Path(self._folder.name, "printed")
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, self._printed.open("wb") as printed:
            self._process = subprocess.Popen(  # noqa: S603 - the interpreter that the user names
                [str(python), "-m", "ai_dev_squad_parity.lab.fork_server", *modules],
                env=environment, stdin=theirs.fileno(), stdout=printed, stderr=subprocess.STDOUT, start_new_session=True,
                cwd=self._folder.name,
            )  # fmt: skip

    def run(self, order_file: Path, limit_s: float) -> End:
        asking, telling = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with asking:
            with telling:
                try:
                    socket.send_fds(self._control, [os.fsencode(order_file)], [telling.fileno()])
                except OSError:
                    return self._died()
            try:
                process = _told(asking, _IMPORT_S)
            except TimeoutError:
                end_group(self._process.pid)
                process = None
            if process is None:
                return self._died()
            try:
                code = _told(asking, limit_s)
            except TimeoutError:
                end_group(process)
                _told(asking, None)
                return End(None, _read(printed_by(order_file)))
        return self._died() if code is None else End(code, _read(printed_by(order_file)))

    def _died(self) -> End:
        """Nothing is told any more: for the cell it is as if its own process had ended so."""
        try:
            code = self._process.wait(_DYING_S)
        except subprocess.TimeoutExpired:  # it lives, and what watched the cell does not
            code = -signal.SIGKILL
        return End(code, _read(self._printed))

    def close(self) -> None:
        self._control.close()
        try:
            self._process.wait(_DYING_S)
        except subprocess.TimeoutExpired:  # still importing, and nobody needs it
            end_group(self._process.pid)
            self._process.wait()
        self._folder.cleanup()


def _told(asking: socket.socket, limit_s: float | None) -> int | None:
    """The next number; ``None`` when there is nobody left to tell one. Raises ``TimeoutError``."""
    asking.settimeout(limit_s)
    try:
        message = asking.recv(64)
    except ConnectionError:
        return None
    return int(message) if message else None


def _read(printed: Path) -> str:
    return printed.read_text(encoding="utf-8", errors="replace")


def end_group(process: int) -> None:
    """Kill a process that was started with ``start_new_session``, with all that it has started."""
    # The program may have started processes of its own: it leads a group, where there are groups.
    try:
        if hasattr(os, "killpg"):
            os.killpg(process, signal.SIGKILL)
        else:
            os.kill(process, signal.SIGTERM)
    except ProcessLookupError:
        pass
