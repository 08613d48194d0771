"""How long the command line takes until it has answered: `python benchmarks/cli_start.py`.

Each command is a process of its own, over a journal of 300 runs; the smallest and the median of 15, and what it
took of a core, which another program beside it does not change. Beside it, what Python itself takes.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.schema import Usage

TIMES = 15


def write(directory: str) -> None:
    """A journal of 300 runs with one agent, three calls and a tool each."""
    ai_dev_squad.configure(log_dir=directory)
    for _ in range(300):
        agent = operations.start(operations.AGENT, "planner", framework="langgraph")
        for _ in range(3):
            request = operations.ModelRequest("gpt-4o-mini", "openai")
            call = operations.start(
                operations.CHAT, "gpt-4o-mini", framework="langgraph", parent=agent, request=request
            )
            call.usage = Usage(input_tokens=1_000, output_tokens=50, source="provider")
            call.stop()
        operations.start(operations.TOOL, "weather", framework="langgraph", parent=agent).stop()
        agent.stop()
    ai_dev_squad.shutdown()


def measured(*command: str) -> tuple[float, float, float]:
    """The smallest and the median time of a process, and the smallest time on a processor, in milliseconds."""
    times, busy = [], []
    for _ in range(TIMES):
        before, started = os.times(), time.perf_counter()
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        times.append((time.perf_counter() - started) * 1000)
        after = os.times()
        spent = after.children_user + after.children_system - before.children_user - before.children_system
        busy.append(spent * 1000)
    return min(times), statistics.median(times), min(busy)


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        write(directory)
        squad = (sys.executable, "-m", "ai_dev_squad_cli")
        print(f"Python {sys.version.split()[0]}, ai-dev-squad-cli {version('ai-dev-squad-cli')}")
        print(f"{'':24}{'smallest':>10}{'median':>10}{'on a core':>12}")
        for name, command in {
            "python -c pass": (sys.executable, "-c", "pass"),
            **{
                " ".join(words): (*squad, *words, directory)
                for words in (["tail"], ["runs"], ["show", "last"], ["costs"])
            },
            "--help": (*squad, "--help"),
        }.items():
            smallest, median, busy = measured(*command)
            print(f"{name:24}{smallest:7.0f} ms{median:7.0f} ms{busy:9.0f} ms")


if __name__ == "__main__":
    main()
