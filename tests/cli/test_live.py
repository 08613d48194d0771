"""The live screen, driven by Textual's own pilot over a real journal that grows."""

from __future__ import annotations

import os
import re
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from textual.widgets import DataTable, Input, Static, Tree

import ai_dev_squad
from ai_dev_squad import operations
from ai_dev_squad.schema import Usage
from ai_dev_squad_cli import main
from ai_dev_squad_cli.live.screen import LiveScreen
from ai_dev_squad_cli.live.watching import Watch


class Squad:
    """A program that is observed: its agent is opened, asks a model, calls a tool, and is closed when the test says so."""

    def __init__(self, name: str, session: str) -> None:
        self.agent = operations.start(operations.AGENT, name, framework="langgraph", session_id=session, agent_id=name)
        ai_dev_squad.flush()

    def ask(self) -> Squad:
        request = operations.ModelRequest("gpt-4o-mini", "openai")
        call = operations.start(
            operations.CHAT, "gpt-4o-mini", framework="langgraph", parent=self.agent, request=request
        )
        call.usage = Usage(input_tokens=1_000, output_tokens=500, source="provider")
        call.stop()
        ai_dev_squad.flush()
        return self

    def end(self, *, fails: bool = False) -> Squad:
        tool = operations.start(operations.TOOL, "weather", framework="langgraph", parent=self.agent)
        tool.fail(ValueError("no such \x1b[31mplace")) if fails else tool.stop()
        self.agent.stop()
        ai_dev_squad.flush()
        return self


@pytest.fixture
def logs(tmp_path: Path) -> Iterator[Path]:
    """The directory of a journal to which the test's own programs write."""
    ai_dev_squad.configure(log_dir=str(tmp_path / "logs"))
    yield tmp_path / "logs"
    ai_dev_squad.shutdown()


@pytest.fixture
def screen(logs: Path) -> Iterator[LiveScreen]:
    """The screen, which looks only when it is told to."""
    with Watch([logs]) as watch:
        yield LiveScreen(watch, interval_s=0)


def names(app: LiveScreen) -> list[str]:
    table: DataTable[Any] = app.query_one("#runs", DataTable)
    return [f"{table.get_row_at(row)[0]} {table.get_row_at(row)[2]}" for row in range(table.row_count)]


def steps(app: LiveScreen) -> list[str]:
    tree: Tree[Any] = app.query_one("#steps", Tree)

    def below(node: Any, depth: int) -> Iterator[str]:
        for child in node.children:
            yield f"{'  ' * depth}{child.data.operation} {child.data.name} {child.data.status}"
            yield from below(child, depth + 1)

    return list(below(tree.root, 0))


def said(app: LiveScreen, part: str) -> str:
    return str(app.query_one(part, Static).render())


async def test_a_run_grows_on_the_screen(screen: LiveScreen) -> None:
    """It is listed when it opens; its operations, tokens and cost come with each look, and its end with the last one."""
    async with screen.run_test(size=(80, 24)) as pilot:
        assert (names(screen), said(screen, "#head")) == ([], "No run yet.")
        squad = Squad("planner", "s1")
        await screen.look()
        await pilot.pause()
        assert (names(screen), steps(screen)) == (["… planner"], ["invoke_agent planner open"])
        squad.ask()
        await screen.look()
        assert steps(screen) == ["invoke_agent planner open", "  chat gpt-4o-mini ok"]
        assert said(screen, "#totals") == "1 runs · 1 open · 0 failed · 1 calls · 1,500 tokens · $0.000450"
        squad.end()
        await screen.look()
        await pilot.pause()
        assert names(screen) == ["✓ planner"]
        assert steps(screen) == ["invoke_agent planner ok", "  chat gpt-4o-mini ok", "  execute_tool weather ok"]


async def test_the_newest_is_followed_until_another_is_chosen(screen: LiveScreen) -> None:
    """Going down the list stays there while runs come; ``n`` follows again."""
    async with screen.run_test(size=(80, 24)) as pilot:
        for name in ("first", "second"):
            Squad(name, "s").ask().end()
        await screen.look()
        await pilot.pause()
        assert names(screen) == ["✓ second", "✓ first"]
        assert steps(screen)[0] == "invoke_agent second ok"
        await pilot.press("down")
        await pilot.pause()
        assert steps(screen)[0] == "invoke_agent first ok"
        Squad("third", "s").ask().end()
        await screen.look()
        await pilot.pause()
        assert (names(screen)[0], steps(screen)[0]) == ("✓ third", "invoke_agent first ok")
        await pilot.press("n")
        await pilot.pause()
        assert steps(screen)[0] == "invoke_agent third ok"


async def test_words_and_failures_narrow_the_list(screen: LiveScreen) -> None:
    """Words are found in names, sessions, models and ids; ``e`` leaves runs in which something failed; Esc shows all."""
    async with screen.run_test(size=(80, 24)) as pilot:
        Squad("planner", "monday").ask().end()
        Squad("coder", "tuesday").ask().end(fails=True)
        await screen.look()
        await pilot.press("slash", *"monday")
        await pilot.pause()
        assert (names(screen), screen.query_one("#words", Input).value) == (["✓ planner"], "monday")
        await pilot.press("space", *"nothing", "enter")
        await pilot.pause()
        assert (names(screen), said(screen, "#head")) == ([], "No run has that; Esc shows all.")
        await pilot.press("escape", "e")
        await pilot.pause()
        assert names(screen) == ["✓ coder"]
        assert "failed only" in said(screen, "#totals")
        await pilot.press("tab", "down", "down")
        await pilot.pause()
        assert said(screen, "#why") == "ValueError: no such \\x1b[31mplace"
        await pilot.press("escape")
        await pilot.pause()
        assert names(screen) == ["✓ coder", "✓ planner"]


@pytest.mark.parametrize("size, is_wide", [((80, 24), False), ((120, 50), True)])
async def test_it_fits_a_small_terminal_and_uses_a_wide_one(screen: LiveScreen, size, is_wide) -> None:
    """All parts are on the screen, one below the other or side by side, and no line is wider than it."""
    async with screen.run_test(size=size) as pilot:
        Squad("the planner of release notes", "s").ask().end()
        await screen.look()
        await pilot.pause()
        assert names(screen) == ["✓ the planner of rele…"]
        regions = {part: screen.query_one(part).region for part in ("#totals", "#runs", "#steps")}
        assert all(region.width > 20 and region.right <= size[0] for region in regions.values())
        assert all(region.height > 0 and region.bottom <= size[1] for region in regions.values())
        assert (regions["#runs"].right <= regions["#steps"].x) is is_wide
        table: DataTable[Any] = screen.query_one("#runs", DataTable)
        assert table.virtual_size.width <= table.size.width


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_without_colour_everything_is_said_by_shapes(logs: Path) -> None:
    """On a real terminal of 80 by 24 with ``NO_COLOR``: the sign of a failure is drawn, in greys only, and ``q`` ends it."""
    import fcntl
    import pty
    import termios

    Squad("planner", "s").agent.fail(RuntimeError("gave up"))
    ai_dev_squad.flush()
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "NO_COLOR": "1", "TERM": "xterm-256color", "COLORTERM": "truecolor"}
    command = [sys.executable, "-m", "ai_dev_squad_cli", "live", str(logs)]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment) as process:
        os.close(theirs)
        drawn = b""
        while b"invoke_agent" not in drawn:
            drawn += os.read(ours, 65_536)
        os.write(ours, b"q")
        try:
            while piece := os.read(ours, 65_536):
                drawn += piece
        except OSError:
            pass  # Linux says so when the other side is closed
        assert process.wait(60) == 0
    os.close(ours)
    assert "✗" in drawn.decode(errors="replace")
    colours = re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", drawn)
    assert colours
    assert {len(set(colour)) for colour in colours} == {1}


def test_without_a_terminal_or_textual_it_says_what_to_do(logs: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipe is no screen; an installation without the extra names it; an interval that is none is refused."""
    assert main(["live", str(logs)]) == 1
    assert "live needs a terminal; `ai-dev-squad tail --follow`" in capsys.readouterr().err
    assert main(["live", str(logs), "--interval", "0"]) == 2
    assert "use 0.05 to 3600 seconds" in capsys.readouterr().err
    for module in [
        name for name in sys.modules if name.partition(".")[0] == "textual" or "ai_dev_squad_cli.live" in name
    ]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, "textual", None)
    assert main(["live", str(logs)]) == 1
    assert "pip install 'ai-dev-squad-cli[live]'" in capsys.readouterr().err
