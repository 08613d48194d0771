"""A variant that is measured, in a process of its own, asked over a pipe, so that repetitions of several can alternate.

The parent holds one ``Worker`` per variant and asks them in turn: what the machine does beside us then hits all alike.
"""

from __future__ import annotations

import gc
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["Worker", "WorkerFailed", "fresh", "in_turns", "resident_bytes", "serve"]

Variant = Callable[..., Mapping[str, Any]]


class WorkerFailed(RuntimeError):
    """The worker's process died or answered with an error."""


class Worker:
    """The parent's end: starts ``python script --worker variant`` and asks it."""

    def __init__(self, python: Path, script: str, variant: str, **environ: str) -> None:
        self.variant = variant
        self._process = subprocess.Popen(
            [python, script, "--worker", variant],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **environ},
            text=True,
        )

    def ask(self, **request: Any) -> dict[str, Any]:
        """Let the variant do ``request`` and return its answer. Raises ``WorkerFailed``."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        except OSError as error:
            raise WorkerFailed(f"{self.variant} is gone: {error}") from error
        answer = self._process.stdout.readline()
        if not answer:
            raise WorkerFailed(f"{self.variant} ended with code {self._process.wait()}")
        return json.loads(answer)

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def in_turns(
    python: Path, script: str, variants: Iterable[str], repetitions: int, **request: Any
) -> dict[str, list[dict[str, Any]]]:
    """What each variant answers to ``request`` in each repetition, one after another, each in a process of its own."""
    workers = {name: Worker(python, script, name) for name in variants}
    answers: dict[str, list[dict[str, Any]]] = {name: [] for name in workers}
    for number in range(repetitions + 1):
        for name, worker in workers.items():
            answer = worker.ask(**request)
            if number:  # the first repetition warms up
                answers[name].append(answer)
    for worker in workers.values():
        worker.close()
    return answers


def serve(variant: Variant) -> None:
    """The child's end: answer requests from stdin until it closes. What the variant prints goes to stderr.

    A request with ``weigh`` is answered with what the process holds afterwards, too.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        is_weighed = request.pop("weigh", False)
        answer = {**variant(**request), **(_held() if is_weighed else {})}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _held() -> dict[str, int]:
    """``blocks`` of Python's allocator that are in use after a collection, and the ``resident`` bytes of the process."""
    for _ in range(2):  # what finalizers let go of goes in the second
        gc.collect()
    return {"blocks": sys.getallocatedblocks(), "resident": resident_bytes()}


def resident_bytes() -> int:
    """How large this process is in memory."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


def fresh(python: Path, script: str, variant: str, timeout: float = 600, **environ: str) -> dict[str, Any]:
    """One answer of a process that lives only for it: ``python script --worker variant``, last line of stdout."""
    done = subprocess.run(
        [python, script, "--worker", variant],
        # Where bytecode may not be written, each import would be measured with its compilation, which users pay once.
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "", **environ},
        stdout=subprocess.PIPE,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise WorkerFailed(f"{variant} ended with code {done.returncode}")
    return json.loads(done.stdout.splitlines()[-1])
