"""The seam: one callback handler that turns LangChain's and LangGraph's events into operations.

It runs inline, in the context of the code it observes, never raises (except ``CallRefused``, before a model or tool
call) and never changes what it's given. The names and signatures of its methods are LangChain's.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from langchain_core.tracers.base import BaseTracer
from langgraph.callbacks import GraphCallbackHandler
from langgraph.errors import NodeTimeoutError, ParentCommand

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations, runtime
from ai_dev_squad.content import captured, of_answer, of_prompt
from ai_dev_squad.guard import guarded, report
from ai_dev_squad.tool_calls import error_in_words, note_answer, opening_attributes
from ai_dev_squad_langgraph import _resume, _translate
from ai_dev_squad_langgraph._runs import (
    FRAMEWORK,
    NAMESAKES,
    Run,
    agent_of_task,
    around_call,
    become_graph,
    is_told,
    note_handoff,
    note_unknown_tool,
    parent_of,
    run_of,
    waiting_task,
)
from ai_dev_squad_langgraph._scope import GraphRun

__all__ = ["HANDLER", "ObservingHandler"]


if TYPE_CHECKING:  # BaseTracer declares that its methods return LangSmith's run trees, which nobody reads
    _Base = GraphCallbackHandler
else:

    class _Base(GraphCallbackHandler, BaseTracer):
        """LangGraph sends payloads that went through a trace policy to tracers only."""


class ObservingHandler(_Base):
    """One per process."""

    # Inline: no executor hop for each event in asynchronous code, and the caller's own context.
    run_inline = True
    # `CallRefused` has to reach the caller; nothing else ever leaves a method of this class.
    raise_error = True
    ignore_retry = True
    ignore_custom_event = True
    # As in the base class, which computes them for each event.
    ignore_llm = ignore_chain = ignore_agent = ignore_retriever = ignore_chat_model = False

    def __init__(self) -> None:  # BaseTracer's own bookkeeping of runs is never used
        self.run_map: dict[str, Any] = {}
        self.order_map: dict[Any, Any] = {}

    # LangChain copies, deep-copies and de-duplicates handlers in sets: there is one identity for ever.
    def __copy__(self) -> ObservingHandler:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> ObservingHandler:
        return self

    def __reduce__(self) -> str:
        return "HANDLER"

    def _persist_run(self, run: Any) -> None:
        """BaseTracer's hook for finished runs; nothing to do."""

    # --- graphs and nodes ---------------------------------------------------------------------------------------------

    def on_chain_start(
        self,
        serialized: Any,
        inputs: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        metadata: dict[str, Any] | None = None,
        name: str | None = None,
        **_: Any,
    ) -> None:
        # Guarded by hand, as is `on_chain_end`: every node passes here, and a decorator costs a call.
        try:
            last = Run.last()
            if type(last) is GraphRun and last.is_awaited:
                parent = parent_of(parent_run_id)
                last.starts(run_id, parent, name or "LangGraph", metadata or {}, parent_run_id=parent_run_id)
            elif not is_told(run_id, parent_run_id):
                # Usually it is what this context was left in, and no id needs to be looked for.
                is_last = last is not None and last.run_id is parent_run_id and not last.ended and not NAMESAKES
                parent = last if is_last else parent_of(parent_run_id)
                _start_chain(Run(run_id, parent, name or "LangGraph", metadata or {}, parent_run_id=parent_run_id))
        except Exception as error:  # noqa: BLE001 - the user's program comes first
            report("observing the start of a chain", error)

    def on_chain_end(self, outputs: Any, *, run_id: Any, parent_run_id: Any = None, **_: Any) -> None:
        try:
            run = run_of(run_id, parent_run_id)
            if run is not None:
                for message in _translate.unknown_tools(outputs):
                    note_unknown_tool(run, message)
                run.end()
        except Exception as error:  # noqa: BLE001 - the user's program comes first
            report("observing the end of a chain", error)

    @guarded("observing a failed chain")
    def on_chain_error(self, error: BaseException, *, run_id: Any, parent_run_id: Any = None, **_: Any) -> None:
        run = run_of(run_id, parent_run_id)
        if run is None:
            return
        if isinstance(error, ParentCommand):
            note_handoff(run, error)
        elif isinstance(error, NodeTimeoutError):
            run.sweep("cancelled")  # the node that took too long may be told to have been cancelled a moment later
        run.end(error)

    @guarded("observing an interrupt")
    def on_interrupt(self, event: Any) -> None:
        run = run_of(event.run_id)
        if run is not None and run.operation is not None:
            run.status = "interrupted"
            _resume.interrupted(run, event)

    @guarded("observing a resume")
    def on_resume(self, event: Any) -> None:
        run = run_of(event.run_id)
        if run is not None and run.operation is not None:
            if isinstance(run, GraphRun):
                run.from_checkpoint = True
            _resume.resumed(run, event)

    # --- model calls --------------------------------------------------------------------------------------------------

    def on_chat_model_start(
        self,
        serialized: Any,
        messages: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        metadata: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        self._start_model_call(operations.CHAT, messages, run_id, parent_run_id, metadata or {}, more)

    def on_llm_start(
        self,
        serialized: Any,
        prompts: Any,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        metadata: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        self._start_model_call(operations.TEXT_COMPLETION, prompts, run_id, parent_run_id, metadata or {}, more)

    @guarded("observing the start of a model call")
    def _start_model_call(
        self,
        kind: operations.Kind,
        prompts: Any,
        run_id: Any,
        parent_run_id: Any,
        metadata: dict[str, Any],
        more: dict[str, Any],
    ) -> None:
        if is_told(run_id, parent_run_id):
            return
        run = _open_model_call(kind, prompts, run_id, parent_run_id, metadata, more)
        assert run.operation is not None
        run.ask(run.operation.reserve)
        # In a batch several calls start before the first is made: none of them is the current one.
        run.in_batch = more.get("batch_size", 1) > 1
        if not run.in_batch:
            run.make_current()

    @guarded("observing a streamed chunk")
    def on_llm_new_token(self, token: Any, *, run_id: Any, parent_run_id: Any = None, **_: Any) -> None:
        run = run_of(run_id, parent_run_id)
        if run is not None and run.operation is not None and run.operation.first_chunk_s is None:
            run.operation.first_chunk()
            # `model.stream()` is a generator: from the first chunk on, what runs in this context is its consumer. The
            # HTTP request is already under way, so nothing of it is lost.
            run.step_aside()

    @guarded("observing a streamed event")
    def on_stream_event(self, event: Any, *, run_id: Any, parent_run_id: Any = None, **_: Any) -> None:
        self.on_llm_new_token("", run_id=run_id, parent_run_id=parent_run_id)

    @guarded("observing the end of a model call")
    def on_llm_end(self, response: Any, *, run_id: Any, parent_run_id: Any = None, **_: Any) -> None:
        run = run_of(run_id, parent_run_id)
        if run is None or run.operation is None:
            return
        try:
            _take_answer(run.operation, response)
        finally:
            run.end()

    @guarded("observing a failed model call")
    def on_llm_error(self, error: BaseException, *, run_id: Any, parent_run_id: Any = None, **_: Any) -> None:
        run = run_of(run_id, parent_run_id)
        if run is not None:
            run.end(error)

    # --- tools and retrievers -----------------------------------------------------------------------------------------

    @guarded("observing the start of a tool")
    def on_tool_start(
        self,
        serialized: Any,
        input_str: str,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        metadata: dict[str, Any] | None = None,
        inputs: Any = None,
        name: str | None = None,
        tool_call_id: str | None = None,
        **_: Any,
    ) -> None:
        if is_told(run_id, parent_run_id):
            return
        given = inputs if inputs is not None else input_str
        call_id = runtime.pipeline().redactor.text(tool_call_id) if tool_call_id else None
        attributes = opening_attributes(given, call_id)
        tool = (serialized or {}).get("name") or name or "tool"
        run = self._start(operations.TOOL, tool, run_id, parent_run_id, metadata, attributes)
        run.admit(given)

    def _start(
        self,
        kind: operations.Kind,
        name: str,
        run_id: Any,
        parent_run_id: Any,
        metadata: dict[str, Any] | None,
        attributes: dict[str, Any],
    ) -> Run:
        parent = parent_of(parent_run_id)
        run = Run(run_id, parent, name, metadata or {}, parent_run_id=parent_run_id)
        above = None if parent is None else parent.enclosing_operation()
        run.begin(operations.start(kind, name, framework=FRAMEWORK, parent=above, attributes=attributes))
        run.make_current()
        return run

    @guarded("observing the end of a tool")
    def on_tool_end(self, output: Any, *, run_id: Any, parent_run_id: Any = None, **_: Any) -> None:
        run = run_of(run_id, parent_run_id)
        if run is None or run.operation is None:
            return
        content = getattr(output, "content", output)
        note_answer(run.operation, content, _translate.compared)
        if getattr(output, "status", None) == "error":
            # The tool's error was turned into a message for the model: the run goes on, but this tool call failed.
            run.operation.fail(error_in_words("tool_error", str(content)))
        run.end()

    @guarded("observing a failed tool")
    def on_tool_error(self, error: BaseException, *, run_id: Any, parent_run_id: Any = None, **_: Any) -> None:
        run = run_of(run_id, parent_run_id)
        if run is not None:
            run.end(error)

    @guarded("observing the start of a retriever")
    def on_retriever_start(
        self,
        serialized: Any,
        query: str,
        *,
        run_id: Any,
        parent_run_id: Any = None,
        metadata: dict[str, Any] | None = None,
        name: str | None = None,
        **_: Any,
    ) -> None:
        if is_told(run_id, parent_run_id):
            return
        attributes = captured(lambda: {keys.RETRIEVAL_QUERY_TEXT: query})
        retriever = name or (serialized or {}).get("name") or "retriever"
        run = self._start(operations.RETRIEVAL, retriever, run_id, parent_run_id, metadata, attributes)
        assert run.operation is not None
        run.operation.note_arguments(query)

    @guarded("observing the end of a retriever")
    def on_retriever_end(self, documents: Any, *, run_id: Any, parent_run_id: Any = None, **_: Any) -> None:
        run = run_of(run_id, parent_run_id)
        if run is None or run.operation is None:
            return
        run.operation.note_result([getattr(document, "page_content", None) for document in documents or ()])
        run.operation.annotate({"langchain.documents": len(documents or ())})
        run.end()

    on_retriever_error = on_tool_error


def _start_chain(run: Run) -> None:
    """A chain begins: it's a node, or it links what is below it to what is above."""
    parent, metadata = run.parent, run.metadata
    namespace = _translate.task_namespace(run.name, metadata, None if parent is None else parent.namespace)
    if namespace is None:
        run.started_at_ns = time.time_ns()
        return
    run.namespace = namespace
    graph, attempt = None, 1
    if parent is not None:
        if parent.operation is None:
            become_graph(parent, parent.name)  # a nested graph shows itself by its first node
        graph = parent.operation or parent.enclosing_operation()
        attempts = parent.attempts = parent.attempts or {}
        attempt = attempts[namespace] = attempts.get(namespace, 0) + 1
    run.begin(
        operations.start(
            operations.TASK,
            run.name,
            framework=FRAMEWORK,
            parent=graph,
            attributes=_translate.task_attributes(namespace, metadata),
            agent_id=agent_of_task(graph, run.name),
            attempt=attempt,
        )
    )
    run.make_current()


def _open_model_call(
    kind: operations.Kind, prompts: Any, run_id: Any, parent_run_id: Any, metadata: dict[str, Any], more: dict[str, Any]
) -> Run:
    pipeline = runtime.pipeline()
    params = more.get("invocation_params") or {}
    request = _translate.model_request(metadata, params, prompts)
    # What the program chose, down to stop sequences and the thread's name, may hold a secret.
    attributes = pipeline.redactor.value(
        _translate.model_attributes(metadata, params, _translate.conversation_id(metadata))
    )
    attributes |= of_prompt(lambda: _translate.messages_content(prompts))
    parent = around_call(parent_of(parent_run_id))
    run = Run(run_id, parent, request.model, metadata, parent_run_id=parent_run_id)
    run.begin(
        operations.start(
            kind,
            request.model,
            framework=FRAMEWORK,
            parent=None if parent is None else parent.enclosing_operation(),
            attributes=attributes,
            request=request,
        )
    )
    run.waits = waiting_task()
    return run


def _take_answer(operation: operations.Operation, response: Any) -> None:
    asked = operation.request
    told = {} if asked is None else {"provider": asked.provider, "model": asked.model}
    usage, operation.cache_hit = _translate.usage_of(response, **told)
    # A stream may have left it with the operation already; LangChain adds up reports that are sums themselves.
    if operation.usage is None or operation.cache_hit:
        operation.usage = usage
    operation.service_tier = _translate.service_tier_of(response)
    operation.reported_usd = _translate.cost_of(response)
    operation.output = lambda: _translate.response_text(response)
    operation.note_result(response, _translate.answer)
    content = of_answer(lambda: _translate.response_content(response))
    operation.annotate({**_translate.response_attributes(response), **content})
    if operation.cache_hit:
        operation.annotate({keys.CACHE_HIT: True})


HANDLER = ObservingHandler()
