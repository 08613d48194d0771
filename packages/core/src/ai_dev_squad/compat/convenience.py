"""One method for every event type, so that the fields of an event have the same names in every program.

``CONVENIENCE_METHODS`` says which method writes which type.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ai_dev_squad.compat.work_events import WorkEvents
from ai_dev_squad.guard import STRANGERS_FAULTS, report
from ai_dev_squad.schema import EventType, LogEvent, LogLevel, utc_now

__all__ = ["CONVENIENCE_METHODS", "ConvenienceMethods"]

CONVENIENCE_METHODS: Mapping[EventType, str] = {
    EventType.AGENT_START: "log_agent_start",
    EventType.AGENT_STOP: "log_agent_stop",
    EventType.AGENT_INTERRUPT: "log_agent_interrupt",
    EventType.AGENT_RESUME: "log_agent_resume",
    EventType.AGENT_HANDOFF: "log_agent_handoff",
    EventType.AGENT_LOOP: "log_agent_loop",
    EventType.TASK_START: "log_task_start",
    EventType.TASK_COMPLETE: "log_task_complete",
    EventType.TASK_FAIL: "log_task_error",
    EventType.TOOL_CALL: "log_tool_call",
    EventType.TOOL_RESULT: "log_tool_result",
    EventType.SAFETY_VIOLATION: "log_safety_violation",
    EventType.LLM_REQUEST: "log_llm_request",
    EventType.LLM_RESPONSE: "log_llm_response",
    EventType.VCS_COMMIT: "log_vcs_commit",
    EventType.PERFORMANCE_METRIC: "log_performance_metric",
    EventType.SYSTEM_ERROR: "log_system_error",
    EventType.BUDGET_ALERT: "log_budget_alert",
    EventType.BUDGET_EXCEEDED: "log_budget_exceeded",
    EventType.BUDGET_STORE: "log_budget_store",
    EventType.TELEMETRY_DROPPED: "log_telemetry_dropped",
    EventType.WIRE_COVERAGE: "log_wire_coverage",
    EventType.CUSTOM_EVENT: "log_custom_event",
}


class ConvenienceMethods(WorkEvents):
    """What ``StructuredLogger`` offers beyond ``log_event``: the work of agents, and these."""

    def log_safety_violation(
        self,
        violation_type: str,
        description: str,
        agent_id: str | None = None,
        framework: str | None = None,
        *,
        action: str | None = None,
        level: LogLevel = LogLevel.WARNING,
    ) -> None:
        """A rule was broken; ``action`` is what was done about it, such as ``"blocked"``."""
        self._log(
            EventType.SAFETY_VIOLATION,
            f"Safety violation ({violation_type}): {description}",
            level,
            agent_id=agent_id,
            framework=framework,
            metadata={"violation_type": violation_type, "description": description, "action": action},
        )

    def log_vcs_commit(
        self,
        commit_id: str,
        message: str,
        agent_id: str | None = None,
        framework: str | None = None,
        *,
        repository: str | None = None,
        branch: str | None = None,
        files: Iterable[str] | None = None,
    ) -> None:
        """An agent committed to a repository."""
        self._log(
            EventType.VCS_COMMIT,
            f"Commit {commit_id}: {message}",
            agent_id=agent_id,
            framework=framework,
            metadata={
                "commit_id": commit_id,
                "commit_message": message,
                "repository": repository,
                "branch": branch,
                "files": None if files is None else list(files),
            },
        )

    def log_performance_metric(
        self,
        metric_name: str,
        value: float,
        unit: str | None = None,
        agent_id: str | None = None,
        framework: str | None = None,
        *,
        tags: Mapping[str, Any] | None = None,
    ) -> None:
        """A measurement; ``unit`` as in UCUM, such as ``"ms"`` or ``"By"``."""
        self._log(
            EventType.PERFORMANCE_METRIC,
            f"{metric_name} = {value}" + (f" {unit}" if unit else ""),
            agent_id=agent_id,
            framework=framework,
            name=metric_name,
            metadata={"value": value, "unit": unit, "tags": None if tags is None else dict(tags)},
        )

    def log_system_error(
        self,
        error: BaseException | str,
        component: str | None = None,
        agent_id: str | None = None,
        framework: str | None = None,
        *,
        level: LogLevel = LogLevel.ERROR,
    ) -> None:
        """Something outside a task failed; ``component`` says what."""
        info = self.error_info(error)
        self._log(
            EventType.SYSTEM_ERROR,
            f"{component} failed: {info.message}" if component else info.message,
            level,
            agent_id=agent_id,
            framework=framework,
            error=info,
            metadata={"component": component},
        )

    def log_budget_alert(self, budget: str, spent_usd: float, limit_usd: float, threshold: float) -> None:
        """A budget's spend passed a threshold, a fraction of its limit (0.8 is 80 %)."""
        self._log(
            EventType.BUDGET_ALERT,
            f"Budget {budget}: ${spent_usd:.4f} of ${limit_usd:.4f} spent, past {threshold:.0%}",
            LogLevel.WARNING,
            metadata={"budget": budget, "spent_usd": spent_usd, "limit_usd": limit_usd, "threshold": threshold},
        )

    def log_budget_exceeded(self, budget: str, spent_usd: float, limit_usd: float) -> None:
        """A budget is used up."""
        self._log(
            EventType.BUDGET_EXCEEDED,
            f"Budget {budget} exceeded: ${spent_usd:.4f} of ${limit_usd:.4f}",
            LogLevel.ERROR,
            metadata={"budget": budget, "spent_usd": spent_usd, "limit_usd": limit_usd},
        )

    def log_budget_store(self, store: str, state: str) -> None:
        """What processes share their budgets by is ``"away"`` or ``"back"``. Budget managers write their own."""
        self._log(
            EventType.BUDGET_STORE,
            f"The budget store {store} is {state}",
            LogLevel.WARNING if state == "away" else LogLevel.INFO,
            metadata={"store": store, "state": state},
        )

    def log_telemetry_dropped(self, dropped: int, reason: str) -> None:
        """``dropped`` events were lost; the journal itself reports its own losses."""
        self._log(
            EventType.TELEMETRY_DROPPED,
            f"{dropped} events were dropped: {reason}",
            LogLevel.WARNING,
            metadata={"dropped": dropped, "reason": reason},
        )

    def log_wire_coverage(self, seen: int, captured: int) -> None:
        """Of ``seen`` model calls that left the process, ``captured`` were counted. The runtime writes its own."""
        self._log(
            EventType.WIRE_COVERAGE,
            f"{captured} of {seen} model calls captured",
            metadata={"seen": seen, "captured": captured},
        )

    def log_custom_event(
        self,
        custom_data: Mapping[str, Any],
        message: str = "Custom event occurred",
        *,
        event_type: str = EventType.CUSTOM_EVENT.value,
        level: LogLevel = LogLevel.INFO,
        agent_id: str | None = None,
        framework: str | None = None,
    ) -> None:
        """Any event of the program's own; ``event_type`` may be one that ``register_event_type`` made known.

        Raises ``ValueError`` for one that nobody registered, after writing the event as ``custom.event``.
        """
        self.log_event(
            LogEvent(
                event_type=event_type,
                timestamp=utc_now(),
                level=level,
                message=message,
                agent_id=agent_id,
                framework=framework,
                metadata=_read(custom_data),
            )
        )


def _read(custom_data: Mapping[str, Any]) -> dict[str, Any]:
    try:
        return dict(custom_data)
    except STRANGERS_FAULTS as error:
        report("reading a custom event's data", error)
        return {"unreadable": type(custom_data).__name__}
