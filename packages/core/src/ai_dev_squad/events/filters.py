"""Which events are logged: by level, by framework, and by functions of the user's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from ai_dev_squad.guard import report
from ai_dev_squad.schema import LogEvent, LogLevel

__all__ = ["CustomFilter", "EventFilter", "as_level"]

CustomFilter = Callable[[dict[str, Any]], object]
"""Gets the event's fields as a dictionary; a false answer keeps the event out of the journal."""


def as_level(value: LogLevel | int | str) -> LogLevel:
    """The level that ``value`` means: a ``LogLevel``, its name in any case, or a number (rounded down to a level).

    Raises ``ValueError`` for anything else.
    """
    if type(value) is LogLevel:
        return value
    if isinstance(value, str) and value.upper() in LogLevel.__members__:
        return LogLevel[value.upper()]
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return max((level for level in LogLevel if level <= value), default=LogLevel.DEBUG)
    raise ValueError(
        f"level {value!r} is unknown; use a LogLevel, one of {', '.join(LogLevel.__members__)}, or a logging number"
    )


class EventFilter:
    """Passes an event that every criterion passes. Changes take effect at once, also in a logger that uses it.

    A custom filter that raises is reported and counts as passed: an event is never lost to a mistake in a filter.
    """

    def __init__(self, min_level: LogLevel | int | str | None = None, frameworks: Iterable[str] | None = None) -> None:
        self.level_filter: LogLevel | None = None
        self.framework_filter: set[str] | None = None
        self.custom_filters: list[CustomFilter] = []
        if min_level is not None:
            self.set_level_filter(min_level)
        if frameworks is not None:
            self.set_framework_filter(frameworks)

    def set_level_filter(self, min_level: LogLevel | int | str | None) -> None:
        """Pass events of this level and above; ``None`` passes all. Raises ``ValueError`` for an unknown level."""
        self.level_filter = None if min_level is None else as_level(min_level)

    def set_framework_filter(self, frameworks: Iterable[str] | None) -> None:
        """Pass events of these frameworks only, so none that names no framework; ``None`` or empty passes all."""
        self.framework_filter = (
            None if frameworks is None else {frameworks} if isinstance(frameworks, str) else set(frameworks)
        )

    def add_custom_filter(self, filter_func: CustomFilter) -> None:
        """Pass events for which ``filter_func`` answers true. Raises ``TypeError`` if it can't be called."""
        if not callable(filter_func):
            raise TypeError(
                f"{filter_func!r} is not a filter; give a function of one dictionary that answers true or false"
            )
        self.custom_filters.append(filter_func)

    @property
    def passes_everything(self) -> bool:
        """Whether no criterion is set."""
        return not self.level_filter and not self.framework_filter and not self.custom_filters

    def should_log(self, event: LogEvent) -> bool:
        """Whether ``event`` passes. Never raises."""
        if self.level_filter and _level_of(event) < self.level_filter:
            return False
        if self.framework_filter and event.framework not in self.framework_filter:
            return False
        # Each gets its own copy: what one changes is neither the event nor the next one's business.
        return all(self._passes(custom, dict(event.__dict__)) for custom in tuple(self.custom_filters))

    def _passes(self, custom: CustomFilter, fields: dict[str, Any]) -> bool:
        try:
            return bool(custom(fields))
        except Exception as error:  # noqa: BLE001 - it's the user's function
            report(f"the event filter {getattr(custom, '__qualname__', type(custom).__qualname__)}", error)
            return True


def _level_of(event: LogEvent) -> LogLevel:
    try:
        return as_level(event.level)
    except ValueError as error:
        report("reading the level of an event", error)
        return LogLevel.CRITICAL
