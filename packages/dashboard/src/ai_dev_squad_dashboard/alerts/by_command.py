"""Telling by a command: its own arguments, no shell, the message as JSON on its standard input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from contextlib import suppress
from typing import Any, Final

from .alert import Message
from .bodies import body
from .errors import DeliveryError
from .rules import Receiver

__all__ = ["send"]

_KEPT: Final = 400
_CHUNK: Final = 64 * 1024


def send(receiver: Receiver, message: Message, _: int) -> None:
    """Run the command and wait for it. Raises ``DeliveryError`` unless it ends with 0 in time."""
    name = receiver.command[0]
    try:
        process = subprocess.Popen(  # noqa: S603 - what runs is named by whoever runs the dashboard, in a file
            receiver.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            # A group of its own, so that what it started is stopped with it.
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise DeliveryError(f"{name} cannot be started ({getattr(error, 'strerror', None) or error})") from None
    said = bytearray()
    threads = [
        threading.Thread(target=_feed, args=(process, json.dumps(body(message, "json")).encode()), daemon=True),
        threading.Thread(target=_drain, args=(process.stderr, said), daemon=True),
    ]
    for thread in threads:
        thread.start()
    try:
        code = process.wait(receiver.timeout_s)
    except subprocess.TimeoutExpired:
        # Before it is waited for: until then its number, and so its group, is nobody else's.
        _stop(process)
        raise DeliveryError(f"{name} did not end within {receiver.timeout_s:g} s and was stopped") from None
    finally:
        for thread in threads:
            thread.join(1)
    if code:
        words = " ".join(said.decode("utf-8", "replace").split())
        raise DeliveryError(f"{name} ended with {code}{f': {words}' if words else ''}")


def _feed(process: subprocess.Popen[bytes], content: bytes) -> None:
    # It may end without reading.
    with suppress(OSError), process.stdin as pipe:  # type: ignore[union-attr]
        pipe.write(content)


def _drain(pipe: Any, kept: bytearray) -> None:
    """Read all, so that it is not held up, and keep the end."""
    with suppress(OSError, ValueError), pipe:
        while chunk := pipe.read1(_CHUNK):
            kept += chunk
            del kept[:-_KEPT]


def _stop(process: subprocess.Popen[bytes]) -> None:
    if hasattr(os, "killpg"):
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
