"""The main job, end to end: a dev squad against the scripted model server, observed by one call, on every framework; then
the parity lab over all frameworks, and the dashboard on both.

    python -m ai_dev_squad_parity.demo [--log-dir DIR] [--pace SECONDS] [--repeat N] [--scenario NAME]

Nothing leaves this machine: the model server is a local one that plays a script; program, HTTP and observing are real.
"""

from __future__ import annotations

import argparse
import contextlib
import re
import sys
import time
import webbrowser
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from rich.console import Console, Group
from rich.markup import escape
from rich.panel import Panel
from rich.text import Text

import ai_dev_squad
from ai_dev_squad import JournalLine
from ai_dev_squad.frameworks import framework_title
from ai_dev_squad_langgraph import observe
from ai_dev_squad_testing.model_server import ModelServer, Truth

from .demo_frameworks import framework_table, run_others
from .demo_view import budget_table, cost_table, run_tree, truth_table
from .lab.report import succeeded
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
    parser.add_argument("--picture", metavar="FILE", help="also draw the squad's result as an SVG picture")
    parser.add_argument("--repeat", type=int, default=3, help="how often the lab measures (default: %(default)s)")
    parser.add_argument("--scenario", action="append", default=[], help="only this one in the lab; repeatable")
    parser.add_argument("--squad-only", action="store_true", help="stop before the lab and the dashboard")
    options = parser.parse_args(arguments)
    began = datetime.now(timezone.utc).isoformat()
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
    others, same = compare(console, options.log_dir, session, options.pace, ("LangGraph", lines, truth))
    equal = equal and same
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
    good = True
    if not options.squad_only:
        good = lab_and_dashboard(console, options, began, [truth, *others])
    if not equal:
        console.print("[bold red]Captured and billed differ.[/] Please report this with the journal attached.")
    return 0 if equal and good else 1


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
) -> tuple[list[Truth], bool]:
    """Run the squad on the other frameworks and show all of them. Returns what their model servers saw, and whether each
    was captured as it was billed.
    """

    def missing(name: str, error: ImportError) -> None:
        console.print(
            f"[yellow]{name} is left out:[/] {escape(str(error))}. Its squad needs pip install 'ai-dev-squad-parity\\[demo]'."
        )

    truths = dict(run_others(session, pace, lambda name: console.print(f"[dim]The same squad on {name} …[/]"), missing))
    ai_dev_squad.flush()
    written = list(ai_dev_squad.read_journal(log_dir))
    runs = {
        framework_title(framework): ([line for line in written if line.session_id == f"{session}-{framework}"], truth)
        for framework, truth in truths.items()
    }
    table, equal = framework_table({first[0]: first[1:], **runs})
    console.print(table)
    return list(truths.values()), equal


def lab_and_dashboard(console: Console, options: argparse.Namespace, began: str, truths: list[Truth]) -> bool:
    """Run the lab, then show the dashboard: until Ctrl+C in a terminal, otherwise only until it said what it knows.

    Returns whether all cells pass and the dashboard knows what is true.
    """
    from .demo_lab import ask_providers, check_dashboard, dashboard, run_lab

    ai_dev_squad.shutdown()  # the journal is complete, and no thread of ours disturbs what the lab measures
    matrix = run_lab(console, options.log_dir, options.scenario, options.repeat)
    table = ask_providers(console, options.log_dir)
    with dashboard(options.log_dir) as (url, process):
        equal = check_dashboard(console, url, began, truths, matrix)
        page = f"{url}parity-matrix"
        console.print(Panel(Text.assemble("The matrix and every trace of it: ", (page, "bold")), border_style="dim"))
        if sys.stdout.isatty():
            webbrowser.open(page)
            console.print("The dashboard runs until Ctrl+C.")
            with contextlib.suppress(KeyboardInterrupt):
                process.wait()
    return equal and succeeded(matrix) and all(cell.verdict != "fails" for cell in table.cells)


def picture(console: Console) -> str:
    """What the console showed, as an SVG that loads nothing from anywhere."""
    svg = console.export_svg(title="nox -s demo")
    return re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL).replace("Fira Code, ", "")


if __name__ == "__main__":
    sys.exit(main())
