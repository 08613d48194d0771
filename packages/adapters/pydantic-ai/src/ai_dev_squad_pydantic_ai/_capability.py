"""The seam in a run: a capability, of which each observed run is given one of its own."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from pydantic_ai.capabilities import AbstractCapability, CapabilityOrdering, Instrumentation

from ai_dev_squad.marks import Mark
from ai_dev_squad.steps import observed_call
from ai_dev_squad_pydantic_ai._agents import AgentRun, ToolCall
from ai_dev_squad_pydantic_ai._models import watch

__all__ = ["Observing"]


class Observing(AbstractCapability[Any]):
    """Tells of one run: its beginning and end, and the tools that it calls. Its models tell of themselves."""

    _safe_at_runtime: ClassVar[bool] = True  # the framework's mark of those that only look on
    id = "ai-dev-squad"
    _run: AgentRun | None = None

    def __init__(self, mark: Mark | None, *, resumes: bool) -> None:
        self._mark, self._resumes = mark or Mark(), resumes
        self._failed = False
        self.was_left = False
        """Whether the consumer of the run's events has left, which cancels the run."""

    def get_ordering(self) -> CapabilityOrdering:
        """Around the framework's own spans, which tell of the same."""
        return CapabilityOrdering(position="outermost", wraps=[Instrumentation])

    async def wrap_run(self, ctx: Any, *, handler: Any) -> Any:
        def begin(*_: Any) -> AgentRun:
            self._run = AgentRun.open(ctx, self._mark, resumes=self._resumes, is_left=self._is_left)
            return self._run

        return await observed_call(handler, begin, asynchronous=True)()

    async def on_run_error(self, ctx: Any, *, error: BaseException) -> Any:
        self._failed = True
        raise error

    def _is_left(self, error: BaseException) -> bool:
        """Whether a consumer had enough of the run: what waits for its end is cancelled then, and nothing failed in it."""
        if not isinstance(error, asyncio.CancelledError):
            return False
        waits = asyncio.current_task()
        return self.was_left or (not self._failed and waits is not None and waits.cancelling() > 0)

    async def wrap_tool_execute(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, handler: Any) -> Any:
        run = self._run
        if run is None:
            return await handler(args)
        return await observed_call(handler, lambda *_: ToolCall.open(run, call, args), asynchronous=True)(args)

    async def wrap_output_process(self, ctx: Any, *, output_context: Any, output: Any, handler: Any) -> Any:
        # A function that is called for the run's output, such as one that hands over, is a tool to the model.
        run, call = self._run, output_context.tool_call
        if run is None or call is None or not output_context.has_function or ctx.partial_output:
            return await handler(output)
        arguments = call.args_as_dict()
        return await observed_call(handler, lambda *_: ToolCall.open(run, call, arguments), asynchronous=True)(output)

    async def on_tool_validate_error(self, ctx: Any, *, call: Any, tool_def: Any, args: Any, error: Any) -> Any:
        if self._run is not None and self._run.is_new(call.tool_call_id):
            self._run.not_executed(call.tool_call_id, call.tool_name, str(error), "tool_not_executed")
        raise error

    async def before_model_request(self, ctx: Any, request_context: Any) -> Any:
        watch(request_context.model)
        return request_context

    def get_wrapper_model(self, model: Any) -> None:
        """Asked for at each attempt, which may be another model's."""
        watch(model)
