"""A graph on another server: a client-side operation whose trace context travels in the request's headers."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations, runtime
from ai_dev_squad.context import attached, current_operation
from ai_dev_squad.operations import Operation
from ai_dev_squad.tracing.propagation import inject
from ai_dev_squad_langgraph import _translate
from ai_dev_squad_langgraph._runs import FRAMEWORK
from ai_dev_squad_langgraph._scope import NAME, keeping_name, subclass

__all__ = ["observed_remote_class"]


def observed_remote_class(cls: type) -> type:
    """A subclass of ``RemoteGraph`` whose calls are observed; ``invoke`` goes through ``stream`` there, too."""
    return subclass(
        cls,
        lambda cls: {
            "stream": _observed_stream(cls.stream),  # type: ignore[attr-defined]
            "astream": _observed_astream(cls.astream),  # type: ignore[attr-defined]
            "copy": keeping_name(cls.copy),  # type: ignore[attr-defined]
        },
    )


def _start(graph: Any, config: Any) -> Operation:
    metadata = {**((config or {}).get("metadata") or {}), **((config or {}).get("configurable") or {})}
    redactor = runtime.pipeline().redactor
    conversation = _translate.conversation_id(metadata)
    attributes = {"langgraph.assistant_id": str(graph.assistant_id)}
    if conversation is not None:
        conversation = attributes[keys.CONVERSATION_ID] = redactor.text(conversation)
    name = str(graph.__dict__.get(NAME) or graph.name or graph.assistant_id)
    return operations.start(
        operations.REMOTE_AGENT,
        name,
        framework=FRAMEWORK,
        parent=current_operation(),
        attributes=redactor.value(attributes),
        agent_id=name,
        session_id=conversation,
    )


def _end(operation: Operation, error: BaseException | None) -> None:
    status = "ok" if error is None else _translate.outcome(error)
    operation.end_as(status, error if status == "error" else None)


def _observed_stream(original: Any) -> Any:
    @functools.wraps(original)
    def stream(
        self: Any,
        input: Any,  # noqa: A002 - LangGraph's name
        config: Any = None,
        *,
        headers: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> Iterator[Any]:
        operation = _start(self, config)
        failure: BaseException | None = None
        try:
            with attached(operation):
                steps = original(self, input, config, headers=inject(dict(headers or {})), **kwargs)
            try:
                while True:
                    with attached(operation):
                        try:
                            chunk = next(steps)
                        except StopIteration:
                            return
                    yield chunk
            finally:
                steps.close()
        except BaseException as error:
            failure = error
            raise
        finally:
            _end(operation, failure)

    return stream


def _observed_astream(original: Any) -> Any:
    @functools.wraps(original)
    async def astream(
        self: Any,
        input: Any,  # noqa: A002 - LangGraph's name
        config: Any = None,
        *,
        headers: dict[str, str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[Any]:
        operation = _start(self, config)
        failure: BaseException | None = None
        try:
            with attached(operation):
                steps = original(self, input, config, headers=inject(dict(headers or {})), **kwargs)
            try:
                while True:
                    with attached(operation):
                        try:
                            chunk = await anext(steps)
                        except StopAsyncIteration:
                            return
                    yield chunk
            finally:
                await steps.aclose()
        except BaseException as error:
            failure = error
            raise
        finally:
            _end(operation, failure)

    return astream
