"""The screen of ``ai-dev-squad live``: runs above or to the left, the operations of the chosen one beside them. Made
with Textual.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.events import Resize
from textual.widgets import DataTable, Footer, Input, Static, Tree

from ai_dev_squad_cli.commands.show import headline
from ai_dev_squad_cli.live.watching import Totals, Watch
from ai_dev_squad_cli.tables import STATUS_STYLES, cell, count, dollars, milliseconds

if TYPE_CHECKING:
    from textual.widgets.tree import TreeNode

    from ai_dev_squad.runs import Run, Step

__all__ = ["LiveScreen"]

_MOST: Final = 200
"""Runs that are listed; the filter looks through all."""
_NAME: Final = 20
"""Characters of a run's name in the list; the tree has all of it."""
_WIDE: Final = 120
"""Columns from which on runs and operations stand side by side."""
_SIGNS: Final = {"ok": "✓", "error": "✗", "open": "…", "interrupted": "‖", "cancelled": "⊘"}
_COLUMNS: Final = ("", "started", "name", "ms", "calls", "tokens", "cost $")


class LiveScreen(App[None]):
    """Shows what ``watch`` finds, and looks again every ``interval_s`` seconds; 0: only when ``look`` is called."""

    ENABLE_COMMAND_PALETTE = False
    TITLE = "ai-dev-squad live"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q", "quit", "Quit"),
        Binding("slash", "filter", "Filter"),
        Binding("e", "failed", "Failed only"),
        Binding("n", "newest", "Follow newest"),
        Binding("escape", "clear", "Clear", show=False),
    ]
    CSS = """
    #totals { height: 1; padding: 0 1; background: $panel; }
    #words { display: none; height: 3; }
    #words.asked { display: block; }
    #both { layout: vertical; height: 1fr; }
    #both.wide { layout: horizontal; }
    #runs { height: 2fr; }
    #run { height: 3fr; border-top: solid $primary; }
    #both.wide > #runs { width: 72; height: 100%; }
    #both.wide > #run { width: 1fr; height: 100%; border-top: none; border-left: solid $primary; }
    #head { height: auto; max-height: 2; padding: 0 1; }
    #steps { height: 1fr; }
    #why { height: auto; max-height: 3; padding: 0 1; }
    """

    def __init__(self, watch: Watch, interval_s: float = 0.5) -> None:
        super().__init__()
        self._watch, self._interval_s = watch, interval_s
        self._words = ""
        self._failed = False
        self._follows = True
        self._chosen: str | None = None
        self._rows: list[str] = []

    def compose(self) -> ComposeResult:
        """The parts of the screen."""
        yield Static(id="totals")
        yield Input(placeholder="words in names, models, sessions, ids", id="words")
        with Container(id="both"):
            yield DataTable(id="runs", cursor_type="row", zebra_stripes=True)
            with Container(id="run"):
                yield Static(id="head")
                yield Tree("", id="steps")
                yield Static(id="why")
        yield Footer()

    async def on_mount(self) -> None:
        """Look for the first time, and from then on."""
        table, steps = self._table, self._steps
        table.add_columns(*_COLUMNS)
        steps.show_root = False
        steps.guide_depth = 2
        table.focus()
        await self.look()
        if self._interval_s:
            self.set_interval(self._interval_s, self.look)

    def on_resize(self, event: Resize) -> None:
        """Put both side by side where there is room."""
        self.query_one("#both").set_class(event.size.width >= _WIDE, "wide")

    async def look(self) -> None:
        """Read what is new, and show it."""
        changed = await asyncio.to_thread(self._watch.read)
        if changed or not self._rows:
            self._show(changed)

    def _wanted(self) -> list[Run]:
        """The runs to list, and above them what all of their kind took."""
        runs = self._watch.runs(self._words, failed=self._failed)
        self.query_one("#totals", Static).update(_totals(Totals(runs), self._words, failed=self._failed))
        return runs[:_MOST]

    def _show(self, changed: set[str]) -> None:
        shown = self._wanted()
        if [run.trace_id for run in shown] != self._rows:
            self._list(shown)
        else:
            for place, run in enumerate(shown):
                if run.trace_id in changed:
                    for column, value in enumerate(_row(run)):
                        self._table.update_cell_at((place, column), value)  # type: ignore[arg-type]
        chosen = next((run for run in shown if run.trace_id == self._chosen), None)
        if chosen is None or chosen.trace_id in changed:
            self._show_run(chosen)

    def _list(self, runs: list[Run]) -> None:
        """All rows anew; the cursor stays on its run, or goes to the newest while that is followed."""
        table = self._table
        self._rows = [run.trace_id for run in runs]
        if self._follows or self._chosen not in self._rows:
            self._chosen = self._rows[0] if self._rows else None
            chosen = runs[0] if runs else None
            self._show_run(chosen)
        with self.prevent(DataTable.RowHighlighted):
            table.clear()
            for run in runs:
                table.add_row(*_row(run), key=run.trace_id)
            if self._chosen is not None:
                table.move_cursor(row=self._rows.index(self._chosen))

    def _show_run(self, run: Run | None) -> None:
        head, steps = self.query_one("#head", Static), self._steps
        line = steps.cursor_line
        steps.clear()
        self.query_one("#why", Static).update("")
        if run is None:
            head.update("No run yet." if not self._words and not self._failed else "No run has that; Esc shows all.")
            return
        head.update(cell(headline(run)))
        below = run.children()
        seen: set[str] = set()
        for step in (*below.get(None, ()), *run.steps):
            _grow(steps.root, step, below, seen)
        steps.root.expand_all()
        steps.cursor_line = max(line, 0)

    @property
    def _table(self) -> DataTable[Text]:
        table: DataTable[Text] = self.query_one("#runs", DataTable)
        return table

    @property
    def _steps(self) -> Tree[Any]:
        steps: Tree[Any] = self.query_one("#steps", Tree)
        return steps

    def on_data_table_row_highlighted(self, event: DataTable.RowHighlighted) -> None:
        """Show the run under the cursor; whoever leaves the newest one does not want to be taken back."""
        trace_id = event.row_key.value
        if trace_id is None or trace_id == self._chosen:
            return
        self._chosen, self._follows = trace_id, trace_id == self._rows[0]
        self._show_run(next((run for run in self._watch.runs() if run.trace_id == trace_id), None))

    def on_tree_node_highlighted(self, event: Tree.NodeHighlighted[Any]) -> None:
        """Say why the operation under the cursor failed."""
        step: Step | None = event.node.data
        error = None if step is None else step.error
        said = Text("") if error is None else cell(f"{error.type}: {error.message}", "red")
        self.query_one("#why", Static).update(said)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrow the list while words are typed."""
        self._words = event.value
        self._list(self._wanted())

    def on_input_submitted(self, _: Input.Submitted) -> None:
        """Go back to the list."""
        self._table.focus()

    def action_filter(self) -> None:
        """Ask for words."""
        words = self.query_one("#words", Input)
        words.add_class("asked")
        words.focus()

    def action_clear(self) -> None:
        """Show all runs again."""
        words = self.query_one("#words", Input)
        words.remove_class("asked")
        words.value = ""
        self._failed = False
        self._list(self._wanted())
        self._table.focus()

    def action_failed(self) -> None:
        """Show runs in which something failed only, or all again."""
        self._failed = not self._failed
        self._list(self._wanted())

    def action_newest(self) -> None:
        """Go to the newest run, and on to those that come."""
        self._follows = True
        if self._rows:
            self._table.move_cursor(row=0)


def _grow(node: TreeNode[Any], step: Step, below: dict[str | None, list[Step]], seen: set[str]) -> None:
    """Hang an operation and what is below it; each stands once, whatever a damaged journal says."""
    waiting = [(node, step)]
    while waiting:
        above, each = waiting.pop()
        if each.span_id in seen:
            continue
        seen.add(each.span_id)
        children = below.get(each.span_id, [])
        place = above.add(_label(each), data=each) if children else above.add_leaf(_label(each), data=each)
        waiting += [(place, child) for child in reversed(children)]


def _label(step: Step) -> Text:
    taken = [
        f"{milliseconds(step.duration_ms)} ms" if step.duration_ms is not None else "",
        f"{count(step.usage.input_tokens)}→{count(step.usage.output_tokens)}"
        if step.usage.input_tokens is not None or step.usage.output_tokens is not None
        else "",
        f"${dollars(step.cost_usd)}" if step.cost_usd is not None else "",
    ]
    return Text.assemble(
        _sign(step.status),
        " ",
        cell(step.operation, "dim"),
        " ",
        cell(step.name),
        "  ",
        cell(" ".join(part for part in taken if part), "dim"),
    )


def _row(run: Run) -> list[Text]:
    name = run.first.name
    figures = (
        milliseconds(run.duration_ms),
        count(len(run.calls)),
        count(run.input_tokens + run.output_tokens),
        dollars(run.cost_usd) + ("+?" if run.unpriced_calls else ""),
    )
    return [
        _sign(run.status),
        Text(run.started.strftime("%H:%M:%S")),
        cell(name if len(name) <= _NAME else f"{name[: _NAME - 1]}…"),
        *(Text(figure, justify="right") for figure in figures),
    ]


def _sign(status: str) -> Text:
    """A shape for each way of ending, so that nothing is said by colour alone."""
    return cell(_SIGNS.get(status, "?"), STATUS_STYLES.get(status, ""))


def _totals(totals: Totals, words: str, *, failed: bool) -> Text:
    parts = [
        f"{totals.runs:,} runs",
        f"{totals.open:,} open",
        f"{totals.failed:,} failed",
        f"{totals.calls:,} calls",
        f"{totals.tokens:,} tokens",
        f"${dollars(totals.cost_usd)}" + ("+?" if totals.unpriced_calls else ""),
        "failed only" if failed else "",
        f"“{words}”" if words.strip() else "",
    ]
    return cell(" · ".join(part for part in parts if part), "bold")
