"""One method for every event type, so that the fields of an event have the same names in every program.

``CONVENIENCE_METHODS`` says which method writes which type. What is written here by hand describes the current span; it
never sets ``operation``, by which readers know the lines that open and close a span of our own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ai_dev_squad.schema import (
    Cost,
    ErrorInfo,
    EventType,
    JournalLine,
    LogEvent,
    LogLevel,
    Status,
    Usage,
    utc_now,
)

__all__ = ["CONVENIENCE_METHODS", "ConvenienceMethods"]

CONVENIENCE_METHODS: Mapping[EventType, str] = {
    EventType.AGENT_START: "log_agent_start",
    EventType.AGENT_STOP: "log_agent_stop",
    EventType.AGENT_INTERRUPT: "log_agent_interrupt",
    EventType.AGENT_RESUME: "log_agent_resume",
    EventType.AGENT_HANDOFF: "log_agent_handoff",
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
    EventType.TELEMETRY_DROPPED: "log_telemetry_dropped",
    EventType.CUSTOM_EVENT: "log_custom_event",
}


class ConvenienceMethods:
    """What ``StructuredLogger`` offers beyond ``log_event``. Arguments that are ``None`` are left out of the line."""

    if TYPE_CHECKING:

        def log_event(self, event: LogEvent) -> None: ...
        def log_line(self, line: JournalLine) -> None: ...
        def error_info(self, error: BaseException | str) -> ErrorInfo: ...

    def _log(
        self,
        event_type: EventType,
        message: str,
        level: LogLevel = LogLevel.INFO,
        *,
        metadata: Any = None,
        **fields: Any,
    ) -> None:
        if isinstance(metadata, dict):
            metadata = {key: value for key, value in metadata.items() if value is not None}
        self.log_line(
            JournalLine(
                timestamp=utc_now(),
                level=level.name,  # type: ignore[arg-type]
                event_type=event_type.value,
                message=message,
                metadata=metadata or None,
                **fields,
            )
        )

    # --- agents -------------------------------------------------------------------------------------------------------

    def log_agent_start(
        self, agent_id: str, agent_type: str, framework: str, capabilities: Iterable[str] | None = None
    ) -> None:
        """An agent begins to work; ``agent_type`` is its role, such as ``"developer"``."""
        self._log(
            EventType.AGENT_START,
            f"Agent {agent_id} starting",
            agent_id=agent_id,
            framework=framework,
            metadata={"agent_type": agent_type, "capabilities": list(capabilities or ())},
        )

    def log_agent_stop(
        self,
        agent_id: str,
        framework: str,
        *,
        status: Status = "ok",
        reason: str | None = None,
        duration_ms: float | None = None,
    ) -> None:
        """An agent ended, well or not."""
        self._log(
            EventType.AGENT_STOP,
            f"Agent {agent_id} stopped",
            LogLevel.ERROR if status == "error" else LogLevel.INFO,
            agent_id=agent_id,
            framework=framework,
            status=status,
            duration_ms=duration_ms,
            metadata={"reason": reason},
        )

    def log_agent_interrupt(
        self, agent_id: str, framework: str, reason: str | None = None, *, interrupt_id: str | None = None
    ) -> None:
        """An agent waits for somebody, such as a person who must approve."""
        self._log(
            EventType.AGENT_INTERRUPT,
            f"Agent {agent_id} interrupted" + (f": {reason}" if reason else ""),
            agent_id=agent_id,
            framework=framework,
            status="interrupted",
            metadata={"reason": reason, "interrupt_id": interrupt_id},
        )

    def log_agent_resume(self, agent_id: str, framework: str, *, interrupt_id: str | None = None) -> None:
        """An interrupted agent goes on; ``interrupt_id`` is that of the interrupt that was answered."""
        self._log(
            EventType.AGENT_RESUME,
            f"Agent {agent_id} resumed",
            agent_id=agent_id,
            framework=framework,
            metadata={"interrupt_id": interrupt_id},
        )

    def log_agent_handoff(self, agent_id: str, to_agent_id: str, framework: str, reason: str | None = None) -> None:
        """An agent hands the work to another."""
        self._log(
            EventType.AGENT_HANDOFF,
            f"Agent {agent_id} hands over to {to_agent_id}",
            agent_id=agent_id,
            framework=framework,
            metadata={"to_agent_id": to_agent_id, "reason": reason},
        )

    # --- tasks and tools ----------------------------------------------------------------------------------------------

    def log_task_start(self, task_id: str, task_name: str, agent_id: str, framework: str) -> None:
        """A task begins."""
        self._log(
            EventType.TASK_START,
            f"Task {task_name} started",
            agent_id=agent_id,
            framework=framework,
            name=task_name,
            metadata={"task_id": task_id},
        )

    def log_task_complete(
        self, task_id: str, task_name: str, agent_id: str, framework: str, duration_ms: float | None = None
    ) -> None:
        """A task ended well."""
        self._log(
            EventType.TASK_COMPLETE,
            f"Task {task_name} completed",
            agent_id=agent_id,
            framework=framework,
            name=task_name,
            status="ok",
            duration_ms=duration_ms,
            metadata={"task_id": task_id},
        )

    def log_task_error(
        self,
        task_id: str,
        task_name: str,
        agent_id: str,
        framework: str,
        error: BaseException | str,
        duration_ms: float | None = None,
    ) -> None:
        """A task failed."""
        info = self.error_info(error)
        self._log(
            EventType.TASK_FAIL,
            f"Task {task_name} failed: {info.message}",
            LogLevel.ERROR,
            agent_id=agent_id,
            framework=framework,
            name=task_name,
            status="error",
            duration_ms=duration_ms,
            error=info,
            metadata={"task_id": task_id},
        )

    def log_tool_call(
        self,
        tool_name: str,
        arguments: Any = None,
        agent_id: str | None = None,
        framework: str | None = None,
        *,
        call_id: str | None = None,
    ) -> None:
        """A tool is called. ``arguments`` are written as given, redacted."""
        self._log(
            EventType.TOOL_CALL,
            f"Tool {tool_name} called",
            agent_id=agent_id,
            framework=framework,
            name=tool_name,
            metadata={"arguments": arguments, "call_id": call_id},
        )

    def log_tool_result(
        self,
        tool_name: str,
        result: Any = None,
        agent_id: str | None = None,
        framework: str | None = None,
        *,
        call_id: str | None = None,
        duration_ms: float | None = None,
        error: BaseException | str | None = None,
    ) -> None:
        """A tool returned, or failed with ``error``. ``result`` is written as given, redacted."""
        info = None if error is None else self.error_info(error)
        self._log(
            EventType.TOOL_RESULT,
            f"Tool {tool_name} returned" if info is None else f"Tool {tool_name} failed: {info.message}",
            LogLevel.INFO if info is None else LogLevel.ERROR,
            agent_id=agent_id,
            framework=framework,
            name=tool_name,
            status="ok" if info is None else "error",
            duration_ms=duration_ms,
            error=info,
            metadata={"result": result, "call_id": call_id},
        )

    # --- models -------------------------------------------------------------------------------------------------------

    def log_llm_request(
        self,
        model_name: str,
        provider: str,
        agent_id: str | None = None,
        framework: str | None = None,
        *,
        parameters: Mapping[str, Any] | None = None,
    ) -> None:
        """A model is asked; ``parameters`` are those of the request, such as the temperature."""
        self._log(
            EventType.LLM_REQUEST,
            f"Asking {model_name}",
            agent_id=agent_id,
            framework=framework,
            name=model_name,
            metadata={"provider": provider, "parameters": None if parameters is None else dict(parameters)},
        )

    def log_llm_response(
        self,
        model_name: str,
        provider: str,
        agent_id: str | None = None,
        framework: str | None = None,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cost_usd: float | None = None,
        duration_ms: float | None = None,
        error: BaseException | str | None = None,
    ) -> None:
        """A model answered. This writes a line only; ``CostTracker.track_llm_usage`` is what counts money."""
        info = None if error is None else self.error_info(error)
        known = input_tokens is not None or output_tokens is not None
        self._log(
            EventType.LLM_RESPONSE,
            f"{model_name} answered" if info is None else f"{model_name} failed: {info.message}",
            LogLevel.INFO if info is None else LogLevel.ERROR,
            agent_id=agent_id,
            framework=framework,
            name=model_name,
            status="ok" if info is None else "error",
            duration_ms=duration_ms,
            usage=Usage(
                input_tokens=input_tokens, output_tokens=output_tokens, source="provider" if known else "missing"
            ),
            cost=None if cost_usd is None else Cost(usd=cost_usd, price_source="user"),
            error=info,
            metadata={"provider": provider},
        )

    # --- the rest -----------------------------------------------------------------------------------------------------

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

    def log_telemetry_dropped(self, dropped: int, reason: str) -> None:
        """``dropped`` events were lost; the journal itself reports its own losses."""
        self._log(
            EventType.TELEMETRY_DROPPED,
            f"{dropped} events were dropped: {reason}",
            LogLevel.WARNING,
            metadata={"dropped": dropped, "reason": reason},
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
                metadata=dict(custom_data),
            )
        )
