"""Runs in a notebook, where they were made: ``%load_ext ai_dev_squad.notebook``, then ``%%observe`` at the top of a cell.

Below the cell stands what was observed in it: each run as a tree with time, tokens and cost, and the conversation where
content is captured. It is read from the journal; no server is asked, and the page runs no script.
``display(last_run())`` shows the newest run again.
"""

from __future__ import annotations

import html
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ai_dev_squad import attributes as keys
from ai_dev_squad import runtime
from ai_dev_squad.events.follow import JournalFollower, follow_journal
from ai_dev_squad.runs import Run, Step, read_runs, runs_in
from ai_dev_squad.schema import JournalLine

__all__ = ["ShownRun", "last_run", "load_ipython_extension", "unload_ipython_extension"]

_MAGIC = "%%observe"
_LONGEST = 4_000
"""Characters of a message that are shown."""
_STYLE = (
    ".aids{font-size:13px;line-height:1.5}.aids table{border-collapse:collapse}.aids td,.aids th{text-align:right;padding:1px 10px 1px 0;"
    "border:0}.aids td:first-child,.aids th:first-child{text-align:left;white-space:pre}.aids .bad{color:#c0392b}.aids .dim{opacity:.65}"
    ".aids pre{white-space:pre-wrap;margin:2px 0 8px}"
)
_FAILED = frozenset({"error", "abandoned"})


class ShownRun:
    """A run as a notebook shows it: a tree in HTML, and in plain text where there is no HTML."""

    def __init__(self, run: Run, lines: Sequence[JournalLine] = ()) -> None:
        self.run = run
        """The run itself, with its operations, tokens and cost."""
        self._said = [
            said for line in lines if line.trace_id == run.trace_id for said in _messages(line.metadata or {})
        ]

    def _repr_html_(self) -> str:
        rows = "".join(_row(depth, step) for depth, step in _tree(self.run))
        head = "<tr><th></th><th>status</th><th>ms</th><th>in</th><th>out</th><th>USD</th></tr>"
        said = "".join(
            f'<div class="dim">{html.escape(role)}</div><pre>{html.escape(text[:_LONGEST])}</pre>'
            for role, text in self._said
        )
        talk = f"<details><summary>{len(self._said)} messages</summary>{said}</details>" if said else ""
        return f'<style>{_STYLE}</style><div class="aids"><b>{html.escape(repr(self))}</b><table>{head}{rows}</table>{talk}</div>'

    def __repr__(self) -> str:
        run = self.run
        took = "" if run.duration_ms is None else f", {run.duration_ms:,.0f} ms"
        unpriced = f" and {run.unpriced_calls} calls without a price" if run.unpriced_calls else ""
        tokens = f"{run.input_tokens:,} + {run.output_tokens:,} tokens"
        return f"{run.first.name}: {run.status}{took}, {len(run.calls)} model calls, {tokens}, ${run.cost_usd:.6f}{unpriced}"


def last_run() -> ShownRun | None:
    """The newest run of this program's journal, to be shown; ``None`` if there is none yet."""
    runtime.flush()
    try:
        runs = list(read_runs(runtime.get_settings().journal_path))
    except FileNotFoundError:
        return None
    return ShownRun(runs[-1]) if runs else None


def load_ipython_extension(ipython: Any) -> None:
    """IPython's hook of ``%load_ext``. Loading it again changes nothing."""
    if not hasattr(ipython, _ATTRIBUTE):
        observer = _Cells()
        setattr(ipython, _ATTRIBUTE, observer)
        # Not a magic of its own: that would have to run the cell, and could not wait for what is asynchronous in it.
        ipython.input_transformers_cleanup.append(_without_magic)
        ipython.events.register("pre_run_cell", observer.begins)
        ipython.events.register("post_run_cell", observer.ends)


def unload_ipython_extension(ipython: Any) -> None:
    """IPython's hook of ``%unload_ext``."""
    observer = ipython.__dict__.pop(_ATTRIBUTE, None)
    if observer is not None:
        ipython.input_transformers_cleanup.remove(_without_magic)
        ipython.events.unregister("pre_run_cell", observer.begins)
        ipython.events.unregister("post_run_cell", observer.ends)
        observer.close()


_ATTRIBUTE = "_ai_dev_squad_cells"


def _without_magic(lines: list[str]) -> list[str]:
    return lines[1:] if lines and lines[0].strip() == _MAGIC else lines


class _Cells:
    """Shows below a cell what was observed in it."""

    def __init__(self) -> None:
        self._follower: JournalFollower | None = None

    def begins(self, info: Any) -> None:
        """What stands in the journal already is of other cells."""
        if _is_observed(info):
            runtime.flush()
            self._new()

    def ends(self, result: Any) -> None:
        """Show what was added since."""
        if not _is_observed(result.info):
            return
        from IPython.display import display

        runtime.flush()
        lines = self._new()
        runs = list(runs_in(lines))
        for run in runs:
            display(ShownRun(run, lines))  # type: ignore[no-untyped-call]
        if not runs:
            sys.stdout.write(
                "Nothing was observed in this cell: wrap what it runs with observe(...), and see that the setting `journal` is on\n"
            )

    def _new(self) -> list[JournalLine]:
        path = runtime.get_settings().journal_path
        if self._follower is None or self._follower.path != path:
            self.close()
            self._follower = follow_journal(path)
        return self._follower.read()

    def close(self) -> None:
        if self._follower is not None:
            self._follower.close()
            self._follower = None


def _is_observed(info: Any) -> bool:
    cell: str = info.raw_cell or ""
    return cell.lstrip().split("\n", 1)[0].strip() == _MAGIC


def _tree(run: Run) -> Iterator[tuple[int, Step]]:
    """Each operation with its depth, in the order of the tree; where a damaged journal goes in a circle, each once."""
    below, seen = run.children(), set[str]()
    tops = below.get(None, [])
    waiting = [(0, step) for step in reversed([*tops, *(step for step in run.steps if step not in tops)])]
    while waiting:
        depth, step = waiting.pop()
        if step.span_id not in seen:
            seen.add(step.span_id)
            yield depth, step
            waiting += [(depth + 1, child) for child in reversed(below.get(step.span_id, []))]


def _row(depth: int, step: Step) -> str:
    usage = step.usage
    took = "…" if step.duration_ms is None else f"{step.duration_ms:,.0f}"
    cost = "" if not step.is_call else "?" if step.cost_usd is None else f"{step.cost_usd:.6f}"
    counts = ["" if count is None else f"{count:,}" for count in (usage.input_tokens, usage.output_tokens)]
    what = f'{"  " * depth}<span class="dim">{html.escape(step.operation)}</span> {html.escape(step.name)}'
    wrong = f" {html.escape(step.error.type)}" if step.error else ""
    status = f'<td class="bad">{step.status}{wrong}</td>' if step.status in _FAILED else f"<td>{step.status}</td>"
    return f"<tr><td>{what}</td>{status}{''.join(f'<td>{text}</td>' for text in (took, *counts, cost))}</tr>"


def _messages(metadata: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """What was said in a model call, as far as it was captured: role and text."""
    for key in (keys.INPUT_MESSAGES, keys.OUTPUT_MESSAGES):
        messages = metadata.get(key)
        for message in messages if isinstance(messages, list) else ():
            if isinstance(message, dict):
                parts = message.get("parts") or [message]
                texts = [str(part.get("content") or part.get("name") or "") for part in parts if isinstance(part, dict)]
                yield str(message.get("role") or "assistant"), "\n".join(filter(None, texts))
