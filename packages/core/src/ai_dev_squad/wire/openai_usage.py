"""Token counts of streamed OpenAI answers, asked for without the program noticing.

An OpenAI-compatible server reports usage in a stream only when ``stream_options.include_usage`` asks for it, and
frameworks leave that off for custom endpoints. In an observed run, a request that streams and did not choose for itself
asks, the extra chunk is taken out again, and the program receives the stream it would have received anyway. A
server that refuses the option is asked once: the call is repeated without it, and that endpoint is left alone after.
A rejection that says of nothing what is wrong is repeated by an endpoint's first request alone, for it may be the option's
fault; one that names another parameter, an endpoint that has taken the option before, or one that rejects without it as
well, means the program's own request.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import ModuleType
from typing import Any

from ai_dev_squad.context import current_operation
from ai_dev_squad.genai.usage import usage_from
from ai_dev_squad.guard import report
from ai_dev_squad.operations import Operation
from ai_dev_squad.patching import Patches
from ai_dev_squad.process import ForkSafeLock
from ai_dev_squad.steps import Steps, astepped, stepped
from ai_dev_squad.wire.matching import is_observed

__all__ = ["MODULES", "install", "uninstall"]

MODULES = ("openai.resources.chat.completions.completions", "openai.resources.completions")
"""Whose classes make requests for chats, and for texts that are continued: the client loads what a program uses."""

_RAW_RESPONSE = "X-Stainless-Raw-Response"  # the client's own header for `with_raw_response`
_lock = ForkSafeLock()
_patches: dict[str, Patches] = {}
"""By module."""
_refusing: set[str] = set()
"""Endpoints that take no such option."""
_known: set[str] = set()
"""Endpoints that have shown what they do with it."""
_OPTION = ("stream_options", "include_usage")


def install(module: ModuleType) -> None:
    """Ask for usage from now on, in what this one of ``MODULES`` sends. Harmless when repeated."""
    with _lock:
        if module.__name__ in _patches:
            return
        with Patches() as patches:
            patches.wrap(module.Completions, "create", _asking)
            patches.wrap(module.AsyncCompletions, "create", _asking_async)
            _patches[module.__name__] = patches.pop_all()


def uninstall() -> None:
    """Put the client back as it was."""
    with _lock:
        while _patches:
            _patches.popitem()[1].close()


def _asks(client: Any, arguments: dict[str, Any]) -> bool:
    """Whether this request shall ask for usage: somebody wants it, and the program didn't choose for itself."""
    try:
        if arguments.get("stream") is not True or not is_observed():
            return False
        if isinstance(arguments.get("stream_options"), dict) or _RAW_RESPONSE in (arguments.get("extra_headers") or {}):
            return False
        return _endpoint(client) not in _refusing
    except Exception as error:  # noqa: BLE001 - the user's call comes first
        report("asking for usage", error)
        return False


def _model_call() -> Operation | None:
    """The model call that sends this request, if a framework announced it."""
    operation = current_operation()
    return operation if operation is not None and operation.kind.is_model_call else None


def _endpoint(client: Any) -> str:
    return f"{client._client.base_url} {type(client).__module__}"  # a server may know the option for chats only


def _is_to_blame(error: Exception, endpoint: str) -> bool:
    """Whether the server rejected the request for the option that we added, as far as can be told."""
    if type(error).__name__ not in {"BadRequestError", "UnprocessableEntityError"}:
        return False
    said = str(error)
    if any(name in said for name in _OPTION):
        return True
    # OpenAI's own errors name the parameter that is wrong.
    return endpoint not in _known and getattr(error, "param", None) is None


def _asking_for_usage(arguments: dict[str, Any]) -> dict[str, Any]:
    # The program may have passed the option as `None` or as the client's own "not given".
    return {**arguments, "stream_options": {"include_usage": True}}


def _asking(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def create(self: Any, *args: Any, **arguments: Any) -> Any:
        if not _asks(self, arguments):
            return original(self, *args, **arguments)
        endpoint = _endpoint(self)
        try:
            stream = original(self, *args, **_asking_for_usage(arguments))
        except Exception as error:
            if not _is_to_blame(error, endpoint):
                raise
            _known.add(endpoint)
        else:
            _known.add(endpoint)
            if hasattr(stream, "_iterator"):
                stream._iterator = stepped(stream._iterator, _Usage(_model_call()))
            return stream
        # Outside of the handler, so that an error of the program's own request shows no trace of ours.
        stream = original(self, *args, **arguments)
        _refusing.add(endpoint)
        return stream

    return create


def _asking_async(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def create(self: Any, *args: Any, **arguments: Any) -> Any:
        if not _asks(self, arguments):
            return await original(self, *args, **arguments)
        endpoint = _endpoint(self)
        try:
            stream = await original(self, *args, **_asking_for_usage(arguments))
        except Exception as error:
            if not _is_to_blame(error, endpoint):
                raise
            _known.add(endpoint)
        else:
            _known.add(endpoint)
            if hasattr(stream, "_iterator"):
                stream._iterator = astepped(stream._iterator, _Usage(_model_call()))
            return stream
        stream = await original(self, *args, **arguments)
        _refusing.add(endpoint)
        return stream

    return create


class _Usage(Steps):
    """Reads a stream's chunks for an operation, and keeps the one that the program didn't ask for."""

    def __init__(self, operation: Operation | None) -> None:
        self.operation = operation

    def take(self, item: Any) -> bool:
        return _keeps_usage(item, self.operation)


def _keeps_usage(chunk: Any, operation: Operation | None) -> bool:
    """Note the usage of a chunk. True if the chunk carries nothing else, as the program would never have seen it.

    A server that adds usage to a chunk with an answer does so unasked: the one that was asked for has no choices.
    """
    usage = getattr(chunk, "usage", None)
    if usage is None:
        return False
    try:
        if operation is not None and (request := operation.request) is not None:
            operation.usage = usage_from(usage, provider=request.provider, model=request.model) or operation.usage
        return not chunk.choices
    except Exception as error:  # noqa: BLE001 - the user's stream comes first
        report("reading streamed usage", error)
        return False
