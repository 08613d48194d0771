"""What happens at the end of a process, and in a forked child: callbacks run once, in order, whatever ends it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

posix = pytest.mark.skipif(os.name != "posix", reason="signals and forks are POSIX")


def run(code: str, *, kill: bool = False) -> tuple[int, str, str]:
    program = "import os, signal, sys, time, threading\nfrom ai_dev_squad.process import *\n" + code
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


def test_what_others_still_use_ends_last() -> None:
    """The order is that of the list, whoever was there first."""
    code = """
for order in (ExitOrder.BUDGETS, ExitOrder.JOURNALS, ExitOrder.OPERATIONS, ExitOrder.SPANS):
    at_exit(lambda order=order: print(order.name), order)
at_exit(lambda: print("APPLICATION"))
"""
    assert run(code)[:2] == (0, "APPLICATION\nOPERATIONS\nBUDGETS\nSPANS\nJOURNALS\n")


def test_a_weak_method_keeps_no_object_alive() -> None:
    """What is gone before the process ends has nothing left to do; what was taken back isn't called either."""
    code = """
import weakref
class Part:
    def __init__(self, name): self.name = name
    def close(self): print("closed", self.name)
    def __del__(self): print("gone", self.name)
first, second, third = Part("first"), Part("second"), Part("third")
for part in (first, second): at_exit(weakref.WeakMethod(part.close))
at_exit(third.close)
forget(third.close)
del first, third
"""
    assert run(code)[:2] == (0, "gone first\ngone third\nclosed second\ngone second\n")


@posix
def test_sigterm_runs_the_callbacks_and_ends_the_process_as_always() -> None:
    """The status is that of a process ended by SIGTERM, and atexit doesn't run them again."""
    code = 'at_exit(lambda: print("written"), sigterm=True); print("ready"); time.sleep(60)'

    assert run(code, kill=True)[:2] == (-signal.SIGTERM, "written\n")


@posix
def test_a_handler_of_the_program_is_left_alone() -> None:
    """A program with its own idea of SIGTERM keeps it."""
    code = """
signal.signal(signal.SIGTERM, lambda *_: (print("mine"), sys.exit(3)))
at_exit(lambda: print("written"), sigterm=True)
print("ready"); time.sleep(60)
"""
    assert run(code, kill=True)[:2] == (3, "mine\nwritten\n")


@posix
def test_an_ignored_sigterm_stays_ignored() -> None:
    """A program that ignores SIGTERM goes on."""
    code = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
at_exit(lambda: print("written"), sigterm=True)
os.kill(os.getpid(), signal.SIGTERM)
print("still here")
"""
    assert run(code)[:2] == (0, "still here\nwritten\n")


@posix
def test_sigterm_may_be_left_out() -> None:
    """Unless somebody asks for it, no handler is installed."""
    code = """
at_exit(lambda: print("written"))
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""
    assert run(code)[:2] == (0, "written\n")


@posix
def test_another_thread_may_register() -> None:
    """Python allows signal handlers in the main thread only, so there the exit is what remains."""
    code = """
thread = threading.Thread(target=at_exit, args=(lambda: print("written"),), kwargs={"sigterm": True})
thread.start(); thread.join()
assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
"""
    assert run(code)[:2] == (0, "written\n")


@posix
def test_sigterm_ends_a_process_whose_main_thread_holds_what_a_callback_needs() -> None:
    """A callback that can't get on delays the end by a bounded time and no more."""
    code = """
import ai_dev_squad.process
ai_dev_squad.process.SIGTERM_TIMEOUT_S = 0.1
lock = threading.Lock()
at_exit(lambda: (lock.acquire(), print("never")), sigterm=True)
with lock:
    print("ready"); time.sleep(60)
"""
    assert run(code, kill=True)[:2] == (-signal.SIGTERM, "")


@posix
def test_sigterm_during_the_callbacks_lets_them_end() -> None:
    """A callback that the signal interrupts may hold what the next one needs; all of them end, then the process does."""
    code = """
lock = threading.Lock()
def first():
    with lock:
        os.kill(os.getpid(), signal.SIGTERM)
        print("first")
def second():
    with lock:
        print("second")
at_exit(second, sigterm=True)
at_exit(first)
"""
    assert run(code)[:2] == (-signal.SIGTERM, "first\nsecond\n")


@posix
def test_a_second_sigterm_waits_for_nothing() -> None:
    """Whoever is told twice to end has no time to lose."""
    code = """
def slow():
    for _ in range(2): os.kill(os.getpid(), signal.SIGTERM)
    print("never")
at_exit(slow, sigterm=True)
"""
    assert run(code)[:2] == (-signal.SIGTERM, "")


@posix
def test_a_pool_of_workers_is_left_at_once() -> None:
    """A pool tells its idle workers to end by SIGTERM, while some of them are ending by themselves."""
    code = """
import multiprocessing
import ai_dev_squad.process
ai_dev_squad.process.SIGTERM_TIMEOUT_S = 3600
parent, lock = os.getpid(), threading.Lock()
def close():
    if os.getpid() != parent:
        with lock: time.sleep(0.2)
at_exit(close, sigterm=True)
with multiprocessing.get_context("fork").Pool(3) as pool:
    print(pool.map(abs, [-1, -2, -3]))
"""
    assert run(code)[:2] == (0, "[1, 2, 3]\n")


@posix
def test_a_child_that_is_told_to_end_at_once_hears_of_it() -> None:
    """Python forgets signals that come before a forked child has run anything: SIGTERM is held back that long, and no
    longer, in either process.
    """
    code = """
parent = os.getpid()
at_exit(lambda: os.getpid() == parent or print("closed", flush=True), sigterm=True)
ends = []
for _ in range(8):
    pid = os.fork()
    if not pid:
        # In pieces: a signal between the interpreter's last look and the waiting itself is acted on when that ends.
        for _ in range(600): time.sleep(0.1)
        os._exit(7)
    os.kill(pid, signal.SIGTERM)
    ends.append(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
pid = os.fork()
if pid: os.waitpid(pid, 0)
print(signal.pthread_sigmask(signal.SIG_BLOCK, []), flush=True)
if not pid: os._exit(0)
print(ends)
"""
    assert run(code)[:2] == (0, "closed\n" * 8 + "set()\n" * 2 + f"{[-signal.SIGTERM] * 8}\n")


@posix
def test_a_forked_child_begins_with_the_callbacks_for_forks() -> None:
    """They run before any code of the child, in the order of their registration, and a failing one stops no other."""
    code = """
for text in ("one", "two"): after_fork(lambda text=text: print(text))
after_fork(lambda: 1 / 0)
after_fork(lambda: print("three"))
pid = os.fork()
if pid: os.waitpid(pid, 0)
else: print("child")
"""
    status, output, errors = run(code)

    assert (status, output) == (0, "one\ntwo\nthree\nchild\n")
    assert "a callback after a fork failed (ZeroDivisionError: division by zero)" in errors


@posix
def test_a_forked_child_never_waits_for_a_lock_of_its_parent() -> None:
    """Held by another thread, or by the forking one, at the moment of the fork: the child has it free, the parent keeps it."""
    code = """
lock, held = ForkSafeLock(), threading.Event()
def hold():
    with lock: held.set(); time.sleep(600)
threading.Thread(target=hold, daemon=True).start()
held.wait()
pid = os.fork()
if not pid:
    with lock, lock: print("free", flush=True)
    os._exit(0)
os.waitpid(pid, 0)
own = ForkSafeLock()
with own:
    pid = os.fork()
if not pid:
    with own: print("free too", flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""
    assert run(code) == (0, "free\nfree too\n", "")


@posix
def test_a_child_forked_amid_a_switch_of_the_wire_can_switch_it() -> None:
    """Whatever a thread of the parent was holding, configuring goes on in the child."""
    code = """
import openai, ai_dev_squad
from ai_dev_squad import patching
from ai_dev_squad.wire import openai_usage, switch
ai_dev_squad.configure(wire=True)
held = threading.Event()
def hold():
    with patching._lock, openai_usage._lock, switch._lock: held.set(); time.sleep(600)
threading.Thread(target=hold, daemon=True).start()
held.wait()
pid = os.fork()
if not pid:
    ai_dev_squad.configure(wire=False); ai_dev_squad.configure(wire=True)
    print("done", flush=True)
    os._exit(0)
os.waitpid(pid, 0)
os._exit(0)
"""
    assert run(code)[:2] == (0, "done\n")


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


def test_a_subinterpreter_has_an_end_of_its_own() -> None:
    """Python gives its main thread no say in signals; asking for one all the same is no error."""
    code = """
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
program = "from ai_dev_squad.process import at_exit; at_exit(lambda: print('inner', flush=True), sigterm=True)"
other = interpreters.create()
assert interpreters.run_string(other, program) is None
interpreters.destroy(other)
print("outer")
"""
    assert run(code)[:2] == (0, "inner\nouter\n")
