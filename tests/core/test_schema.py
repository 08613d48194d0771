"""The schema of a journal line: generated, published, and true of what is written."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad import StructuredLogger, schema
from ai_dev_squad.events import read_journal
from ai_dev_squad.schema import (
    SCHEMA_VERSION,
    Cost,
    ErrorInfo,
    EventType,
    JournalLine,
    Link,
    Usage,
    json_schema,
    register_event_type,
    registered_event_types,
    resolve_event_type,
    utc_now,
)

ROOT = Path(__file__).resolve().parents[2]
validator = jsonschema.Draft202012Validator(json_schema(), format_checker=jsonschema.FormatChecker())


@pytest.fixture(autouse=True)
def _only_built_in_types(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "_registered", dict(schema._registered))


def test_the_published_schema_is_the_generated_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """docs/reference/journal.schema.json is up to date; if not, run tools/generate_reference.py."""
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from reference_data import journal_schema

    published = ROOT / "docs" / "reference" / "journal.schema.json"
    assert published.read_text(encoding="utf-8") == journal_schema()


def test_the_schema_is_a_valid_schema_and_names_its_version() -> None:
    """It's JSON Schema 2020-12, and its title and the field ``schema`` carry the version."""
    jsonschema.Draft202012Validator.check_schema(json_schema())

    assert json_schema()["title"] == f"AI Dev Squad journal line, schema {SCHEMA_VERSION}"
    assert json_schema()["$defs"]["JournalLine"]["properties"]["schema"] == {"enum": [SCHEMA_VERSION]}


def test_a_line_needs_these_fields() -> None:
    """Everything else may be absent."""
    assert sorted(json_schema()["$defs"]["JournalLine"]["required"]) == [
        "event_type",
        "level",
        "message",
        "schema",
        "timestamp",
    ]


texts = st.text(max_size=20)
counts = st.none() | st.integers(0, 10**9)
lines = st.builds(
    JournalLine,
    timestamp=st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(timezone.utc)),
    level=st.sampled_from(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]),
    event_type=st.sampled_from(list(EventType)).map(lambda member: member.value),
    message=texts,
    session_id=st.none() | texts,
    status=st.none() | st.sampled_from(["ok", "error", "interrupted", "cancelled", "closed_early", "abandoned"]),
    duration_ms=st.none() | st.floats(0, 1e9),
    usage=st.none()
    | st.builds(
        Usage,
        input_tokens=counts,
        output_tokens=counts,
        cache_read_input_tokens=counts,
        source=st.sampled_from(["provider", "estimated", "missing"]),
    ),
    cost=st.none()
    | st.builds(Cost, usd=st.none() | st.floats(0, 1e6), price=st.none() | texts, reason=st.none() | texts),
    error=st.none() | st.builds(ErrorInfo, type=texts, message=texts),
    links=st.none() | st.lists(st.builds(Link, trace_id=texts, span_id=texts), max_size=2),
    metadata=st.none()
    | st.dictionaries(texts, st.none() | st.booleans() | texts | st.lists(texts, max_size=3), max_size=3),
)


@given(line=lines)
def test_every_line_fits_the_schema_and_comes_back_equal(line: JournalLine) -> None:
    """Whatever fields are filled, the encoded line is valid, and decoding it gives the same line."""
    encoded = msgspec.json.encode(line)
    validator.validate(json.loads(encoded))

    assert msgspec.json.decode(encoded, type=JournalLine) == line


@pytest.mark.parametrize(
    "change",
    [
        {"schema": 2},
        {"level": "LOUD"},
        {"timestamp": 12},
        {"message": None},
        {"status": "fine"},
        {"usage": {"input_tokens": 1}},
        {"usage": {"input_tokens": "1", "source": "provider"}},
        {"cost": {}},
        {"error": {"message": "x"}},
        {"metadata": []},
        {"duration_ms": "12"},
    ],
)
def test_the_schema_refuses_what_is_no_line(change: dict[str, Any]) -> None:
    """Wrong values are invalid, so the schema says something."""
    line = json.loads(
        msgspec.json.encode(JournalLine(timestamp=utc_now(), level="INFO", event_type="agent.start", message="x"))
    )
    validator.validate(line)
    with pytest.raises(jsonschema.ValidationError):
        validator.validate({**line, **change})


def test_what_the_logger_writes_fits_the_schema(tmp_path: Path) -> None:
    """Lines in a real file are valid, whatever their metadata was."""
    logger = StructuredLogger(tmp_path)
    logger.log_agent_start("a", "planner", "langgraph", ["plan"])
    logger.log_custom_event({"object": object(), "nan": float("nan"), "set": {1}, "bytes": b"\xff", 1: "key"})
    logger.log_llm_response("gpt-4o", "openai", input_tokens=1, output_tokens=2, cost_usd=0.1, duration_ms=1.5)
    logger.close()
    texts_in_file = (tmp_path / "ai_dev_squad.jsonl").read_text().splitlines()
    for text in texts_in_file:
        validator.validate(json.loads(text))

    assert len(list(read_journal(tmp_path, strict=True))) == len(texts_in_file) == 3


def test_the_event_types_are_those_of_the_product() -> None:
    """Thirteen of the guide and eight more; each may be given as member or as string."""
    assert [member.value for member in EventType] == [
        "agent.start",
        "agent.stop",
        "agent.interrupt",
        "agent.resume",
        "agent.handoff",
        "agent.loop",
        "task.start",
        "task.complete",
        "task.fail",
        "tool.call",
        "tool.result",
        "safety.violation",
        "llm.request",
        "llm.response",
        "vcs.commit",
        "performance.metric",
        "system.error",
        "budget.alert",
        "budget.exceeded",
        "budget.store",
        "telemetry.dropped",
        "wire.coverage",
        "custom.event",
    ]
    for member in EventType:
        assert resolve_event_type(member) == resolve_event_type(member.value) == member.value
        assert type(resolve_event_type(member)) is str


def test_a_registered_type_is_known() -> None:
    """Registering makes a type usable, twice as well as once."""
    assert register_event_type("deploy.finished") == register_event_type("deploy.finished") == "deploy.finished"
    assert resolve_event_type("deploy.finished") == "deploy.finished"
    assert "deploy.finished" in registered_event_types()


@pytest.mark.parametrize("name", ["deploy", "Deploy.finished", "deploy.", "a b.c", "", "deploy-x.y", 7])
def test_a_type_that_is_not_dotted_lower_case_is_refused(name: Any) -> None:
    """The error names the value and how to write it."""
    with pytest.raises(ValueError, match=r"is not dotted lower case; write it like 'deploy.finished'") as caught:
        register_event_type(name)

    assert repr(name) in str(caught.value)


@pytest.mark.parametrize("name", ["deploy.finished", "", None, 7, ["agent.start"]])
def test_an_unknown_type_is_refused_with_the_cure(name: Any) -> None:
    """The error names the value, what is allowed, and the call that makes it allowed."""
    with pytest.raises(ValueError, match="unknown event type") as caught:
        resolve_event_type(name)

    assert str(caught.value) == (
        f"unknown event type {name!r}; allowed: {', '.join(registered_event_types())}; "
        f"for your own, call register_event_type({name!r}) first"
    )


def test_now_is_aware_utc() -> None:
    """Times carry their zone."""
    assert utc_now().tzinfo is timezone.utc


def test_an_event_type_prints_as_its_value():
    """A line that is kept in memory shows the same text as one that was read back from the journal."""
    assert (str(EventType.AGENT_START), f"{EventType.AGENT_START:>12}") == ("agent.start", " agent.start")
