"""W3C trace context in the `_meta` of the Model Context Protocol, so that what a server does belongs to the run that
asked for it.

The protocol reserves ``traceparent`` and ``tracestate`` there (SEP-414). Releases 2 of the SDK write and read them by
themselves; this does the same for releases 1. Only the ids cross, no session and no content.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any, Final

from ai_dev_squad.guard import report
from ai_dev_squad.patching import Patches
from ai_dev_squad.tracing.propagation import continue_trace, inject

__all__ = ["MODULES", "carry"]

MODULES: Final = frozenset({"mcp.shared.session"})
"""Where releases 1 send and are asked. Releases 2 have no such module."""

_ASKING: Final = frozenset({"tools/call", "resources/read", "prompts/get"})
"""The requests that make a server do something."""
_BLOCK: Final = "_ai_dev_squad_continued"


def carry(module: ModuleType, patches: Patches) -> None:
    """Have clients write the context of the operation under way, and servers continue it while they answer."""
    if hasattr(module, "BaseSession") and hasattr(module, "RequestResponder"):
        patches.wrap_all(
            [
                (module.BaseSession, "send_request", _sending),
                (module.RequestResponder, "__enter__", _entering),
                (module.RequestResponder, "__exit__", _leaving),
            ]
        )


def _sending(send: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def send_request(session: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
        return await send(session, _carrying(request), *args, **kwargs)

    return send_request


def _carrying(request: Any) -> Any:
    """The request with the context in its ``_meta``; as it is without one, or where the program wrote its own."""
    try:
        asked = getattr(request, "root", request)
        carrier: dict[str, str] = inject({}) if asked.method in _ASKING else {}
        given = asked.params.meta if carrier else None
        known = {} if given is None else given.model_dump(by_alias=True, exclude_none=True)
        if not carrier or "traceparent" in known:
            return request
        # Copies: the request is the program's, which may send it again.
        meta = type(asked.params).Meta.model_validate({**known, **carrier})
        params = asked.params.model_copy(update={"meta": meta})
        asked = asked.model_copy(update={"params": params})
        return request.model_copy(update={"root": asked}) if hasattr(request, "root") else asked
    except Exception as error:  # noqa: BLE001 - a release of the SDK that is made otherwise
        report("writing the trace context of an MCP request", error)
        return request


def _entering(enter: Callable[..., Any]) -> Callable[..., Any]:
    def __enter__(responder: Any) -> Any:  # noqa: N807 - stands in its place
        entered = enter(responder)
        try:
            block = continue_trace(getattr(responder.request_meta, "model_extra", None) or {})
            if block.__enter__() is not None:
                setattr(responder, _BLOCK, block)
        except Exception as error:  # noqa: BLE001 - what a client sends must not keep a server from answering
            report("continuing the trace of an MCP request", error)
        return entered

    return __enter__


def _leaving(leave: Callable[..., Any]) -> Callable[..., Any]:
    def __exit__(responder: Any, *raised: Any) -> Any:  # noqa: N807 - stands in its place
        block = responder.__dict__.pop(_BLOCK, None)
        if block is not None:
            block.__exit__(None, None, None)
        return leave(responder, *raised)

    return __exit__
