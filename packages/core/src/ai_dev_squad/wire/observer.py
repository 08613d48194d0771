"""What becomes of a request on the wire: part of the model call that sent it, or an operation of its own.

Asked before anything is sent, it is also the last gate of a budget and of the loop guard: whatever no framework announced
is refused here.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations, state
from ai_dev_squad.content import of_prompt
from ai_dev_squad.genai.messages import countable, input_messages
from ai_dev_squad.genai.requests import prompt_hash, request_attributes
from ai_dev_squad.guard import report
from ai_dev_squad.kinds import (
    CHAT,
    EMBEDDINGS,
    GENERATE_CONTENT,
    NO_FRAMEWORK,
    TEXT_COMPLETION,
    UNKNOWN,
    Kind,
    ModelRequest,
    Prompt,
)
from ai_dev_squad.model_calls import reserve_again
from ai_dev_squad.operations import Operation
from ai_dev_squad.process import ForkSafeLock
from ai_dev_squad.refusal import CallRefused
from ai_dev_squad.schema import ErrorInfo
from ai_dev_squad.wire.attempts import Attempt
from ai_dev_squad.wire.background import Background
from ai_dev_squad.wire.coverage import SELF_CHECK
from ai_dev_squad.wire.matching import ORIGIN, Match, match
from ai_dev_squad.wire.refusals import refuse

if TYPE_CHECKING:
    from ai_dev_squad.wire.exchange import Exchange

__all__ = ["ORIGIN", "WireObserver"]


_TELL_EVERY_S = 60.0
_REMEMBERED = 128
_PICTURE = 6_240
"""Tokens of the largest picture in high quality: https://platform.openai.com/docs/guides/image-generation"""


class WireObserver:
    """Told of every model call that passes a door. ``tell(coverage)`` writes what was counted since the last time."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell
        self._told_at = time.monotonic()
        self._claiming = ForkSafeLock()
        self._background = Background()
        self._refused: OrderedDict[tuple[object, ...], Operation] = OrderedDict()

    def asked(self, exchange: Exchange) -> None:
        """A request is about to be sent. Raises ``CallRefused`` if a budget or the loop guard refuses it, and nothing else."""
        found = Match()
        try:
            with self._claiming:  # of two requests at once each takes another of the calls that wait
                found = match(_kind(exchange), lambda: exchange.requested_model, operations.open_operations)
                attempt = None if found.call is None else _attach(found.call, exchange)
            if attempt is None:
                attempt = self._announce(found, exchange)
            elif attempt.operation.is_adopted and attempt.operation.attempts == [attempt]:
                self._reserve_for_adopted(attempt.operation, exchange)
        except CallRefused as refusal:
            refused = refusal
        except Exception as error:  # noqa: BLE001 - the user's program comes first
            report("observing a request on the wire", error)
            return
        else:
            exchange.note = attempt
            _check(found, attempt)
            return
        owner = found.call or found.parent
        refuse(refused, None if owner is None else owner.framework)

    def _announce(self, found: Match, exchange: Exchange) -> Attempt | None:
        """Open the operation that no framework has opened; ``None`` where nobody wants to know."""
        if not found.observed and not state.pipeline().settings.count_unobserved:
            return None
        tried_before = _try(found.parent, exchange)
        if tried_before in self._refused:
            # A client that tries again: asked again, because there may be money by now, but not told again.
            self._ask_again(self._refused[tried_before])
        operation = _open(found, exchange)
        attempt = _attach(operation, exchange)
        self._reserve(operation, tried_before)
        return attempt

    def _reserve_for_adopted(self, call: Operation, exchange: Exchange) -> None:
        """Nobody who could refuse it has announced this call, nor said what it asks: both happens here."""
        asked, body, messages = _asked(exchange)
        call.request = asked
        if call.name == UNKNOWN:
            call.name = asked.model
        attributes = _request_attributes(exchange, body, messages)
        call.annotate({**attributes, keys.PROVIDER_NAME: asked.provider})
        around = call.parent
        while around is not None and around.status is not None:
            around = around.parent
        self._reserve(call, _try(around, exchange))

    def _reserve(self, operation: Operation, this_try: tuple[object, ...]) -> None:
        try:
            operation.reserve()
        except CallRefused:
            self._refused[this_try] = operation
            if len(self._refused) > _REMEMBERED:
                self._refused.popitem(last=False)
            raise
        self._refused.pop(this_try, None)

    @staticmethod
    def _end_left_open(operation: Operation, exchange: Exchange) -> None:
        """Its framework's span is over, or no answer will come that its framework could tell of."""
        if operation.seen_end is not None:
            operation.abandon()
        elif operation.is_adopted:
            operation.end_as("error", _error(exchange))

    @staticmethod
    def _ask_again(refused: Operation) -> None:
        reservation = reserve_again(refused)
        if reservation is not None:
            reservation.release()

    def ended(self, exchange: Exchange) -> None:
        """The answer is through, or given up: what it was billed is entered at once, the call ends when it ends."""
        if exchange.follows is not None:
            self._background.told(exchange, lambda: match(CHAT, lambda: "", operations.open_operations))
            return
        attempt: Attempt | None = exchange.note
        exchange.note = None  # which leads back to the exchange
        if attempt is None:
            return
        operation = attempt.operation
        _complete(operation, exchange)
        self._background.asked(attempt)
        if exchange.status == "ok":
            attempt.enter()
        if (operation.started_with or {}).get(keys.ORIGIN) == ORIGIN:
            operation.end_as(exchange.status or "ok", _error(exchange))
        elif operation.is_left_open and (operation.is_adopted or exchange.status != "ok"):
            self._end_left_open(operation, exchange)
        if time.monotonic() - self._told_at > _TELL_EVERY_S:
            self._told_at = time.monotonic()
            self._tell()


def _try(around: Operation | None, exchange: Exchange) -> tuple[object, ...]:
    """What a request has in common with the next one of a client that tries again."""
    place = None if around is None else around.span_id
    return place, threading.get_ident(), exchange.host, exchange.path, exchange.request.fingerprint


def _attach(call: Operation, exchange: Exchange) -> Attempt:
    """One more request of a call. Money is set aside for it if an earlier one was billed."""
    attempt = Attempt(call, exchange)
    if call.attempts is None:
        call.attempts = [attempt]
    else:
        if any(earlier.bill is not None for earlier in call.attempts):
            attempt.reservation = reserve_again(call)
        call.attempts.append(attempt)
    return attempt


def _open(found: Match, exchange: Exchange) -> Operation:
    """The operation that no framework has opened."""
    parent = found.parent
    request, body, messages = _asked(exchange)
    attributes = _request_attributes(exchange, body, messages)
    attributes[keys.ORIGIN] = ORIGIN
    return operations.start(
        _kind(exchange),
        request.model,
        framework=NO_FRAMEWORK if parent is None else parent.framework,
        parent=parent,
        attributes=attributes,
        request=request,
    )


def _asked(exchange: Exchange) -> tuple[ModelRequest, dict[str, Any], Any]:
    """What a request asks, its body and its messages."""
    asked = exchange.request
    body = asked.mapping()
    messages, tools, answer_format = asked.prompt(), asked.tools(), asked.answer_format()
    has_no_text = messages is None and _kind(exchange) is GENERATE_CONTENT
    request = ModelRequest(
        model=exchange.requested_model or UNKNOWN,
        provider=exchange.provider,
        prompt=None if has_no_text else lambda: Prompt(countable(messages, tools), None, answer_format),
        max_output_tokens=_pictures(body) if exchange.api == "images" else asked.max_output_tokens,
        prompt_hash=prompt_hash(messages, tools, answer_format),
        service_tier=asked.service_tier,
        server_address=exchange.address,
    )
    return request, body, messages


def _pictures(body: dict[str, Any]) -> int:
    """The most tokens that the pictures asked for may have."""
    count = body.get("n")
    return _PICTURE * (count if isinstance(count, int) and count > 0 else 1)


def _request_attributes(exchange: Exchange, body: dict[str, Any], messages: Any) -> dict[str, Any]:
    attributes: dict[str, Any] = state.pipeline().redactor.value(request_attributes(body))
    if exchange.host:
        attributes[keys.SERVER_ADDRESS] = exchange.host
        attributes[keys.SERVER_PORT] = exchange.port or (80 if exchange.scheme == "http" else 443)
    return {**attributes, **of_prompt(lambda: input_messages(messages))}


def _check(found: Match, attempt: Attempt | None) -> None:
    """Count the call for the self-check."""
    SELF_CHECK.count("seen", "unobserved" if attempt is None else "captured")
    if attempt is None:
        return
    if found.call is None:
        parent = found.parent
        place = None if parent is None else f"{parent.kind.operation} {parent.name}"
        SELF_CHECK.count_unannounced(attempt.operation.framework, found.reason or "outside of runs", place)


def _kind(exchange: Exchange) -> Kind:
    if "embeddings" in exchange.api:
        return EMBEDDINGS
    return _KINDS.get(exchange.api, CHAT)


_KINDS = {
    **dict.fromkeys(("completions", "llama_cpp", "sglang", "tgi", "watsonx_text"), TEXT_COMPLETION),
    **dict.fromkeys(
        (
            *("classify", "decisions", "hf_inference", "images", "ocr", "replicate"),
            *("rerank", "speech", "transcriptions", "videos"),
        ),
        GENERATE_CONTENT,
    ),
}


def _complete(operation: Operation, exchange: Exchange) -> None:
    """What the answer says of itself."""
    if operation.status is not None:
        return
    answer = exchange.answer
    operation.annotate({keys.RESPONSE_MODEL: answer.model, keys.RESPONSE_ID: answer.response_id})
    if operation.first_chunk_s is None and exchange.streamed and exchange.first_piece_s is not None:
        operation.first_chunk_s = exchange.started + exchange.first_piece_s - operation.started_ns / 1e9


def _error(exchange: Exchange) -> BaseException | ErrorInfo | None:
    if exchange.status != "error":
        return None
    if exchange.error is not None:
        return exchange.error
    told = exchange.answer.error
    code = told.get("code") or told.get("type") if isinstance(told, dict) else None
    if type(code) is int and 400 <= code <= 599:  # what the status would have been, had it not been sent already
        code = str(code)
    return ErrorInfo(type=code if isinstance(code, str) else str(exchange.status_code or "_OTHER"))
