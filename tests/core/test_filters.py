"""EventFilter: what passes, that changes count at once, and that a broken filter loses nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad import StructuredLogger, guard
from ai_dev_squad.events import EventFilter, read_journal
from ai_dev_squad.events.filters import as_level
from ai_dev_squad.schema import EventType, JournalLine, LogEvent, LogLevel, utc_now


def event(level: LogLevel = LogLevel.INFO, framework: str | None = None, **more: Any) -> LogEvent:
    return LogEvent(EventType.AGENT_START, utc_now(), level, "m", framework=framework, **more)


@pytest.mark.parametrize("level", list(LogLevel))
def test_the_level_filter_passes_its_level_and_above(level: LogLevel) -> None:
    """Levels compare as in logging."""
    chosen = EventFilter()
    chosen.set_level_filter(level)

    assert [other for other in LogLevel if chosen.should_log(event(other))] == [x for x in LogLevel if x >= level]


def test_without_criteria_everything_passes() -> None:
    """A new filter keeps nothing out."""
    assert EventFilter().passes_everything
    assert EventFilter().should_log(event(LogLevel.DEBUG))


@pytest.mark.parametrize(
    "frameworks, passed",
    [
        (["langgraph"], ["langgraph"]),
        ("langgraph", ["langgraph"]),
        ({"langgraph", "crewai"}, ["langgraph", "crewai"]),
        ([], ["langgraph", "crewai", None]),
        (None, ["langgraph", "crewai", None]),
    ],
)
def test_the_framework_filter_passes_its_frameworks(frameworks: Any, passed: list[str | None]) -> None:
    """Only named frameworks pass; a single name is one framework, and an empty list filters nothing."""
    chosen = EventFilter()
    chosen.set_framework_filter(frameworks)

    assert [name for name in ("langgraph", "crewai", None) if chosen.should_log(event(framework=name))] == passed


def test_custom_filters_get_the_fields_as_a_dictionary() -> None:
    """Every filter must agree, and what one does to its dictionary changes neither the event nor the next filter."""
    seen: list[dict[str, Any]] = []

    def take(fields: dict[str, Any]) -> bool:
        seen.append(dict(fields))
        fields.clear()
        return True

    chosen = EventFilter()
    chosen.add_custom_filter(take)
    chosen.add_custom_filter(lambda fields: fields["agent_id"] == "a")
    mine, other = event(agent_id="a"), event(agent_id="b")

    assert (chosen.should_log(mine), chosen.should_log(other)) == (True, False)
    assert seen == [mine.__dict__, other.__dict__]
    assert mine.agent_id == "a"


def test_a_raising_filter_counts_as_passed_and_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    """The event isn't lost, the caller isn't disturbed, and the mistake is logged once."""
    guard.set_strict(False)

    def broken_filter(fields: dict[str, Any]) -> bool:
        raise KeyError("framework_name_typo")

    chosen = EventFilter()
    chosen.add_custom_filter(broken_filter)
    chosen.add_custom_filter(lambda fields: fields["level"] != LogLevel.DEBUG)
    with caplog.at_level(logging.WARNING, "ai_dev_squad"):
        answers = [chosen.should_log(event()), chosen.should_log(event()), chosen.should_log(event(LogLevel.DEBUG))]

    assert answers == [True, True, False]
    assert [record.getMessage().partition(" failed")[0] for record in caplog.records] == [
        f"the event filter {broken_filter.__qualname__}"
    ]


@pytest.mark.parametrize(
    "value, level",
    [("info", LogLevel.INFO), ("ERROR", LogLevel.ERROR), (30, LogLevel.WARNING), (35, LogLevel.WARNING),
     (0, LogLevel.DEBUG), (99, LogLevel.CRITICAL), (LogLevel.DEBUG, LogLevel.DEBUG)],
)  # fmt: skip
def test_a_level_may_be_a_name_or_a_number(value: Any, level: LogLevel) -> None:
    """Names in any case, and the numbers of the logging module rounded down."""
    assert as_level(value) is level


@pytest.mark.parametrize("value", ["LOUD", "", None, -1, True, 2.5])
def test_an_unknown_level_names_the_allowed_ones(value: Any) -> None:
    """The error is raised where the level is set."""
    with pytest.raises(ValueError, match="is unknown; use a LogLevel, one of DEBUG, INFO, WARNING, ERROR, CRITICAL"):
        as_level(value)


def test_an_event_whose_level_is_unknown_passes(caplog: pytest.LogCaptureFixture) -> None:
    """It may be the one that matters; the mistake is told once. A level may be set by its name or number, and taken away."""
    guard.set_strict(False)
    chosen = EventFilter("ERROR", ["crewai"])

    with caplog.at_level(logging.WARNING, "ai_dev_squad"):
        answers = [chosen.should_log(event(level, "crewai")) for level in ("LOUD", "CRITICAL", "info", 40, 39)]  # type: ignore[arg-type]
    chosen.set_level_filter(None)

    assert answers == [True, True, False, True, False]
    assert (chosen.should_log(event(LogLevel.DEBUG, "crewai")), chosen.should_log(event(framework="x"))) == (
        True,
        False,
    )
    assert [record.getMessage().partition(" failed")[0] for record in caplog.records] == [
        "reading the level of an event"
    ]


def test_a_filter_that_cannot_be_called_is_refused() -> None:
    """The mistake is told where it's made, not at the first event."""
    with pytest.raises(TypeError, match="'langgraph' is not a filter; give a function of one dictionary"):
        EventFilter().add_custom_filter("langgraph")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f.set_level_filter(LogLevel.ERROR),
        lambda f: setattr(f, "level_filter", LogLevel.ERROR),
        lambda f: f.set_framework_filter(["crewai"]),
        lambda f: f.add_custom_filter(lambda fields: False),
        lambda f: f.custom_filters.append(lambda fields: False),
    ],
    ids=["level", "level attribute", "frameworks", "custom", "list of custom"],
)
def test_a_change_to_the_loggers_filter_counts_at_once(tmp_path: Path, change: Callable[[EventFilter], object]) -> None:
    """However the filter is changed, the next event meets it: an event by hand and a line of an operation."""
    logger = StructuredLogger(tmp_path)
    logger.log_agent_start("before", "x", "langgraph")
    change(logger.filter)
    logger.log_agent_start("after", "x", "langgraph")
    logger.emit(JournalLine(timestamp=utc_now(), level="INFO", event_type="agent.stop", message="", agent_id="line"))
    logger.close()

    assert [entry.agent_id for entry in read_journal(tmp_path, strict=True)] == ["before"]


def test_a_filter_sees_operations_lines_as_events(tmp_path: Path) -> None:
    """Event types arrive as members, levels as LogLevel, so that a filter is written once."""
    seen: list[tuple[Any, Any, Any]] = []
    logger = StructuredLogger(tmp_path, filter=EventFilter("INFO"))
    logger.filter.add_custom_filter(lambda f: seen.append((f["event_type"], f["level"], f["metadata"])) or True)
    logger.emit(
        JournalLine(timestamp=utc_now(), level="ERROR", event_type="task.fail", message="", metadata={"task_id": "t"})
    )
    logger.close()

    assert seen == [(EventType.TASK_FAIL, LogLevel.ERROR, {"task_id": "t"})]
    assert seen[0][0] is EventType.TASK_FAIL


def test_a_filter_sees_a_type_that_is_nobodys_as_its_text(tmp_path: Path) -> None:
    """A line of a later release, or of a program's own, is filtered like any other."""
    seen: list[Any] = []
    logger = StructuredLogger(tmp_path, filter=EventFilter())
    logger.filter.add_custom_filter(lambda f: seen.append(f["event_type"]) or True)
    logger.emit(JournalLine(timestamp=utc_now(), level="INFO", event_type="shop.sold", message=""))
    logger.close()

    assert seen == ["shop.sold"]
