"""The methods that log what agents do: agents, tasks, tools and models.

What is written by hand describes the current span; it never sets ``operation``, by which readers know the lines that open
and close a span of our own.
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

__all__ = ["WorkEvents"]


class WorkEvents:
    """Logging the work of agents. Arguments that are ``None`` are left out of the line."""

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

    def log_agent_loop(
        self, agent_id: str, operations: Iterable[str], repeats: int, framework: str | None = None
    ) -> None:
        """An agent goes round in a loop of these operations. The loop guard writes its own."""
        steps = list(operations)
        self._log(
            EventType.AGENT_LOOP,
            f"Agent {agent_id} is in a loop: {', '.join(steps)}, {repeats} times",
            LogLevel.WARNING,
            agent_id=agent_id,
            framework=framework,
            metadata={"operations": steps, "repeats": repeats},
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
