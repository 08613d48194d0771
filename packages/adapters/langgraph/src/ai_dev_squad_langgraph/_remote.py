"""A graph on another server: a client-side operation whose trace context travels in the request's headers."""

from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Iterator
from typing import Any

from ai_dev_squad import operations, runtime
from ai_dev_squad.context import attached
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
    metadata = {**((config or {}).get("configurable") or {}), **((config or {}).get("metadata") or {})}
    conversation = _translate.conversation_id(metadata)
    name = graph.__dict__.get(NAME) or graph.name or graph.assistant_id
    attributes = {"langgraph.assistant_id": str(graph.assistant_id)}
    redactor = runtime.pipeline().redactor
    return operations.start(
        operations.REMOTE_AGENT,
        str(name),
        framework=FRAMEWORK,
        attributes=redactor.value(attributes),
        agent_id=str(name),
        session_id=None if conversation is None else redactor.text(conversation),
    )


def _end(operation: Operation, error: BaseException | None) -> None:
    if error is None:
        operation.stop()
        return
    status = _translate.outcome(error)
    operation.end_as(status, error if status == "error" else None)


def _observed_stream(original: Any) -> Any:
    @functools.wraps(original)
    def stream(self: Any, *args: Any, headers: dict[str, str] | None = None, **kwargs: Any) -> Iterator[Any]:
        operation = _start(self, args[1] if len(args) > 1 else kwargs.get("config"))
        failure: BaseException | None = None
        steps: Any = None
        try:
            with attached(operation):
                steps = original(self, *args, headers=inject(dict(headers or {})), **kwargs)
            while True:
                with attached(operation):
                    try:
                        chunk = next(steps)
                    except StopIteration:
                        return
                yield chunk
        except BaseException as error:
            failure = error
            raise
        finally:
            if steps is not None:
                steps.close()
            _end(operation, failure)

    return stream


def _observed_astream(original: Any) -> Any:
    @functools.wraps(original)
    async def astream(
        self: Any, *args: Any, headers: dict[str, str] | None = None, **kwargs: Any
    ) -> AsyncIterator[Any]:
        operation = _start(self, args[1] if len(args) > 1 else kwargs.get("config"))
        failure: BaseException | None = None
        steps: Any = None
        try:
            with attached(operation):
                steps = original(self, *args, headers=inject(dict(headers or {})), **kwargs)
            while True:
                with attached(operation):
                    try:
                        chunk = await anext(steps)
                    except StopAsyncIteration:
                        return
                yield chunk
        except BaseException as error:
            failure = error
            raise
        finally:
            if steps is not None:
                await steps.aclose()
            _end(operation, failure)

    return astream
