"""Which commands ``ai-dev-squad`` has: its own, those of other packages, and what it says of those that are missing."""

from __future__ import annotations

import subprocess
import sys
from importlib import metadata
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from ai_dev_squad_cli import CommandError, main, moment_us

HEAVY = ("flask", "duckdb", "cheroot", "langgraph", "crewai", "autogen_core", "opentelemetry.sdk", "pydantic")


class Point:
    """An entry point of another package."""

    def __init__(self, name: str, load: Any, value: str | None = None) -> None:
        self.name, self.value, self.load = name, value or f"{name}:register", load


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors of a command run in this process."""
    capsys.readouterr()
    try:
        code = main(arguments)
    except SystemExit as end:
        code = int(end.code or 0)
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.fixture
def others(monkeypatch: pytest.MonkeyPatch) -> list[Point]:
    """The entry points of other packages, to be filled; each says when it is loaded."""
    points: list[Point] = []
    monkeypatch.setattr(metadata, "entry_points", lambda group: points if group == "ai_dev_squad.commands" else [])
    return points


def registering(*names: str, loaded: list[str] | None = None) -> Any:
    """What an entry point is loaded by: a function that adds these commands, whose handlers print their name."""

    def register(subparsers: Any) -> None:
        for name in names:
            subparsers.add_parser(name, help=f"to {name}").set_defaults(run=lambda options, name=name: print(name) or 7)

    def load() -> Any:
        if loaded is not None:
            loaded.extend(names)
        return register

    return load


def broken() -> Any:
    raise ImportError("no such module")


def test_a_command_of_another_package_runs(capsys, others):
    """It is found by its entry point's name, and what its handler returns is the exit code; no other package is imported."""
    loaded: list[str] = []
    others += [
        Point("broken", broken),
        Point("wave", registering("wave")),
        Point("nod", registering("nod", loaded=loaded)),
    ]

    assert run(capsys, "wave") == (7, "wave\n", "")
    assert loaded == []


def test_a_package_that_fails_takes_no_command_away(capsys, others):
    """The help lists all the others and names the one that is broken."""
    others += [Point("broken", broken), Point("wave", registering("wave"))]
    code, out, err = run(capsys, "--help")

    assert code == 0
    assert "to wave" in out
    assert err == "ai-dev-squad: the commands of broken:register are left out: no such module\n"


def test_one_function_may_add_several_commands(capsys, others):
    """Two entry points with one function: either name runs, and the help asks it once."""
    both = registering("nod", "wave")
    others += [Point("nod", both, "x:register"), Point("wave", both, "x:register")]

    assert run(capsys, "nod")[:2] == (7, "nod\n")
    assert run(capsys, "wave")[:2] == (7, "wave\n")
    assert run(capsys, "--help")[0] == 0


def test_a_command_may_have_another_name_than_its_entry_point(capsys, others):
    """What no entry point is called is looked for in all of them."""
    others += [Point("mine", registering("wave"))]

    assert run(capsys, "wave")[:2] == (7, "wave\n")


@pytest.mark.parametrize(
    "command, package",
    [
        ("dashboard", "ai-dev-squad-dashboard"),
        ("gate", "ai-dev-squad-testing"),
        ("parity", "'ai-dev-squad-parity[demo]'"),
    ],
)
def test_a_command_of_a_package_that_is_missing_says_what_to_install(capsys, others, command, package):
    """Whoever has the light package alone is told where the others come from."""
    message = f"ai-dev-squad: the command {command!r} comes with another package; install it: pip install {package}\n"

    assert run(capsys, command, "--anything") == (2, "", message)


def test_what_nobody_knows_is_refused(capsys, others):
    """A mistyped command is named, with those that there are."""
    code, out, err = run(capsys, "fly")

    assert (code, out) == (2, "")
    assert "invalid choice: 'fly'" in err


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_output_is_no_failure(tmp_path, closed):
    """A command whose output or errors are closed does what it was asked, and its code says so."""
    command = f"'{sys.executable}' -m ai_dev_squad_cli runs . {closed}"
    (tmp_path / "a.jsonl").write_bytes(b"")

    assert subprocess.run(["sh", "-c", command], check=False, cwd=tmp_path, timeout=60).returncode == 0


def test_the_help_of_all_commands_imports_nothing_heavy():
    """With the dashboard, the lab and every framework installed, the help imports neither of what they are made of."""
    program = (
        "import sys; from ai_dev_squad_cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)

    assert done.stdout.splitlines()[-1] == "[]"
    assert "run the dashboard" in done.stdout


def test_a_date_and_a_span_of_time_name_a_moment():
    """A date is midnight in UTC; anything else is refused with what is allowed."""
    assert moment_us("2026-01-01") == 1_767_225_600_000_000
    with pytest.raises(CommandError, match="write 30m, 24h, 7d or 2w"):
        moment_us("soon")


def test_it_brings_few_packages():
    """Whoever installs the command alone gets at most twelve packages, itself included, and neither a server nor a database."""
    found: set[str] = set()
    waiting = [Requirement("ai-dev-squad-cli")]
    while waiting:
        wanted = waiting.pop()
        found.add(canonicalize_name(wanted.name))
        for text in metadata.requires(wanted.name) or ():
            needed = Requirement(text)
            applies = needed.marker is None or needed.marker.evaluate({"extra": ""})
            if applies and canonicalize_name(needed.name) not in found:
                waiting.append(needed)

    assert len(found) <= 12, sorted(found)
    assert found & {"flask", "duckdb", "requests", "tiktoken"} == set()
