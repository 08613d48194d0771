"""A question to a model and its answer, whole or streamed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from agents import ModelResponse

from ai_dev_squad import operations
from ai_dev_squad.content import of_answer, of_prompt
from ai_dev_squad.genai.usage import usage_from
from ai_dev_squad.steps import argument
from ai_dev_squad_openai_agents import _translate
from ai_dev_squad_openai_agents._calls import OBSERVED, Call

__all__ = ["ModelCall"]


class ModelCall(Call):
    """A question to a model and its answer."""

    kind = operations.CHAT
    said: list[str] | None = None
    """What was streamed so far."""

    def __init__(self, model: Any, parent: Call | None) -> None:
        super().__init__(parent)
        self.model = model

    @classmethod
    def open(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ModelCall | None:
        """For ``get_response``."""
        return cls._open(args, kwargs, stream=False)

    @classmethod
    def open_stream(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> ModelCall | None:
        """For ``stream_response``."""
        return cls._open(args, kwargs, stream=True)

    @classmethod
    def _open(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, stream: bool) -> ModelCall | None:
        model, above = args[0], Call.cause()
        own = OBSERVED.find(model)
        if (above is None and own is None) or (isinstance(above, ModelCall) and above.model is model):
            return None  # nobody observes it, or one of its methods calls another
        messages = _translate.messages(
            argument("system_instructions", 1, args, kwargs), argument("input", 2, args, kwargs)
        )
        settings = _translate.settings(argument("model_settings", 3, args, kwargs))
        schema = argument("output_schema", 5, args, kwargs)
        offered = _translate.offered(argument("tools", 4, args, kwargs), argument("handoffs", 6, args, kwargs))
        request = _translate.model_request(model, messages, settings, offered, schema)
        attributes = _translate.model_attributes(model, settings, schema, stream=stream)
        attributes |= of_prompt(lambda: _translate.messages_content(messages))
        call = cls(model, above)
        call.start(request.model, attributes=attributes, request=request, task=None if own is None else own.task)
        return call

    def take(self, item: Any) -> None:
        if isinstance(item, ModelResponse):
            self._answered(item, item.response_id)
            return
        self.operation.first_chunk()
        kind = getattr(item, "type", None)  # a model of the program's own may yield what is no event of OpenAI's
        if kind == "response.output_text.delta":
            if self.said is None:
                said = self.said = []
                self.operation.output = lambda: "".join(said)  # in case the stream is left early
            self.said.append(item.delta)
        elif kind in {"response.completed", "response.incomplete", "response.failed"}:
            self._answered(item.response, item.response.id)

    def _answered(self, answer: Any, identity: str | None) -> None:
        """``answer`` is the SDK's ``ModelResponse``, or the ``Response`` that ends a stream."""
        operation, request = self.operation, self.operation.request
        assert request is not None
        reported = _translate.reported_usage(answer.usage)
        operation.usage = usage_from(reported, provider=request.provider, model=request.model)
        operation.service_tier = getattr(answer, "service_tier", None)  # the SDK drops it from what it has as a whole
        output = answer.output
        operation.output = lambda: _translate.answer_text(output)
        operation.note_result(output, _translate.compared)
        content = of_answer(lambda: _translate.answer_content(answer))
        operation.annotate({**_translate.response_attributes(answer, identity), **content})
