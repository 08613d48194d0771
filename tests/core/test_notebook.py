"""A cell that begins with ``%%observe`` is followed by what was observed in it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.utils.capture import capture_output

import ai_dev_squad
from ai_dev_squad.notebook import ShownRun, last_run

PROGRAM = """\
from ai_dev_squad import operations
from ai_dev_squad.running import running
from ai_dev_squad.schema import Usage
with running(operations.AGENT, {name!r}, framework="none") as agent:
    request = operations.ModelRequest(model="gpt-4o", provider="openai")
    said = {{"gen_ai.input.messages": [{{"role": "user", "parts": [{{"type": "text", "content": {said!r}}}]}}]}}
    with running(operations.CHAT, "gpt-4o", framework="none", parent=agent, request=request, attributes=said) as call:
        call.usage = Usage(input_tokens=1_000, output_tokens=100, source="provider")
"""


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[InteractiveShell]:
    """A real IPython with the extension loaded."""
    ai_dev_squad.configure(log_dir=tmp_path, capture_content=True)
    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "ai_dev_squad.notebook")
    yield shell
    shell.run_line_magic("unload_ext", "ai_dev_squad.notebook")
    InteractiveShell.clear_instance()


def shown(shell: InteractiveShell, cell: str) -> tuple[list[Any], str]:
    """What a cell displays and prints."""
    with capture_output() as captured:
        assert shell.run_cell(cell).error_in_exec is None
    return [output.data for output in captured.outputs], re.sub(r"\x1b\[[\d;]*m", "", captured.stdout)


def cell(name: str = "agent", said: str = "Hello") -> str:
    """A cell with one run."""
    return "%%observe\n" + PROGRAM.format(name=name, said=said)


class Texts(HTMLParser):
    """The rows of the tables and the tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.rows: list[list[str]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in {"td", "th"}:
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def test_a_cell_is_followed_by_its_runs(shell: InteractiveShell) -> None:
    """By those of this cell, however many there were before: a line of text, a tree in HTML, and the conversation."""
    shown(shell, cell("first"))
    (second,), _ = shown(shell, cell("second"))

    assert re.sub(r"[\d,]+ ms", "1 ms", second["text/plain"]) == (
        "second: ok, 1 ms, 1 model calls, 1,000 + 100 tokens, $0.003500"
    )
    page = Texts(second["text/html"])
    assert [[row[0], row[1], *row[3:]] for row in page.rows[1:2]] == [["invoke_agent second", "ok", "", "", ""]]
    assert page.rows[2][:2] == ["  chat gpt-4o", "ok"]
    assert page.rows[2][3:5] == ["1,000", "100"]
    assert "<pre>Hello</pre>" in second["text/html"]


def test_cells_that_ask_for_nothing_show_nothing(shell: InteractiveShell) -> None:
    """Without the first line a cell is as it was."""
    assert shown(shell, PROGRAM.format(name="agent", said="Hello")) == ([], "")


def test_a_cell_may_be_asynchronous(shell: InteractiveShell) -> None:
    """The cell is IPython's to run, which waits for what is awaited in it."""
    outputs, _ = shown(shell, cell() + "import asyncio\nawait asyncio.sleep(0)\n")
    assert len(outputs) == 1


def test_a_cell_in_which_nothing_is_observed_says_so(shell: InteractiveShell) -> None:
    """With what to do about it."""
    assert shown(shell, "%%observe\npass") == (
        [],
        "Nothing was observed in this cell: wrap what it runs with observe(...), and see that the setting `journal` is on\n",
    )


def test_what_agents_said_is_shown_and_not_run(shell: InteractiveShell) -> None:
    """Names and messages are text, whatever is in them."""
    (output,), _ = shown(shell, cell("<script>alert(1)</script>", "<img src=x onerror=alert(2)>"))
    page = Texts(output["text/html"])

    assert page.tags == {"style", "div", "b", "table", "tr", "th", "td", "span", "details", "summary", "pre"}
    assert page.rows[1][0] == "invoke_agent <script>alert(1)</script>"


def test_the_newest_run_can_be_shown_again(shell: InteractiveShell) -> None:
    """``display(last_run())``; without any run it is ``None``."""
    assert last_run() is None
    shown(shell, cell("only"))
    found = last_run()
    assert isinstance(found, ShownRun)
    assert found.run.first.name == "only"
