"""How an adopted operation begins: when its span did, as far as the span says by then what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from msgspec.structs import replace
from opentelemetry import trace
from opentelemetry.context import Context

from ai_dev_squad import operations, state
from ai_dev_squad.adopting.translation import Told, attributes_of, request_of, session_of
from ai_dev_squad.context import user_id_var
from ai_dev_squad.kinds import NO_FRAMEWORK, UNKNOWN

if TYPE_CHECKING:
    from ai_dev_squad.adopting.node import Node
    from ai_dev_squad.kinds import Kind
    from ai_dev_squad.operations import Operation

__all__ = ["begin"]


def begin(
    node: Node, said: Told, kind: Kind, parent: Operation | None, model: Callable[[], str] | None = None
) -> Operation:
    """Open the operation of a span below ``parent``. ``model()`` is what it asks where it doesn't say so."""
    span, redactor = node.span, state.pipeline().redactor
    request = request_of(said) if kind.is_model_call else None
    if request is not None and request.model == UNKNOWN and model is not None:
        request = replace(request, model=model() or UNKNOWN)
    attributes = redactor.value(attributes_of(said))
    above = trace.INVALID_SPAN if span.parent is None else trace.NonRecordingSpan(span.parent)
    session_id, user_id = session_of(said.values)
    with _user(None if user_id is None else redactor.text(user_id)):
        return operations.start(
            kind,
            said.name if request is None else request.model,
            framework=said.framework or (NO_FRAMEWORK if parent is None else parent.framework),
            parent=parent,
            context=trace.set_span_in_context(above if parent is None else parent.span, Context()),
            attributes=attributes,
            session_id=redactor.text(session_id) if session_id is not None and parent is None else None,
            request=request,
            started_at_ns=span.start_time,
            told_by=span.get_span_context(),
        )


@contextmanager
def _user(user_id: str | None) -> Iterator[None]:
    """What begins is done for this user, unless the program has said for whom."""
    if user_id is None or user_id_var.get() is not None:
        yield
        return
    token = user_id_var.set(user_id)
    try:
        yield
    finally:
        user_id_var.reset(token)
