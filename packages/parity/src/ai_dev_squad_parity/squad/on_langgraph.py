"""The dev squad on LangGraph: planner → coders in parallel branches → reviewer loop → human approval → writer."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import Annotated, Any

from langchain_core.messages import AIMessageChunk, AnyMessage, HumanMessage, SystemMessage
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.graph.message import add_messages
from langgraph.graph.state import CompiledStateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from langgraph.types import Command, Send, interrupt
from pydantic import SecretStr
from typing_extensions import TypedDict

from . import spec

__all__ = ["Squad", "build", "run"]


class Plan(TypedDict):
    """The planner's answer."""

    tasks: list[str]


class Review(TypedDict):
    """The reviewer's answer."""

    approved: bool
    task: str
    feedback: str


def latest(old: dict[str, str], new: dict[str, str]) -> dict[str, str]:
    """A later patch of the same task takes the place of the earlier one."""
    return {**old, **new}


class Squad(TypedDict):
    """What the squad shares."""

    request: str
    tasks: list[str]
    patches: Annotated[dict[str, str], latest]
    review: Review
    reviews: Annotated[int, operator.add]
    notes: str


class Patches(TypedDict):
    """What a coder hands back."""

    patches: Annotated[dict[str, str], latest]


class Task(Patches):
    """What a coder works on."""

    task: str
    messages: Annotated[list[AnyMessage], add_messages]


def assignment(task: str, feedback: str = "") -> Send:
    """One task for one coder, in a branch of its own."""
    text = f"Task: {task}. {feedback}".strip()
    return Send("coder", {"task": task, "messages": [HumanMessage(text)]})


def build(
    base_url: str, checkpointer: BaseCheckpointSaver[Any] | None = None
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """The compiled graph. ``base_url`` is an OpenAI-compatible service; the default checkpointer is in memory."""

    def model(role: str) -> ChatOpenAI:
        return ChatOpenAI(model=spec.MODELS[role], base_url=base_url, api_key=SecretStr("scripted"), max_retries=2)

    def ask(chat: Callable[[Sequence[AnyMessage]], Any], prompt: str, text: str) -> Any:
        return chat([SystemMessage(prompt), HumanMessage(text)])

    planning = model("planner").with_structured_output(Plan, method="function_calling")
    reviewing = model("reviewer").with_structured_output(Review, method="function_calling")
    writing = model("writer")

    def planner(state: Squad) -> dict[str, Any]:
        return {"tasks": ask(planning.invoke, spec.PLANNER, state["request"])["tasks"]}

    def assign(state: Squad) -> list[Send]:
        return [assignment(task) for task in state["tasks"]]

    def reviewer(state: Squad) -> dict[str, Any]:
        patches = "\n".join(state["patches"][task] for task in sorted(state["patches"]))
        return {"review": ask(reviewing.invoke, spec.REVIEWER, patches), "reviews": 1}

    def judge(state: Squad) -> str | Send:
        review = state["review"]
        return "approval" if review["approved"] else assignment(review["task"], review["feedback"])

    def approval(state: Squad) -> Command[str]:
        answer = interrupt({"question": "Release this?", "patches": state["patches"]})
        return Command(goto="writer" if answer == "yes" else END)

    def writer(state: Squad) -> dict[str, Any]:
        return {"notes": ask(writing.invoke, spec.WRITER, state["request"]).content}

    squad = StateGraph(Squad)
    squad.add_node("planner", planner)
    squad.add_node("coder", coder(model("coder")))
    squad.add_node("reviewer", reviewer)
    squad.add_node("approval", approval, destinations=("writer", END))
    squad.add_node("writer", writer)
    squad.add_edge(START, "planner")
    squad.add_conditional_edges("planner", assign, ["coder"])
    squad.add_edge("coder", "reviewer")
    squad.add_conditional_edges("reviewer", judge, ["coder", "approval"])
    return squad.compile(checkpointer=checkpointer or InMemorySaver(), name="dev-squad")


def coder(chat: ChatOpenAI) -> CompiledStateGraph[Any, Any, Any, Any]:
    """A coder: a graph of its own that uses tools until it answers. A tool's error goes back to the model."""
    tools = [spec.read_file, spec.run_tests]
    equipped = chat.bind_tools(tools)

    def code(state: Task) -> dict[str, Any]:
        return {"messages": [equipped.invoke([SystemMessage(spec.CODER), *state["messages"]])]}

    def submit(state: Task) -> dict[str, Any]:
        return {"patches": {state["task"]: state["messages"][-1].text}}

    graph = StateGraph(Task, output_schema=Patches)
    graph.add_node("code", code)
    graph.add_node("tools", ToolNode(tools, handle_tool_errors=True))
    graph.add_node("submit", submit)
    graph.add_edge(START, "code")
    graph.add_conditional_edges("code", tools_condition, {"tools": "tools", END: "submit"})
    graph.add_edge("tools", "code")
    return graph.compile(name="coder")


def run(
    graph: CompiledStateGraph[Any, Any, Any, Any],
    *,
    thread_id: str = "demo",
    answer: str = "yes",
    on_text: Callable[[str, str], None] = lambda node, text: None,
) -> dict[str, Any]:
    """Stream the squad until it asks, answer it, stream on to the end. Returns the final state.

    ``on_text`` gets each streamed piece of text with the name of the node it comes from.
    """
    config: Any = {"configurable": {"thread_id": thread_id}}
    steps: tuple[Any, ...] = ({"request": spec.REQUEST}, Command(resume=answer))
    for given in steps:
        streamed: Any = graph.stream(given, config, stream_mode="messages", subgraphs=True)
        for _, (message, metadata) in streamed:
            if isinstance(message, AIMessageChunk) and message.text:
                on_text(metadata["langgraph_node"], message.text)
    return dict(graph.get_state(config).values)
