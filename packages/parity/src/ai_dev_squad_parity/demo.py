"""The main job, end to end: a dev squad against the scripted model server, observed by one call, on every framework.

    python -m ai_dev_squad_parity.demo [--log-dir DIR] [--pace SECONDS]

Nothing leaves this machine: the model server is a local one that plays a script; program, HTTP and observing are real.
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

import ai_dev_squad
from ai_dev_squad import JournalLine
from ai_dev_squad_langgraph import observe

from .demo_frameworks import FRAMEWORKS, framework_table, run_others
from .demo_view import budget_table, cost_table, run_tree, truth_table
from .model_server import ModelServer, Truth
from .squad import on_langgraph, spec

__all__ = ["main"]

BUDGET_USD = 0.005


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo. Returns 0 when what was captured equals what the model server knows to be true."""
    parser = argparse.ArgumentParser(prog="ai-dev-squad-demo", description="A dev squad, observed, on each framework.")
    parser.add_argument("--log-dir", default="logs", help="where the journal is written (default: %(default)s)")
    parser.add_argument(
        "--pace", type=float, default=0.05, help="seconds a model takes to begin (default: %(default)s)"
    )
    parser.add_argument("--picture", metavar="FILE", help="also draw the result as an SVG picture")
    options = parser.parse_args(arguments)
    # Wide enough for the tables where no terminal says how wide it is, such as in a CI log.
    console = Console(width=None if sys.stdout.isatty() else 120, highlight=False, record=True)

    session = f"demo-{time.strftime('%Y%m%d-%H%M%S')}"
    truth = run_squad(console, options.log_dir, session, options.pace)
    lines = [line for line in ai_dev_squad.read_journal(options.log_dir) if line.session_id == session]

    for tree in run_tree(lines):
        console.print(tree)
    console.print(cost_table(lines, "agent_id", "Agent"), cost_table(lines, "name", "Model"), budget_table(), sep="\n")
    table, equal = truth_table(lines, truth)
    console.print(table)
    equal = compare(console, options.log_dir, session, options.pace, ("LangGraph", lines, truth)) and equal
    journal = Path(options.log_dir) / "ai_dev_squad.jsonl"
    console.print(
        Panel(
            Group(
                Text.assemble("All of this was read back from the journal: ", (str(journal), "bold")),
                Text("One JSON object a line: follow it with `tail -f`, search it with `grep`, load it with anything."),
            ),
            border_style="dim",
        )
    )
    if options.picture:
        Path(options.picture).write_text(picture(console), encoding="utf-8")
    if not equal:
        console.print("[bold red]Captured and billed differ.[/] Please report this with the journal attached.")
    return 0 if equal else 1


def run_squad(console: Console, log_dir: str, session: str, pace: float) -> Truth:
    """Run the squad observed, showing what its models say. Returns what the model server saw."""
    ai_dev_squad.configure(log_dir=log_dir)
    budgets = ai_dev_squad.get_cost_tracker().budget_manager
    budgets.set_budget("demo", BUDGET_USD, "run", [0.5, 0.8], framework="langgraph")
    budgets.alert_callbacks.append(
        lambda alert: console.print(
            f"\n[yellow]budget {alert['budget_name']}: {alert['spend_ratio']:.0%} of ${alert['limit_usd']} spent[/]"
        )
    )
    console.rule("[bold]A LangGraph dev squad, observed by one call")
    speaking = [""]

    def show(node: str, text: str) -> None:
        if speaking[0] != node:
            console.print(f"\n[bold cyan]{node}[/] ", end="")
            speaking[0] = node
        console.print(Text(text), end="")

    with ModelServer(spec.script(pace)) as server, ai_dev_squad.session(session):
        graph = observe(on_langgraph.build(server.base_url))  # the one call
        on_langgraph.run(graph, thread_id=session, on_text=show)
        ai_dev_squad.flush()
        console.print("\n")
        return server.truth


def compare(
    console: Console, log_dir: str, session: str, pace: float, first: tuple[str, Sequence[JournalLine], Truth]
) -> bool:
    """Run the squad on the other frameworks and show all of them. Returns whether each was captured as it was billed."""
    truths = dict(run_others(session, pace, lambda name: console.print(f"[dim]The same squad on {name} …[/]")))
    ai_dev_squad.flush()
    written = list(ai_dev_squad.read_journal(log_dir))
    runs = {
        FRAMEWORKS[framework][0]: ([line for line in written if line.session_id == f"{session}-{framework}"], truth)
        for framework, truth in truths.items()
    }
    table, equal = framework_table({first[0]: first[1:], **runs})
    console.print(table)
    return equal


def picture(console: Console) -> str:
    """What the console showed, as an SVG that loads nothing from anywhere."""
    svg = console.export_svg(title="nox -s demo")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code, ", "")


if __name__ == "__main__":
    sys.exit(main())
