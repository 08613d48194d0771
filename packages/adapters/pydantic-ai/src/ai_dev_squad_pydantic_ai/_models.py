"""Model requests: each is watched where a model's own class makes it, whoever asked: an agent, a fallback, the program."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakSet

from pydantic_ai.messages import ModelResponse
from pydantic_ai.models import Model
from pydantic_ai.models.fallback import FallbackModel
from pydantic_ai.models.wrapper import WrapperModel

from ai_dev_squad import operations
from ai_dev_squad.content import of_answer, of_prompt
from ai_dev_squad.genai.errors import classify
from ai_dev_squad.patching import Patches
from ai_dev_squad.steps import observed_call, observed_context
from ai_dev_squad_pydantic_ai import _translate
from ai_dev_squad_pydantic_ai._agents import AgentRun
from ai_dev_squad_pydantic_ai._invocation import MARKS, Call

__all__ = ["ModelCall", "watch"]

_patches = Patches()
_watched: WeakSet[type] = WeakSet()


def watch(model: Any) -> None:
    """Have the class of a model, and those of the models that it asks, tell of their requests. Harmless when repeated.

    A model that only asks others is not a call of its own: what it asks is told of, each attempt by itself.
    """
    cls = type(model)
    if cls in _watched:
        return
    if isinstance(model, (WrapperModel, FallbackModel)):
        for each in model.models if isinstance(model, FallbackModel) else (model.wrapped,):
            watch(each)
        return
    if not isinstance(model, Model):
        return  # a name, of which the run makes a model
    for name, observed in (("request", _observed_request), ("request_stream", _observed_stream)):
        owner = next(base for base in cls.__mro__ if name in vars(base))
        if owner is not Model:  # which only says that there is none
            _patches.wrap(owner, name, observed)
    _watched.add(cls)


class ModelCall(Call):
    """A question to a model and its answer."""

    kind = operations.CHAT
    stream: Any = None
    """What the answer is read from, piece by piece."""

    @classmethod
    def open(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any], *, stream: bool = False) -> Call | None:
        """For ``request`` and ``request_stream`` of a model."""
        model, messages, settings, asked = _arguments(*args, **kwargs)
        above = Call.cause()
        if (above is None and MARKS.find(model) is None) or _is_same(above, model):
            return None
        if isinstance(above, AgentRun) and messages:
            above.asked(messages[-1])
        settings = _translate.settings_of(model, settings)
        request = _translate.model_request(model, messages, settings, asked)
        attributes = _translate.model_attributes(model, settings, asked, stream=stream)
        attributes |= of_prompt(lambda: _translate.prompt_content(messages, asked))
        call = cls(model, above)
        call.start(request.model, attributes=attributes, request=request)
        return call

    @classmethod
    def open_stream(cls, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Call | None:
        """For ``request_stream``."""
        return cls.open(args, kwargs, stream=True)

    def take(self, item: Any) -> None:
        if isinstance(item, ModelResponse):
            self._answered(item)
        else:
            self.stream = item
            self.operation.output = lambda: _translate.answer_text(item.get())  # in case the stream is left early

    def returned(self, result: Any) -> None:
        if self.stream is None:
            super().returned(result)
            return
        try:
            self._answered(self.stream.get())
            self._as_seen("ok")
        finally:
            self.end()

    def raised(self, error: BaseException) -> None:
        status = classify(error)
        if self.stream is None or status == "error":
            self.end(error)
            return
        try:
            self._answered(self.stream.get())
            self._as_seen(status)
        finally:
            self.end()

    def _as_seen(self, status: Any) -> None:
        """The wire knows whether an answer was read to its end; the framework closes all streams alike."""
        seen = self.operation.seen_end
        self.status = status if seen is None else seen[0]

    def _answered(self, response: ModelResponse) -> None:
        operation = self.operation
        operation.usage = _translate.usage_of(response)
        operation.output = lambda: _translate.answer_text(response)
        operation.note_result(response, _translate.compared)
        content = of_answer(lambda: _translate.answer_content(response))
        operation.annotate({**_translate.response_attributes(response), **content})


def _arguments(
    model: Any, messages: Any, model_settings: Any, model_request_parameters: Any, *_: Any, **__: Any
) -> tuple[Any, Any, Any, Any]:
    """The arguments of ``request`` and ``request_stream``, however they were passed."""
    return model, messages, model_settings, model_request_parameters


def _is_same(above: Call | None, model: Any) -> bool:
    """Whether a model's method calls that of its base class: that is one call."""
    return isinstance(above, ModelCall) and above.subject is model and not above.ended


def _observed_request(original: Any) -> Any:
    return observed_call(original, ModelCall.open, asynchronous=True)


def _observed_stream(original: Any) -> Any:
    return observed_context(original, ModelCall.open_stream)
