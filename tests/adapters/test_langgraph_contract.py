"""The LangGraph adapter holds the contract of all adapters."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Annotated, Any

from langchain.agents import create_agent
from langchain_core.messages import AIMessageChunk
from langchain_core.runnables import RunnableLambda
from langchain_core.tools import tool as langchain_tool
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph
from typing_extensions import TypedDict

from ai_dev_squad_langgraph import observe, unobserve
from ai_dev_squad_testing import AdapterContract


class Answers(TypedDict, total=False):
    """The state of graphs with parallel branches."""

    messages: list[Any]
    answers: Annotated[list[str], operator.add]


def model_at(base_url: str, model: str = "gpt-4o-mini") -> ChatOpenAI:
    """A real client."""
    return ChatOpenAI(model=model, base_url=base_url, api_key="sk-test")  # type: ignore[arg-type]


def asking_node(model: Any) -> Any:
    """A node that asks the model, synchronously or not."""

    def ask(state: MessagesState) -> dict[str, Any]:
        return {"messages": [model.invoke(state["messages"])]}

    async def ask_later(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await model.ainvoke(state["messages"])]}

    return RunnableLambda(ask, ask_later)


class TestLangGraph(AdapterContract):
    """Graphs and agents with ``ChatOpenAI``."""

    framework = "langgraph"

    def observe(self, program: Any) -> Any:
        return observe(program)

    def observe_as(self, program: Any, task: str) -> Any:
        return observe(program, task=task)

    def unobserve(self, program: Any) -> Any:
        return unobserve(program)

    def asking(self, base_url: str, *, streaming: bool = False, model: str = "gpt-4o-mini") -> Any:
        builder = StateGraph(MessagesState)
        builder.add_node("ask", asking_node(model_at(base_url, model)))
        builder.add_edge(START, "ask")
        return builder.compile(name="squad")

    def with_tool(self, base_url: str, tool: Callable[[str], str]) -> Any:
        return create_agent(model_at(base_url), [langchain_tool(tool)], name="clerk")

    def two_agents(self, base_url: str) -> Any:
        model = model_at(base_url)
        builder = StateGraph(MessagesState)
        builder.add_node("planner", create_agent(model, [], system_prompt="Here you plan.", name="planner"))
        builder.add_node("coder", create_agent(model, [], system_prompt="Here you code.", name="coder"))
        builder.add_edge(START, "planner")
        builder.add_edge("planner", "coder")
        return builder.compile(name="squad")

    def in_parallel(self, base_url: str) -> Any:
        model = model_at(base_url)
        builder = StateGraph(Answers)
        for name in ("left", "middle", "right"):
            builder.add_node(name, lambda state: {"answers": [model.invoke(state["messages"]).text]})
            builder.add_edge(START, name)
        return builder.compile(name="squad")

    def working(self, work: Callable[[], None]) -> Any:
        def step(state: Answers) -> dict[str, Any]:
            work()
            return {"answers": ["worked"]}

        builder = StateGraph(Answers)
        builder.add_node("work", step)
        builder.add_edge(START, "work")
        return builder.compile(name="squad")

    def run(self, program: Any, question: str) -> str:
        return self._text(program.invoke({"messages": [("user", question)]}))

    async def arun(self, program: Any, question: str) -> str:
        return self._text(await program.ainvoke({"messages": [("user", question)]}))

    def _text(self, state: dict[str, Any]) -> str:
        return " ".join(state["answers"]) if state.get("answers") else str(state["messages"][-1].text)

    def stream(self, program: Any, question: str) -> Iterator[str]:
        for message, _ in program.stream({"messages": [("user", question)]}, stream_mode="messages"):
            if isinstance(message, AIMessageChunk) and message.text:
                yield message.text

    async def astream(self, program: Any, question: str) -> AsyncIterator[str]:
        stream = program.astream({"messages": [("user", question)]}, stream_mode="messages")
        try:
            async for message, _ in stream:
                if isinstance(message, AIMessageChunk) and message.text:
                    yield message.text
        finally:
            await stream.aclose()
