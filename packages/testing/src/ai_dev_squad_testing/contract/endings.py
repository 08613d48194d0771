"""A process that ends in the middle of a run: its journal tells how far it came."""

from __future__ import annotations

import inspect
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from ai_dev_squad.events import read_journal
from ai_dev_squad.events.finder import JournalFinder
from ai_dev_squad_testing.captured import Captured
from ai_dev_squad_testing.contract.harness import Harness
from ai_dev_squad_testing.fixtures import Serve, wait_until
from ai_dev_squad_testing.model_server import hang

__all__ = ["Endings"]

# The contract's own class is made once more there, as only it knows how a program is made and run.
_PROGRAM = """
import importlib.util, operator, sys, threading
from pathlib import Path

import ai_dev_squad

file, name, url = sys.argv[1:]
spec = importlib.util.spec_from_file_location("ends_in_a_run", file)
sys.modules[spec.name] = module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
contract = operator.attrgetter(name)(module)()

def on_disk():
    sys.stdin.readline()
    ai_dev_squad.flush()
    Path("on-disk").touch()

threading.Thread(target=on_disk, daemon=True).start()
contract.finish(contract.observe(contract.asking(url)))
"""
_IN_TIME_S = 300.0

BLOWS = ("SIGKILL", "SIGTERM")


class Endings(Harness):
    """Tests of what is left of a process that ended while a model thought."""

    @pytest.mark.skipif(os.name != "posix", reason="signals are POSIX")
    @pytest.mark.parametrize("blow", BLOWS)
    def test_a_process_that_ends_in_a_run(self, serve: Serve, tmp_path: Path, blow: str) -> None:
        """Told to end, it ends all that had begun as abandoned; killed, whoever looks next does it."""
        server = serve(hang(times=None))
        contract = inspect.getfile(type(self)), type(self).__qualname__
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-W", "ignore", "-c", _PROGRAM, *contract, server.base_url],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        try:
            assert wait_until(lambda: server.truth.calls or process.poll() is not None, _IN_TIME_S)
            assert process.stdin is not None
            with suppress(BrokenPipeError):  # it has failed, and says below how
                process.stdin.write(b"\n")
                process.stdin.flush()
            assert wait_until(lambda: (tmp_path / "on-disk").exists() or process.poll() is not None, _IN_TIME_S)
            process.send_signal(signal.Signals[blow])
            _, said = process.communicate(timeout=_IN_TIME_S)
        finally:
            process.kill()
            process.wait()

        assert process.returncode == -signal.Signals[blow], said
        assert JournalFinder([tmp_path / "logs"]).find().missing == ()
        left = Captured(list(read_journal(tmp_path / "logs", strict=True)))
        assert [line.operation for line in left.opening()].count("chat") == 1
        began = sorted((str(line.span_id), "abandoned") for line in left.opening())
        ended = sorted((str(line.span_id), line.status) for line in left.closing())
        assert ended == began
