"""Tools, code and memory at work."""

from __future__ import annotations

from typing import Any

from autogen_core.tools import ToolResult, Workbench

from ai_dev_squad import attributes as keys
from ai_dev_squad import operations, runtime
from ai_dev_squad.content import captured
from ai_dev_squad.schema import ErrorInfo
from ai_dev_squad.steps import Steps, argument
from ai_dev_squad.tool_calls import error_in_words, note_answer, opening_attributes
from ai_dev_squad_autogen import _translate
from ai_dev_squad_autogen._calls import AgentTurn, Part, effective_options, is_same, options_of
from ai_dev_squad_autogen._invocation import Call, enclosing

__all__ = ["CodeRun", "MemoryQuery", "ToolCall"]


class ToolCall(Call):
    """A tool at work."""

    kind = operations.TOOL
    tool: Any = None
    """The tool that the workbench chose."""

    @classmethod
    def open_workbench(cls, workbench: Any, args: Any, kwargs: Any) -> Steps | None:
        """For ``call_tool`` and ``call_tool_stream`` of a workbench."""
        name = argument("name", 0, args, kwargs)
        arguments = argument("arguments", 1, args, kwargs)
        return cls._open(workbench, name, arguments, argument("call_id", 3, args, kwargs))

    @classmethod
    def open_tool(cls, tool: Any, args: Any, kwargs: Any) -> Steps | None:
        """For ``run_json`` and ``run_json_stream`` of a tool."""
        above = enclosing()
        if isinstance(above, ToolCall) and isinstance(above.subject, Workbench) and above.tool is None:
            above.tool = tool
            return _InWorkbench(above)
        return cls._open(tool, tool.name, argument("args", 0, args, kwargs), argument("call_id", 2, args, kwargs))

    @classmethod
    def _open(cls, subject: Any, name: Any, arguments: Any, call_id: Any) -> Steps | None:
        above = enclosing()
        if (above is None and options_of(subject) is None) or is_same(above, subject, cls.kind):
            return None
        if call_id and isinstance(above, AgentTurn):
            above.ran = above.ran or set()
            above.ran.add(call_id)
        call = cls(subject, above, effective_options(subject, above))
        call.start(str(name), attributes=opening_attributes(arguments, call_id))
        call.admit(arguments)
        return call

    def take(self, item: Any) -> None:
        of_workbench = isinstance(self.subject, Workbench)
        if of_workbench and not isinstance(item, ToolResult):
            return  # an event on the way
        note_answer(self.operation, _translate.tool_result_text(item))
        if of_workbench and item.is_error:
            # AutoGen tells the model of the error and goes on, but this call failed.
            self.status = "error"
            if self.error is None:
                self.error = error_in_words("tool_error", item.to_text())


class _InWorkbench(Part):
    """A tool that a workbench calls is the same call; what it raises, the workbench turns into text."""

    def raised(self, error: BaseException) -> None:
        if isinstance(error, Exception):
            self.whole.error = error


class CodeRun(Call):
    """A code executor at work."""

    kind = operations.TOOL

    @classmethod
    def open(cls, executor: Any, args: Any, kwargs: Any) -> Steps | None:
        """For ``execute_code_blocks``."""
        above = enclosing()
        if (above is None and options_of(executor) is None) or is_same(above, executor, cls.kind):
            return None
        blocks = argument("code_blocks", 0, args, kwargs) or ()
        code = [block.code for block in blocks]
        attributes = {
            **opening_attributes(code, tool_type="extension"),
            "autogen.executor.type": type(executor).__name__,
            "autogen.code.languages": sorted({str(block.language) for block in blocks}),
        }
        run = cls(executor, above, effective_options(executor, above))
        run.start("execute_code", attributes=attributes)
        run.admit(code)
        return run

    def take(self, item: Any) -> None:
        pipeline = runtime.pipeline()
        self.operation.annotate({"autogen.code.exit_code": item.exit_code})
        self.operation.note_result([item.exit_code, item.output])
        output = pipeline.content_text(str(item.output))
        if pipeline.capture_content:
            self.operation.annotate({keys.TOOL_CALL_RESULT: output})
        if item.exit_code != 0:
            self.status, self.error = "error", ErrorInfo(type="exit_code", message=output)


class MemoryQuery(Call):
    """A memory that is asked, or adds to the model's context what it finds."""

    kind = operations.RETRIEVAL

    @classmethod
    def open(cls, memory: Any, args: Any, kwargs: Any) -> Steps | None:
        """For ``query`` and ``update_context``."""
        above = enclosing()
        if (above is None and options_of(memory) is None) or is_same(above, memory, cls.kind):
            return None
        attributes: dict[str, Any] = {"autogen.memory.type": type(memory).__name__}
        query = argument("query", 0, args, kwargs)
        if query is not None and not hasattr(query, "get_messages"):
            attributes |= captured(lambda: {keys.RETRIEVAL_QUERY_TEXT: str(getattr(query, "content", query))})
        query_of = cls(memory, above, effective_options(memory, above))
        query_of.start(str(getattr(memory, "name", None) or type(memory).__name__), attributes=attributes)
        if query is None or isinstance(query, str):  # else it's the whole context, of which the prompt is made
            query_of.operation.note_arguments(query)
        return query_of

    def take(self, item: Any) -> None:
        found = getattr(getattr(item, "memories", item), "results", ())
        self.operation.annotate({"autogen.memory.results": len(found)})
        texts = [str(content.content) for content in found]
        self.operation.note_result(texts)
        self.operation.annotate(captured(lambda: {keys.RETRIEVAL_DOCUMENTS: texts}))
