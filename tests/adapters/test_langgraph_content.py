"""What of the program's content is captured: nothing unless asked for, and never a secret."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import msgspec
import pytest
from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, SystemMessage, ToolMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.retrievers import BaseRetriever
from langchain_core.runnables import RunnableConfig
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.types import Command, interrupt

from ai_dev_squad_langgraph import observe
from ai_dev_squad_testing import Captured, capture
from ai_dev_squad_testing.model_server import ModelServer, call, reply, tokens, tool_calls

Serve = Callable[..., ModelServer]
Chat = Callable[..., Any]

MARKER = "xyzzy-plugh"
KEY = "sk-proj-" + "Ab3dEf6hIj9kLm2nOp5q" * 2  # in the shape of a provider's API key, and no such key


def everything(captured: Captured) -> str:
    """All that was captured, as every sink would write it: lines, and spans with events, links and status."""
    lines = msgspec.json.Encoder().encode_lines(captured.lines).decode()
    return lines + "\n".join(span.to_json() for span in captured.spans)


def metadata(captured: Captured, operation: str) -> dict[str, Any]:
    """The metadata of the only line that ended such an operation."""
    (line,) = captured.closing(operation)
    return line.metadata or {}


class Shelf(BaseRetriever):
    """A retriever that finds one document."""

    text: str

    def _get_relevant_documents(self, query: str, *, run_manager: CallbackManagerForRetrieverRun) -> list[Document]:
        return [Document(self.text)]


class State(MessagesState):
    """Messages, and a secret of the program's."""

    private: str


def work_through(server: ModelServer, chat: Chat, text: str) -> None:
    """A run with ``text`` everywhere: prompts, answers, streams, tools, retriever, state, node output, interrupt."""
    model = chat(server)

    @tool
    def echo(word: str) -> str:
        """Say it again."""
        return f"{word} {text}"

    def ask(state: State) -> dict[str, Any]:
        answer = model.bind_tools([echo]).invoke([SystemMessage(f"system {text}"), *state["messages"]])
        results = [echo.invoke(asked) for asked in answer.tool_calls]
        found = Shelf(text=text).invoke(f"where is {text}")
        for _ in model.stream(f"stream {text}"):
            pass
        return {"messages": [answer, *results], "private": found[0].page_content}

    def approve(state: State) -> dict[str, Any]:
        return {"private": interrupt({"question": f"really {text}?"})}

    builder: StateGraph[Any] = StateGraph(State)
    builder.add_node("ask", ask)
    builder.add_node("approve", approve)
    builder.add_edge(START, "ask")
    builder.add_edge("ask", "approve")
    graph = observe(builder.compile(name="squad", checkpointer=InMemorySaver()))
    config: Any = {"configurable": {"thread_id": "t1"}}
    graph.invoke({"messages": [HumanMessage(f"user {text}")], "private": text}, config)
    graph.invoke(Command(resume=f"yes {text}"), config)


def script(serve: Serve, text: str) -> ModelServer:
    """A model that uses a tool and then says something, with ``text`` in it."""
    return serve(tool_calls(call("echo", word=text), text=f"thinking of {text}"), reply(f"done with {text}"))


def test_content_is_off_by_default(captured: Captured, serve: Serve, chat: Chat) -> None:
    """No prompt, answer, tool argument or result, document, interrupt value or state is in any line or span."""
    work_through(script(serve, MARKER), chat, MARKER)

    assert len(captured.closing()) == 9
    assert len(captured.spans) == 9
    assert MARKER not in everything(captured)


@pytest.mark.parametrize(
    "variable", ["AI_DEV_SQUAD_CAPTURE_CONTENT", "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"]
)
def test_content_can_be_switched_on_by_the_environment(
    serve: Serve, chat: Chat, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """The product's own variable and OpenTelemetry's both work."""
    monkeypatch.setenv(variable, "true")
    with capture() as captured:
        work_through(script(serve, MARKER), chat, MARKER)

    assert MARKER in everything(captured)


def test_captured_content_has_the_shape_of_the_conventions(serve: Serve, chat: Chat) -> None:
    """Messages are roles and parts, tool calls and their results structures, in the journal and as JSON on spans."""
    with capture(spans=True, capture_content=True) as captured:
        work_through(script(serve, MARKER), chat, MARKER)

    first, second = (line.metadata or {} for line in captured.closing("chat"))
    assert first["gen_ai.input.messages"] == [
        {"role": "system", "parts": [{"type": "text", "content": f"system {MARKER}"}]},
        {"role": "user", "parts": [{"type": "text", "content": f"user {MARKER}"}]},
    ]
    (answer,) = first["gen_ai.output.messages"]
    asked = answer["parts"][1].pop("id")
    assert answer == {
        "role": "assistant",
        "finish_reason": "tool_calls",
        "parts": [
            {"type": "text", "content": f"thinking of {MARKER}"},
            {"type": "tool_call", "name": "echo", "arguments": {"word": MARKER}},
        ],
    }
    assert second["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": f"done with {MARKER}"}], "finish_reason": "stop"}
    ]
    used = metadata(captured, "execute_tool")
    assert (used["gen_ai.tool.call.arguments"], used["gen_ai.tool.call.result"], used["gen_ai.tool.call.id"]) == (
        {"word": MARKER},
        f"{MARKER} {MARKER}",
        asked,
    )
    assert metadata(captured, "retrieval")["gen_ai.retrieval.query.text"] == f"where is {MARKER}"
    (pause,) = [line for line in captured.lines if line.event_type == "agent.interrupt"]
    assert (pause.metadata or {})["values"] == [{"question": f"really {MARKER}?"}]
    chats = [span for span in captured.spans if span.name == "chat gpt-4o-mini"]
    on_span = (chats[0].attributes or {})["gen_ai.input.messages"]
    assert msgspec.json.decode(str(on_span)) == first["gen_ai.input.messages"]


def test_tool_results_images_and_reasoning_in_prompts(serve: Serve, chat: Chat) -> None:
    """What isn't text keeps its kind: images, earlier tool calls and what the tools said."""
    history = [
        HumanMessage(
            [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": "https://x.test/a.png"}},
            ]
        ),
        AIMessage("", tool_calls=[{"name": "look", "args": {"at": "a"}, "id": "call-1"}]),
        ToolMessage("a cat", tool_call_id="call-1"),
    ]

    def ask(state: MessagesState) -> dict[str, Any]:
        chat(server).invoke(history)
        return {"messages": []}

    server = serve(reply("a cat"))
    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    with capture(capture_content=True) as captured:
        observe(builder.compile()).invoke({"messages": []})

    assert metadata(captured, "chat")["gen_ai.input.messages"] == [
        {
            "role": "user",
            "parts": [
                {"type": "text", "content": "what is this?"},
                {"type": "uri", "modality": "image", "uri": "https://x.test/a.png"},
            ],
        },
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "call-1", "name": "look", "arguments": {"at": "a"}}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "call-1", "response": "a cat"}]},
    ]


# --- redaction --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [False, True])
def test_a_secret_in_content_never_survives(serve: Serve, chat: Chat, content: bool) -> None:
    """An API key in prompts, answers, tool arguments, results, documents, interrupts and state is in no sink."""
    with capture(spans=True, capture_content=content) as captured:
        work_through(script(serve, KEY), chat, KEY)

    assert KEY not in everything(captured)
    assert ("[redacted:" in everything(captured)) is content


class Pieces(BaseChatModel):
    """A model that streams its answer in pieces of three characters."""

    answer: str

    @property
    def _llm_type(self) -> str:
        return "pieces"

    def _generate(self, *arguments: Any, **keywords: Any) -> ChatResult:
        raise NotImplementedError

    def _stream(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> Iterator[Any]:
        for start in range(0, len(self.answer), 3):
            chunk = ChatGenerationChunk(message=AIMessageChunk(self.answer[start : start + 3]))
            if run_manager:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


@pytest.mark.parametrize("left_after", [10, 1000], ids=["left early", "read to the end"])
def test_a_secret_that_chunks_cut_in_pieces_never_survives(left_after: int) -> None:
    """What a stream says is put together before it's redacted, so no border between chunks lets a key through."""
    model = Pieces(answer=f"use {KEY} and password=hunter2 now")

    def ask(state: MessagesState) -> dict[str, Any]:
        chunks = list(islice(model.stream(state["messages"]), left_after))
        return {"messages": [AIMessage("".join(str(chunk.content) for chunk in chunks))]}

    builder: StateGraph[Any] = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    with capture(spans=True, capture_content=True) as captured:
        said = [
            str(chunk[0].content)
            for chunk in observe(builder.compile()).stream(
                {"messages": [HumanMessage("hello")]}, stream_mode="messages"
            )
        ]

    written = everything(captured)
    assert KEY[:24] in "".join(said)
    assert "[redacted:openai-key]" in written or left_after == 10
    assert [KEY[at : at + 12] for at in range(len(KEY) - 11) if KEY[at : at + 12] in written] == []
    assert "hunter2" not in written


@pytest.mark.parametrize("content", [False, True])
def test_a_secret_in_the_callers_config_never_survives(serve: Serve, chat: Chat, content: bool) -> None:
    """Neither in the thread id, the run's name, metadata or stop sequences; the rest of each text does."""
    server = serve(reply("hi", times=None))

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [chat(server).invoke(state["messages"], stop=[f"stop {KEY}"])]}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    config: Any = {
        "run_name": f"run {KEY}",
        "configurable": {"thread_id": f"thread {KEY}", "openai_api_key": KEY},
        "metadata": {"note": f"metadata {KEY}", "nested": {"deep": KEY}},
        "tags": [f"tag {KEY}"],
    }
    with capture(spans=True, capture_content=content) as captured:
        observe(builder.compile(checkpointer=InMemorySaver())).invoke({"messages": [("user", "hi")]}, config)

    assert KEY not in everything(captured)
    (run,) = captured.closing("invoke_workflow")
    assert run.name == "run [redacted:openai-key]"
    assert run.session_id == "thread [redacted:openai-key]"
    assert (run.metadata or {})["langgraph.metadata.note"] == "metadata [redacted:openai-key]"
    assert metadata(captured, "chat")["gen_ai.request.stop_sequences"] == ["stop [redacted:openai-key]"]


@pytest.mark.parametrize("content", [False, True])
@pytest.mark.parametrize("where", ["node", "tool", "cause"])
def test_a_secret_in_an_exception_never_survives(where: str, content: bool) -> None:
    """Neither in its text nor in the traceback, whoever raised it; the user still gets the exception as it was."""

    def deep() -> None:
        secret = KEY
        raise ValueError(f"cannot log in with {secret}")

    @tool
    def log_in(user: str) -> str:
        """Log in."""
        deep()
        return ""

    def work(state: MessagesState) -> dict[str, Any]:
        if where == "tool":
            log_in.invoke({"user": KEY})
        try:
            deep()
        except ValueError as error:
            if where == "node":
                raise
            raise RuntimeError("logging in failed") from error
        return {}

    builder = StateGraph(MessagesState)
    builder.add_node("work", work)
    builder.add_edge(START, "work")
    with capture(spans=True, capture_content=content) as captured, pytest.raises((ValueError, RuntimeError)) as caught:
        observe(builder.compile()).invoke({"messages": []})

    written = everything(captured)
    assert KEY in str(caught.value) + str(caught.value.__cause__)
    assert KEY not in written
    assert "cannot log in with [redacted:" in written


def test_own_patterns_reach_every_sink(serve: Serve, chat: Chat) -> None:
    """What the user calls a secret is treated like one."""
    with capture(spans=True, capture_content=True, redact_patterns=["xyzzy-[a-z]+"]) as captured:
        work_through(script(serve, MARKER), chat, MARKER)

    assert MARKER not in everything(captured)
    assert "[redacted:custom]" in everything(captured)


def test_dropped_keys_are_nowhere(serve: Serve) -> None:
    """``drop_keys`` are left out of metadata, tool arguments, results and interrupts, at any depth."""

    @tool
    def pay(order: dict[str, Any], card: str) -> dict[str, Any]:
        """Pay for it."""
        return {"paid": True, "card": card, "order": order}

    def work(state: MessagesState, config: RunnableConfig) -> dict[str, Any]:
        pay.invoke({"order": {"item": "tea", "Card": MARKER}, "card": MARKER})
        interrupt({"card": MARKER, "question": "ok?"})
        return {}

    builder = StateGraph(MessagesState)
    builder.add_node("work", work)
    builder.add_edge(START, "work")
    config: Any = {"metadata": {"card": MARKER, "shop": "corner"}, "configurable": {"thread_id": "t1"}}
    with capture(spans=True, capture_content=True, drop_keys=["card"]) as captured:
        observe(builder.compile(checkpointer=InMemorySaver())).invoke({"messages": []}, config)

    assert MARKER not in everything(captured)
    assert metadata(captured, "invoke_workflow")["langgraph.metadata.shop"] == "corner"
    assert metadata(captured, "execute_tool")["gen_ai.tool.call.arguments"] == {"order": {"item": "tea"}}


def test_long_content_is_cut_and_says_so(serve: Serve, chat: Chat) -> None:
    """A prompt of a million characters leaves a line of a bounded size, with the structure kept."""
    server = serve(reply("hi", usage=tokens(1, 1)))

    def ask(state: MessagesState) -> dict[str, Any]:
        chat(server).invoke("x" * 1_000_000)
        return {"messages": []}

    builder = StateGraph(MessagesState)
    builder.add_node("ask", ask)
    builder.add_edge(START, "ask")
    with capture(spans=True, capture_content=True, max_content_chars=1000) as captured:
        observe(builder.compile()).invoke({"messages": []})

    (message,) = metadata(captured, "chat")["gen_ai.input.messages"]
    assert message["role"] == "user"
    assert message["parts"][0]["content"].startswith("xxx")
    assert message["parts"][0]["content"].endswith("characters)")
    assert len(everything(captured)) < 20_000


def test_live_objects_and_cycles_in_tools(serve: Serve) -> None:
    """Arguments and results that no one can serialise appear by their type, and cycles end."""
    cycle: dict[str, Any] = {"name": "loop"}
    cycle["self"] = cycle

    @tool
    def handle(lock: Any, cycle: Any) -> Any:
        """Handle live things."""
        return {"lock": lock, "cycle": cycle, "numbers": {1: float("nan")}}

    def work(state: MessagesState) -> dict[str, Any]:
        handle.func(threading.Lock(), cycle)  # type: ignore[attr-defined]
        handle.invoke({"lock": threading.Lock(), "cycle": cycle})
        return {}

    builder = StateGraph(MessagesState)
    builder.add_node("work", work)
    builder.add_edge(START, "work")
    with capture(spans=True, capture_content=True) as captured:
        observe(builder.compile()).invoke({"messages": []})

    used = metadata(captured, "execute_tool")
    assert used["gen_ai.tool.call.arguments"]["lock"] == "<_thread.lock>"
    assert used["gen_ai.tool.call.arguments"]["cycle"]["name"] == "loop"
    assert used["gen_ai.tool.call.result"]["lock"] == "<_thread.lock>"
    assert len(captured.spans) == 3


def test_of_a_long_chat_the_first_and_the_newest_are_kept(serve: Serve, chat: Chat) -> None:
    """The middle is cut, and what stands there is no message of anybody."""
    model = chat(serve(reply("yes", usage=tokens(9, 1))))
    chatter = [HumanMessage(f"message {n}") for n in range(120)]
    graph = StateGraph(MessagesState)
    graph.add_node("ask", lambda state: {"messages": [model.invoke([SystemMessage("be brief"), *state["messages"]])]})
    graph.add_edge(START, "ask")

    with capture(capture_content=True, max_messages=3) as captured:
        observe(graph.compile()).invoke({"messages": chatter})

    assert metadata(captured, "chat")["gen_ai.input.messages"] == [
        {"role": "system", "parts": [{"type": "text", "content": "be brief"}]},
        {"role": "omitted", "parts": [{"type": "omitted", "messages": 118}]},
        {"role": "user", "parts": [{"type": "text", "content": "message 118"}]},
        {"role": "user", "parts": [{"type": "text", "content": "message 119"}]},
    ]
