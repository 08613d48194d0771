"""What a framework is, read from one place; and what an adapter by others adds to it."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from ai_dev_squad import frameworks
from ai_dev_squad.frameworks import (
    FrameworkError,
    FrameworkInfo,
    FrameworkTelemetry,
    Instrumentor,
    adapted_frameworks,
    framework_called,
    framework_title,
    known_frameworks,
    read_frameworks,
)

ADAPTERS = sorted(path.name for path in Path(__file__).parents[2].glob("packages/adapters/*") if path.is_dir())


def test_each_adapter_here_has_a_row() -> None:
    """The row's name is the adapter's with underscores; it says what is observed, and a colour that nobody else has."""
    rows = adapted_frameworks()

    assert {name.replace("-", "_") for name in ADAPTERS} <= rows.keys()
    assert [*rows][:3] == ["langgraph", "crewai", "autogen"]
    for name, info in rows.items():
        assert info.adapter == f"ai-dev-squad-{name.replace('_', '-')}"
        assert info.module == f"ai_dev_squad_{name}"
        assert info.packages
        assert info.scopes
    hues = [info.hue for info in rows.values()]
    assert len({*hues}) == len(hues)


def test_a_word_finds_its_framework() -> None:
    """A name, a scope, in any case; a provider's name is none."""
    assert {word: framework_called(word) for word in ("LlamaIndex", "crewai", "gcp.vertex.agent", "openai")} == {
        "LlamaIndex": "llama-index",
        "crewai": "crewai",
        "gcp.vertex.agent": "google-adk",
        "openai": None,
    }
    assert (framework_title("pydantic_ai"), framework_title("mine")) == ("Pydantic AI", "mine")


def test_a_file_says_everything_of_a_framework(tmp_path: Path) -> None:
    """Each key has its place; what is left out is empty."""
    path = tmp_path / "framework.toml"
    path.write_text(
        '[toy]\ntitle = "Toy"\nadapter = "toy-watch"\npackages = ["toy"]\nclients = ["openai"]\nscopes = ["toy.trace"]\n'
        'hue = 5\npreload = ["toy.run"]\nquiet = { TOY_QUIET = "1" }\n'
        '[toy.telemetry]\nharm = "note"\nmessage = "m"\noff = "TOY_QUIET"\ncure = "c"\n'
        '[toy.instrumentors]\nopeninference = [{ name = "m:C", options = { all = true } }]\n[small]\ntitle = "Small"\n'
    )

    toy, small = read_frameworks(path).values()

    assert toy == FrameworkInfo(
        "toy", "Toy", "toy-watch", ("toy",), ("openai",), ("toy.trace",), 5, ("toy.run",), {"TOY_QUIET": "1"},
        FrameworkTelemetry("note", "m", "TOY_QUIET", "c"), {"openinference": (Instrumentor("m:C", {"all": True}),)},
    )  # fmt: skip
    assert (toy.module, small.module) == ("toy_watch", None)
    assert small == FrameworkInfo("small", "Small")


@pytest.mark.parametrize(
    "text, message",
    [
        ("[toy", "cannot be read: "),
        ("toy = 1", "[toy] is 1; it must be a table"),
        ("[toy]", "[toy] has no title; write title = ..."),
        ('[toy]\ntitle = "T"\ncolour = 1', "[toy] has 'colour', which nobody reads; the keys are name, title, adapter, "),
        ('[toy]\nname = "tin"\ntitle = "T"', "[toy] has another name in it; the table's own is its name"),
        ("[toy]\ntitle = 7", "[toy] title is 7; it must be a text"),
        ('[toy]\ntitle = "T"\npackages = "toy"', "[toy] packages is 'toy'; it must be a list of texts"),
        ('[toy]\ntitle = "T"\nhue = 12', "[toy] hue is 12; it must be 1 to 11"),
        ('[toy]\ntitle = "T"\nhue = true', "[toy] hue is True; it must be a number"),
        ('[toy]\ntitle = "T"\ntelemetry = { harm = "note" }', "[toy] telemetry has no message, off, cure; write message = ..."),
        ('[toy]\ntitle = "T"\nquiet = { A = 1 }', "[toy] quiet is {'A': 1}; it must be a table of texts"),
        ('[toy]\ntitle = "T"\ninstrumentors = { openinference = "m:C" }', "[toy] openinference is 'm:C'; it must be a list of tables"),
    ],
)  # fmt: skip
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    """The file, the table, the value, and what is allowed."""
    path = tmp_path / "framework.toml"
    path.write_text(text)

    with pytest.raises(FrameworkError) as raised:
        read_frameworks(path)

    assert str(raised.value).startswith(f"{path}{' ' if 'cannot' in message else ': '}{message}")


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package by others that can be imported, and is announced as an adapter."""
    package = tmp_path / "toy_watch"
    package.mkdir()
    (package / "__init__.py").write_text("raise RuntimeError('nobody may import this to ask for a title')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    announced = [EntryPoint("toy", "toy_watch", frameworks.ENTRY_POINTS)]
    monkeypatch.setattr(frameworks.importlib.metadata, "entry_points", lambda group: announced)
    fresh = frameworks._known.__wrapped__
    monkeypatch.setattr(frameworks, "_known", fresh)
    return package


def test_an_adapter_by_others_brings_its_own_row(strangers: Path) -> None:
    """Its file is read without importing it; one that had no adapter gets it, and one that has keeps its own."""
    (strangers / "framework.toml").write_text(
        '[toy]\ntitle = "Toy"\nadapter = "toy-watch"\n[crewai]\ntitle = "Mine"\nadapter = "mine"\n'
        '[agno]\ntitle = "Agno"\nadapter = "agno-watch"\nscopes = ["agno.trace"]\n'
    )

    rows = adapted_frameworks()

    assert [*rows][-2:] == ["agno", "toy"]
    assert {*rows["agno"].scopes} == {"agno", "agno.trace"}
    assert (framework_title("toy"), framework_title("crewai")) == ("Toy", "CrewAI")


def test_what_cannot_be_read_of_others_is_left_out(strangers: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It's logged once, with the file, and all others are there."""
    previous = frameworks.guard.set_strict(False)
    try:
        known = known_frameworks()
    finally:
        frameworks.guard.set_strict(previous)
        frameworks.guard.forget()

    assert "toy" not in known
    assert "crewai" in known
    assert f"{strangers / 'framework.toml'} cannot be read" in caplog.text


def test_reading_them_imports_no_framework() -> None:
    """It takes the standard library, and nothing of ours but what says that something failed."""
    program = (
        "import sys; from ai_dev_squad.frameworks import known_frameworks; known_frameworks()\n"
        "print(sorted({'msgspec', 'langgraph', 'crewai', 'autogen_core', 'agents', 'pydantic_ai'} & sys.modules.keys()))"
    )
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert printed == "[]\n"
