"""Operations and the end of their process: at exit, on a signal, and in forked workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from ai_dev_squad.events import read_journal
from ai_dev_squad.schema import JournalLine

PRELUDE = """
import os, signal, sys, threading, time
import ai_dev_squad
from ai_dev_squad import context, operations
from ai_dev_squad.operations import AGENT, CHAT, TASK, WORKFLOW, ModelRequest, open_operations

def start(kind, name, **options):
    return operations.start(kind, name, framework="test", **options)
"""
posix = pytest.mark.skipif(os.name != "posix", reason="signals and forks are POSIX")


def run(code: str, *, kill: bool = False) -> tuple[int, str, list[JournalLine]]:
    """Run a program in a directory of its own; its status, its output, and the journal it left."""
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-u", "-c", PRELUDE + code],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if kill:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output, list(read_journal(Path("logs"), strict=True)) if Path("logs").exists() else []


def ends(lines: list[JournalLine]) -> list[tuple[str | None, str | None]]:
    """Names and statuses of what ended, in order."""
    return [(line.name, line.status) for line in lines if line.status]


OPEN = """
root = start(WORKFLOW, "squad")
scope = context.enter(root)
call = start(CHAT, "gpt-4o-mini", parent=root, request=ModelRequest("gpt-4o-mini", "openai"))
start(TASK, "done", parent=root).stop()
"""
ABANDONED = [("done", "ok"), ("gpt-4o-mini", "abandoned"), ("squad", "abandoned")]


@pytest.mark.parametrize(
    "ending, status",
    [
        pytest.param("", 0, id="end of the program"),
        pytest.param("sys.exit(3)", 3, id="sys.exit"),
        pytest.param("raise RuntimeError('crash')", 1, id="exception"),
        pytest.param("threading.Thread(target=lambda: time.sleep(0.05)).start()", 0, id="a thread that goes on"),
    ],
)
def test_what_is_open_at_exit_is_written_as_abandoned(ending: str, status: int) -> None:
    """However the interpreter ends, everything that started has an end in the journal, innermost first."""
    returned, _, lines = run(OPEN + ending)

    assert returned == status
    assert ends(lines) == ABANDONED
    assert [line.level for line in lines if line.status] == ["INFO", "WARNING", "WARNING"]


@posix
def test_what_is_open_on_sigterm_is_written_as_abandoned() -> None:
    """The same for a process that is told to terminate, whose status stays what it would have been."""
    returned, _, lines = run(OPEN + 'print("ready"); time.sleep(60)', kill=True)

    assert returned == -signal.SIGTERM
    assert ends(lines) == ABANDONED


def test_the_end_in_another_thread_and_the_exit_give_one_end() -> None:
    """A daemon thread that ends operations while the interpreter exits doubles nothing, and loses nothing but the one in whose midst
    the interpreter stopped it for good.
    """
    _, _, lines = run(
        """
many = [start(TASK, str(number)) for number in range(2000)]
threading.Thread(target=lambda: [operation.stop() for operation in many], daemon=True).start()
"""
    )

    names = [int(str(name)) for name, _ in ends(lines)]
    assert (len(names), len(set(range(2000)) - set(names))) in {(2000, 0), (1999, 1)}


@posix
def test_a_forked_child_leaves_its_parents_operations_alone() -> None:
    """What began before the fork is the parent's to end; what the child begins is the child's. One file, whole lines."""
    _, output, lines = run(
        """
root = start(WORKFLOW, "squad")
child = os.fork()
if child == 0:
    print("open in the child:", len(open_operations()), "ended by it:", root.stop())
    start(TASK, "of the child", parent=root).stop()
    start(TASK, "left open by the child", parent=root)
    sys.exit(0)
os.waitpid(child, 0)
print("ended by the parent:", root.stop())
"""
    )

    assert output == "open in the child: 0 ended by it: False\nended by the parent: True\n"
    assert ends(lines) == [("of the child", "ok"), ("left open by the child", "abandoned"), ("squad", "ok")]
    root = next(line for line in lines if line.event_type == "agent.start")
    below = [line for line in lines if line.operation == "task"]
    assert {(line.trace_id, line.parent_span_id) for line in below} == {(root.trace_id, root.span_id)}
    assert len({line.span_id for line in below}) == 2


@posix
def test_forked_children_have_ids_of_their_own() -> None:
    """Workers that are forked one after the other don't repeat one another's ids."""
    _, _, lines = run(
        """
start(TASK, "before").stop()
for number in range(8):
    if os.fork() == 0:
        for _ in range(20):
            start(TASK, "worker").stop()
        sys.exit(0)
for _ in range(8):
    os.wait()
"""
    )

    assert len(ends(lines)) == 161
    assert len({line.span_id for line in lines}) == len({line.trace_id for line in lines}) == 161


@posix
def test_a_child_that_is_forked_while_another_thread_configures() -> None:
    """A fork in the middle of a configuration leaves the child able to observe."""
    _, output, _ = run(
        """
from ai_dev_squad import state
held, go_on = threading.Event(), threading.Event()

def configure():
    with state.lock():
        held.set()
        go_on.wait()

threading.Thread(target=configure, daemon=True).start()
held.wait()
child = os.fork()
if child == 0:
    signal.alarm(20)
    start(TASK, "of the child").stop()
    ai_dev_squad.flush()
    print("observed")
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
go_on.set()
"""
    )

    assert output == "observed\n0\n"


@pytest.mark.parametrize(
    "late",
    [
        pytest.param("atexit.register(observe)\nstart(TASK, 'open')", id="a handler that was registered before ours"),
        pytest.param("start(TASK, 'open'); keep = Late()", id="a finalizer"),
    ],
)
def test_what_is_observed_after_the_exit_is_written(late: str) -> None:
    """Exit handlers and finalizers that run after ours still observe, and nothing of it is lost."""
    status, output, lines = run(
        f"""
import atexit

def observe():
    start(TASK, "late").stop()

class Late:
    def __del__(self, observe=observe):
        observe()

{late}
"""
    )

    assert (status, output) == (0, "")
    assert ends(lines) == [("open", "abandoned"), ("late", "ok")]
