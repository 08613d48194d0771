"""What happens at the end of a process: callbacks run once, in order, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="signals and forks are POSIX")


def run(code: str, *, kill: bool = False) -> tuple[int, str, str]:
    program = "import os, signal, sys, time, threading\nfrom ai_dev_squad.exit import at_exit\n" + code
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-u", "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    if kill:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=60)
    return process.returncode, output, errors


def test_callbacks_run_once_and_last_first() -> None:
    """The same function registered twice runs once; a failing one doesn't keep the others from running."""
    code = """
def one(): print("one")
def two(): print("two"); raise RuntimeError("two is broken")
def three(): print("three")
for callback in (one, two, one, three): at_exit(callback)
"""
    status, output, errors = run(code)

    assert (status, output) == (0, "three\ntwo\none\n")
    assert "a callback at exit failed (RuntimeError: two is broken)" in errors


@posix
def test_sigterm_runs_the_callbacks_and_ends_the_process_as_always() -> None:
    """The status is that of a process ended by SIGTERM, and atexit doesn't run them again."""
    code = 'at_exit(lambda: print("written")); print("ready"); time.sleep(60)'

    assert run(code, kill=True)[:2] == (-signal.SIGTERM, "written\n")


@posix
def test_a_handler_of_the_program_is_left_alone() -> None:
    """A program with its own idea of SIGTERM keeps it."""
    code = """
signal.signal(signal.SIGTERM, lambda *_: (print("mine"), sys.exit(3)))
at_exit(lambda: print("written"))
print("ready"); time.sleep(60)
"""
    assert run(code, kill=True)[:2] == (3, "mine\nwritten\n")


@posix
def test_an_ignored_sigterm_stays_ignored() -> None:
    """A program that ignores SIGTERM goes on."""
    code = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
at_exit(lambda: print("written"))
os.kill(os.getpid(), signal.SIGTERM)
print("still here")
"""
    assert run(code)[:2] == (0, "still here\nwritten\n")


@posix
def test_sigterm_may_be_left_out() -> None:
    """With sigterm=False nothing is installed."""
    code = """
at_exit(lambda: print("written"), sigterm=False)
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""
    assert run(code)[:2] == (0, "written\n")


@posix
def test_another_thread_may_register() -> None:
    """Python allows signal handlers in the main thread only, so there the exit is what remains."""
    code = """
thread = threading.Thread(target=at_exit, args=(lambda: print("written"),))
thread.start(); thread.join()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""
    assert run(code)[:2] == (0, "written\n")


@posix
def test_sigterm_ends_a_process_whose_main_thread_holds_what_a_callback_needs() -> None:
    """A callback that can't get on delays the end by a bounded time and no more."""
    code = """
import ai_dev_squad.exit
ai_dev_squad.exit.SIGTERM_TIMEOUT_S = 0.1
lock = threading.Lock()
at_exit(lambda: (lock.acquire(), print("never")))
with lock:
    print("ready"); time.sleep(60)
"""
    assert run(code, kill=True)[:2] == (-signal.SIGTERM, "")


@posix
def test_a_forked_child_runs_the_callbacks_for_itself() -> None:
    """Child and parent each run them once, in their own process."""
    code = """
at_exit(lambda: print("child" if os.getpid() != parent else "parent"))
parent = os.getpid()
pid = os.fork()
if pid: os.waitpid(pid, 0)
"""
    assert run(code)[:2] == (0, "child\nparent\n")


@posix
def test_a_multiprocessing_worker_runs_the_callbacks() -> None:
    """Workers that leave past atexit run them too, once."""
    code = """
import multiprocessing
parent = os.getpid()
at_exit(lambda: print("worker" if os.getpid() != parent else "parent", flush=True))
worker = multiprocessing.get_context("fork").Process(target=lambda: None)
worker.start(); worker.join()
"""
    assert run(code)[:2] == (0, "worker\nparent\n")
