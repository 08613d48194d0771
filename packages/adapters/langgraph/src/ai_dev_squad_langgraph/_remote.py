"""A graph on another server: a client-side operation whose trace context travels in the request's headers."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations, runtime
from ai_dev_squad.context import current_operation
from ai_dev_squad.invocation import Invocation
from ai_dev_squad.steps import observed_astream, observed_stream
from ai_dev_squad.tracing.propagation import inject
from ai_dev_squad_langgraph import _translate
from ai_dev_squad_langgraph._runs import FRAMEWORK
from ai_dev_squad_langgraph._scope import NAME, TASK, keeping_name, subclass

__all__ = ["observed_remote_class"]


def observed_remote_class(cls: type) -> type:
    """A subclass of ``RemoteGraph`` whose calls are observed; ``invoke`` goes through ``stream`` there, too."""
    return subclass(
        cls,
        again=observed_remote_class,
        overrides=lambda cls: {
            "stream": _observing(cls.stream),  # type: ignore[attr-defined]
            "astream": _observing(cls.astream),  # type: ignore[attr-defined]
            "copy": keeping_name(cls.copy),  # type: ignore[attr-defined]
        },
    )


class _RemoteRun(Invocation, framework="langgraph.remote"):
    """A call of a graph on another server."""

    @classmethod
    def open(cls, graph: Any, config: Any) -> _RemoteRun:
        """Before the request is sent."""
        metadata = {**((config or {}).get("metadata") or {}), **((config or {}).get("configurable") or {})}
        redactor = runtime.pipeline().redactor
        conversation = _translate.conversation_id(metadata)
        attributes = {"langgraph.assistant_id": str(graph.assistant_id)}
        if conversation is not None:
            conversation = attributes[keys.CONVERSATION_ID] = redactor.text(conversation)
        name = str(graph.__dict__.get(NAME) or graph.name or graph.assistant_id)
        run = cls()
        run.begin(
            operations.start(
                operations.REMOTE_AGENT,
                name,
                framework=FRAMEWORK,
                parent=current_operation(),
                attributes=redactor.value(attributes),
                agent_id=name,
                session_id=conversation,
                task=graph.__dict__.get(TASK),
            )
        )
        return run


def _observing(original: Callable[..., Any]) -> Callable[..., Any]:
    """``stream`` or ``astream`` of a remote graph, observed."""

    @functools.wraps(original)
    def steps(
        self: Any,
        input: Any,  # noqa: A002 - LangGraph's name
        config: Any = None,
        *,
        headers: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> Any:
        return original(self, input, config, headers=inject(dict(headers or {})), **kwargs)

    def open_run(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> _RemoteRun:
        return _RemoteRun.open(args[0], args[2] if len(args) > 2 else kwargs.get("config"))

    observing = observed_astream if inspect.isasyncgenfunction(original) else observed_stream
    return observing(steps, open_run)
