"""What can only be had for the whole process: the provider's own answers, and AutoGen's own spans out of the way.

All of it does nothing outside observed runs.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import autogen_core.logging
from autogen_core import _single_threaded_agent_runtime
from autogen_core._telemetry import EnvelopeMetadata
from autogen_core._telemetry._tracing import TraceHelper
from opentelemetry import trace

from ai_dev_squad.guard import report
from ai_dev_squad.patching import Patches
from ai_dev_squad.steps import Steps, observed_astream
from ai_dev_squad_autogen._calls import ModelCall
from ai_dev_squad_autogen._invocation import RUNS, Call, enclosing

__all__ = ["fold_spans_of", "install", "reading_chunks"]

_patches = Patches()
_FOLDED = nullcontext(trace.INVALID_SPAN)
_SPANS = ("trace_invoke_agent_span", "trace_tool_span")


def install() -> None:
    """Read along from now on. Harmless when repeated."""
    _patches.wrap(autogen_core.logging.LLMCallEvent, "__init__", _reading_event)
    _patches.wrap(TraceHelper, "trace_block", _folding_block)
    _patches.wrap(_single_threaded_agent_runtime, "get_telemetry_envelope_metadata", _not_written_on_envelopes)
    for module in ("autogen_agentchat.teams._group_chat._chat_agent_container", "autogen_core.tools._base"):
        _fold_spans_in(module)


def fold_spans_of(cls: type) -> None:
    """AutoGen's modules open spans by functions that each has imported for itself: find those of ``cls``."""
    for base in cls.__mro__:
        _fold_spans_in(base.__module__)


def _fold_spans_in(module_name: str) -> None:
    module = sys.modules.get(module_name)
    if module is None or not module_name.startswith("autogen_"):
        return
    for name in _SPANS:
        if hasattr(module, name):
            _patches.wrap(module, name, _folding)


def _folding(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def open_span(*args: Any, **kwargs: Any) -> Any:
        call = enclosing()
        return original(*args, **kwargs) if call is None or call.options.keep_runtime_spans else _FOLDED

    return open_span


def _folding_block(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    def trace_block(self: Any, operation: Any, destination: Any, *args: Any, **kwargs: Any) -> Any:
        call = Call.current()
        if call is None and RUNS:
            call = enclosing(_team_of(destination, kwargs.get("attributes")))
        if call is not None and not call.options.keep_runtime_spans:
            return _FOLDED
        return original(self, operation, destination, *args, **kwargs)

    return trace_block


def _not_written_on_envelopes(original: Callable[..., Any]) -> Callable[..., Any]:
    """The current span goes along with messages for the links of the spans that are folded: nobody else reads it."""

    @functools.wraps(original)
    def metadata() -> EnvelopeMetadata:
        call = Call.current()
        return original() if call is None or call.options.keep_runtime_spans else EnvelopeMetadata()

    return metadata


def _team_of(destination: Any, attributes: Any) -> str | None:
    """The team that a message belongs to, also where no handler runs: in its receiver, its topic or its sender."""
    key = getattr(destination, "key", None) or getattr(destination, "source", None)
    if key is None and attributes:
        key = str(attributes.get("sender_agent_type", "")).rpartition("_")[2]
    return key or None


def _reading_event(original: Callable[..., Any]) -> Callable[..., Any]:
    """Model clients make this event whatever the log level: it holds the answer with all its token counts."""

    @functools.wraps(original)
    def init(self: Any, *args: Any, **kwargs: Any) -> None:
        original(self, *args, **kwargs)
        try:
            call, answer = enclosing(), kwargs.get("response")
            if isinstance(call, ModelCall) and isinstance(answer, dict):
                call.raw = answer
        except Exception as error:  # noqa: BLE001 - the user's program comes first
            report("reading a model's answer", error)

    return init


class _Chunks(Steps):
    """The raw chunks of OpenAI's streams: id, model, and the usage in detail if the program asked for it itself."""

    def take(self, item: Any) -> None:
        call = enclosing()
        if isinstance(call, ModelCall):
            usage = getattr(item, "usage", None) or (call.raw or {}).get("usage")
            call.raw = {"id": item.id, "model": item.model, "usage": usage}


def reading_chunks(original: Callable[..., Any]) -> Callable[..., Any]:
    """A client's method that yields raw chunks, read along."""
    return observed_astream(original, lambda *_: _Chunks())
