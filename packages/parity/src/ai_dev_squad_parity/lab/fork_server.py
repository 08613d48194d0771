"""A process that has imported a framework, and forks a cell's process whenever it is asked.

    python -m ai_dev_squad_parity.lab.fork_server MODULE...

Importing a framework takes most of a cell's time, and is the same for each. So it happens once; no program has run here,
nothing was observed, and no thread was started. Standard input is a socket: each message is the path of an order, with
another socket on which the process is told, first its id and then how it ended.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import socket
import sys
import time
from pathlib import Path

from ai_dev_squad.frameworks import adapted_frameworks
from ai_dev_squad_parity.lab import cell

__all__ = ["main", "preloaded", "printed_by"]

# What a client of OpenAI imports when it is made and asked for the first time.
_CLIENT = ("openai.resources", "openai.types", "openai.lib.streaming.chat", "httpcore", "h11")
# What observing imports when it begins; none of it does anything before.
_OBSERVING = tuple(f"ai_dev_squad.{name}" for name in ("compat", "costs", "events", "redaction", "tracing"))


def preloaded(observer: str) -> dict[str, tuple[str, ...]]:
    """Framework → what nearly all of its programs import, and what observes them, where that is ours.

    Empty where no process may be forked that has imported so much: system libraries of macOS do not survive it.
    """
    if sys.platform != "linux":
        return {}
    return {
        name: (*info.preload, *_CLIENT, *((*_OBSERVING, str(info.module)) if observer == "ours" else ()))
        for name, info in adapted_frameworks().items()
    }


def printed_by(order_file: Path) -> Path:
    """Where what a cell's process prints goes."""
    return order_file.with_suffix(".printed")


def main(arguments: list[str] | None = None) -> int:
    """Import the modules that are named, then fork for each order until nobody can ask any more."""
    imported_ms = _import(sys.argv[1:] if arguments is None else arguments)
    control = socket.socket(fileno=os.dup(0))
    # What is imported stays: a collection in a fork would only copy its pages.
    gc.freeze()
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 65536, 1)
        _reap()
        if not message:
            return 0
        teller = socket.socket(fileno=descriptors[0])
        if os.fork() == 0:
            control.close()
            return _watched(Path(os.fsdecode(message)), teller, imported_ms)
        teller.close()


def _import(names: list[str]) -> float:
    """Import what is there. Returns the milliseconds that it took, without those for what is ours."""
    total_ms = 0.0
    for name in names:
        began = time.perf_counter()
        # What cannot be imported is the cell's to say, which imports it too.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
        total_ms += 0 if name.startswith("ai_dev_squad") else (time.perf_counter() - began) * 1000
    return total_ms


def _reap() -> None:
    """Those who watched a cell and have told how it ended."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _watched(order_file: Path, teller: socket.socket, imported_ms: float) -> int:
    """Fork the cell's process, which returns from here; tell how it ended."""
    process = os.fork()
    if process == 0:
        teller.close()
        os.setsid()
        for flags, target, path in (
            (os.O_RDONLY, 0, os.devnull),
            (os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 1, printed_by(order_file)),
        ):
            opened = os.open(path, flags, 0o600)
            os.dup2(opened, target)
            os.close(opened)
        os.dup2(1, 2)
        return cell.main([str(order_file)], imported_ms=imported_ms)
    teller.send(b"%d" % process)
    _, status = os.waitpid(process, 0)
    teller.send(b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
