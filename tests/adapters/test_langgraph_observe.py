"""What ``observe`` takes, what it returns, and everything that stays as it was."""

from __future__ import annotations

import copy
import functools
import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from langchain_core.callbacks import AsyncCallbackManager, BaseCallbackHandler, CallbackManager
from langchain_core.runnables import RunnableConfig, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.config import get_config
from langgraph.func import entrypoint, task
from langgraph.graph import START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import NodeBuilder, Pregel
from langgraph.pregel.remote import RemoteGraph
from typing_extensions import TypedDict

from ai_dev_squad_langgraph import observe, unobserve
from ai_dev_squad_langgraph._handler import HANDLER
from ai_dev_squad_langgraph._runs import RUNS
from ai_dev_squad_testing import Captured

TREE = "invoke_workflow squad: ok\n  task plan: ok\n  task act: ok"


class State(TypedDict, total=False):
    """A little state."""

    n: int


def plan(state: State) -> State:
    """A node."""
    return {"n": state["n"] + 1}


def builder() -> StateGraph[Any]:
    """Two nodes in a row."""
    made: StateGraph[Any] = StateGraph(State)
    made.add_node("plan", plan)
    made.add_node("act", plan)
    made.add_edge(START, "plan")
    made.add_edge("plan", "act")
    return made


def compiled(**options: Any) -> Any:
    """The compiled graph."""
    return builder().compile(**{"name": "squad", **options})


class Counting(BaseCallbackHandler):
    """A handler of the user's: the names of the events it got."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def on_chain_start(self, serialized: Any, inputs: Any, *, name: str | None = None, **_: Any) -> None:
        self.seen.append(f"start {name}")

    def on_chain_end(self, outputs: Any, **_: Any) -> None:
        self.seen.append("end")


RUN = ["start squad", "start plan", "end", "start act", "end", "end"]


# --- what can be observed ---------------------------------------------------------------------------------------------


def test_a_compiled_graph_is_copied_and_the_original_stays_unobserved(captured: Captured) -> None:
    """Only what ``observe`` returns is observed."""
    graph = compiled()

    observed = observe(graph)

    assert observed is not graph
    assert graph.invoke({"n": 0}) == {"n": 2}
    assert captured.lines == []
    assert observed.invoke({"n": 0}) == {"n": 2}
    assert captured.tree() == TREE


def test_a_builder_compiles_observed_graphs(captured: Captured) -> None:
    """The builder itself is returned, and compiles with its own arguments."""
    made = builder()

    assert observe(made) is made
    graph = made.compile(InMemorySaver(), name="squad", interrupt_before=["act"])
    assert graph.invoke({"n": 0}, {"configurable": {"thread_id": "1"}}) == {"n": 1}

    assert captured.tree() == "invoke_workflow squad: interrupted\n  task plan: ok"


def test_a_chain_of_builder_calls(captured: Captured) -> None:
    """The builder's methods still return the builder."""
    graph = observe(StateGraph(State)).add_node("plan", plan).add_edge(START, "plan").compile(name="squad")

    graph.invoke({"n": 0})

    assert captured.tree() == "invoke_workflow squad: ok\n  task plan: ok"


def test_a_pregel_graph(captured: Captured) -> None:
    """LangGraph's lowest level is a graph like any other."""
    from langgraph.channels import EphemeralValue

    node = NodeBuilder().subscribe_only("a").do(lambda text: text + text).write_to("b")
    graph = Pregel(
        nodes={"double": node},
        channels={"a": EphemeralValue(str), "b": EphemeralValue(str)},
        input_channels="a",
        output_channels="b",
    )

    assert observe(graph, name="doubling").invoke("x") == "xx"

    assert captured.tree() == "invoke_workflow doubling: ok\n  task double: ok"


def test_an_entrypoint_with_its_previous_value(captured: Captured) -> None:
    """An ``@entrypoint`` keeps what it saved, and is called by its function's name."""

    @task
    def add(a: int, b: int) -> int:
        return a + b

    @entrypoint(checkpointer=InMemorySaver())
    def running_sum(number: int, *, previous: int | None = None) -> int:
        return add(number, previous or 0).result()

    observed = observe(running_sum)
    config: RunnableConfig = {"configurable": {"thread_id": "1"}}

    assert [observed.invoke(number, config) for number in (1, 2, 3)] == [1, 3, 6]
    run = "invoke_workflow running_sum: ok\n  task running_sum: ok\n    task add: ok"
    assert captured.tree() == "\n".join([run] * 3)


def test_a_factory(captured: Captured) -> None:
    """A function that makes graphs makes observed ones, with its own name, signature and docstring."""

    def make_graph(name: str = "squad", *, deep: bool = False) -> Any:
        """Make the graph."""
        return compiled(name=name)

    observed = observe(make_graph)
    observed("squad").invoke({"n": 0})

    assert captured.tree() == TREE
    assert (observed.__name__, observed.__doc__) == ("make_graph", "Make the graph.")
    assert inspect.signature(observed) == inspect.signature(make_graph)


async def test_an_asynchronous_factory(captured: Captured) -> None:
    """The same for a coroutine function, which stays one."""

    async def make_graph(config: RunnableConfig) -> Any:
        return compiled()

    observed = observe(make_graph)

    assert inspect.iscoroutinefunction(observed)
    await (await observed({})).ainvoke({"n": 0})
    assert captured.tree() == TREE


def test_a_method_as_a_factory(captured: Captured) -> None:
    """A bound method works, and a builder that a factory returns compiles observed graphs."""

    class Factory:
        def make(self) -> StateGraph[Any]:
            return builder()

    observe(Factory().make)().compile(name="squad").invoke({"n": 0})

    assert captured.tree() == TREE


def test_a_remote_graph_is_copied() -> None:
    """A ``RemoteGraph`` stays one, and the original is left alone."""
    remote = RemoteGraph("assistant", url="http://127.0.0.1:1")

    observed = observe(remote)

    assert isinstance(observed, RemoteGraph)
    assert observed is not remote
    assert type(remote) is RemoteGraph
    assert (observed.assistant_id, observed.name) == ("assistant", "assistant")


@pytest.mark.parametrize(
    "thing, named",
    [
        (None, "NoneType"),
        ("graph", "str"),
        ({"plan": plan}, "dict"),
        (StateGraph, "type"),
        (RunnableLambda(plan), "RunnableLambda"),
        (functools.partial(compiled), "partial"),
    ],
)
def test_anything_else_is_refused_with_a_cure(thing: Any, named: str) -> None:
    """The error names what was given and what is allowed."""
    with pytest.raises(TypeError) as caught:
        observe(thing)

    assert str(caught.value) == (
        f"cannot observe {named!r}; allowed: a compiled graph, a StateGraph, an entrypoint, a RemoteGraph, or a "
        "function that returns one of these"
    )


def test_a_function_that_returns_something_else_is_refused_when_called() -> None:
    """A factory's result is checked when there is one."""
    with pytest.raises(TypeError, match="cannot observe 'int'"):
        observe(lambda: 1)()


# --- what stays as it was ---------------------------------------------------------------------------------------------


def test_the_looks_of_a_graph_are_unchanged() -> None:
    """Class name, ``isinstance``, schemas, drawing and signatures are those of the original."""
    graph = compiled()
    observed = observe(graph, name="release-train")

    def looks(one: Any) -> dict[str, Any]:
        cls = type(one)
        return {
            "class": (cls.__name__, cls.__qualname__, cls.__module__, cls.__doc__),
            "repr": repr(one).partition(" at ")[0],
            "name": (one.name, one.get_name()),
            "attributes": sorted(name for name in vars(one) if not name.startswith("__ai_dev_squad")),
            "input": one.get_input_jsonschema(),
            "output": one.get_output_jsonschema(),
            "context": one.get_context_jsonschema(),
            "drawing": one.get_graph().to_json(),
            "signatures": {
                method: inspect.signature(getattr(one, method))
                for method in ("invoke", "ainvoke", "stream", "astream", "copy", "with_config", "batch", "get_state")
            },
            "coroutine": inspect.iscoroutinefunction(one.ainvoke),
        }

    assert looks(observed) == looks(graph)
    assert isinstance(observed, CompiledStateGraph)
    assert issubclass(type(observed), type(graph))


def test_the_looks_of_a_builder_are_unchanged() -> None:
    """The same for a builder, whose nodes, edges and schemas are not touched."""
    plain, observed = builder(), observe(builder())

    assert isinstance(observed, StateGraph)
    assert (type(observed).__name__, type(observed).__module__) == (type(plain).__name__, type(plain).__module__)
    assert inspect.signature(observed.compile) == inspect.signature(plain.compile)
    assert observed.compile.__doc__ == plain.compile.__doc__
    assert (list(observed.nodes), observed.edges) == (list(plain.nodes), plain.edges)
    assert vars(observed).keys() == vars(plain).keys()


@pytest.mark.parametrize(
    "copied",
    [
        pytest.param(copy.copy, id="copy"),
        pytest.param(lambda graph: graph.copy(), id="Pregel.copy"),
        pytest.param(lambda graph: graph.copy({"debug": False}), id="Pregel.copy with an update"),
        pytest.param(lambda graph: graph.with_config(tags=["mine"]), id="with_config"),
        pytest.param(observe, id="observe again"),
    ],
)
def test_copies_of_an_observed_graph_are_observed_once(captured: Captured, copied: Callable[[Any], Any]) -> None:
    """However a graph is copied, its runs show up once, under the name that was chosen."""
    copied(observe(compiled(name="inner name"), name="squad")).invoke({"n": 0})

    assert captured.tree() == TREE


def test_a_deep_copy_of_an_observed_graph_is_observed() -> None:
    """A deep copy is of the observed class, with its name. (LangGraph's own deep copies of compiled graphs don't run.)"""
    observed = observe(compiled(), name="renamed")

    copied = copy.deepcopy(observed)

    assert type(copied) is type(observed)
    assert vars(copied).keys() == vars(observed).keys()
    assert list(copied.nodes) == list(observed.nodes)


def test_a_copied_entrypoint_keeps_its_name(captured: Captured) -> None:
    """``with_config`` on a functional-API graph changes nothing but the config."""

    @entrypoint()
    def workflow(number: int) -> int:
        return number

    assert observe(workflow).with_config(tags=["mine"]).invoke(1) == 1
    assert captured.tree() == "invoke_workflow workflow: ok\n  task workflow: ok"


@pytest.mark.parametrize("copied", [copy.copy, lambda remote: remote.with_config(tags=["mine"])])
def test_a_copied_remote_graph_keeps_its_name(copied: Callable[[Any], Any]) -> None:
    """A ``RemoteGraph`` with a name of our own can be copied and configured like any other."""
    remote = copied(observe(RemoteGraph("assistant", url="http://127.0.0.1:1"), name="far away"))

    assert remote.assistant_id == "assistant"
    assert type(remote).__name__ == "RemoteGraph"
    assert vars(remote)["__ai_dev_squad_name__"] == "far away"


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_a_copied_builder_compiles_itself(captured: Captured, copied: Callable[[Any], Any]) -> None:
    """A copy of an observed builder compiles its own nodes, observed, and not those of the builder it came from."""
    original = observe(builder())
    other = copied(original)
    other.nodes = dict(original.nodes)
    other.edges = set(original.edges)
    other.add_node("check", plan)
    other.add_edge("act", "check")

    other.compile(name="squad").invoke({"n": 0})

    assert captured.tree() == TREE + "\n  task check: ok"
    assert list(original.nodes) == ["plan", "act"]


def test_a_builder_can_be_pickled(captured: Captured) -> None:
    """What is sent to another process, as Ray and Dask do, is of the original's class there and observed as before."""
    original = observe(builder(), name="squad")
    sent = pickle.dumps(original)

    received = pickle.loads(sent)
    received.compile().invoke({"n": 0})

    assert captured.tree() == TREE
    assert type(unobserve(received)) is StateGraph


def test_observed_inside_observed(captured: Captured) -> None:
    """An observed subgraph in an observed graph, with the caller's config handed on, shows up once."""
    inner = observe(compiled(name="inner"))

    def node(state: State, config: RunnableConfig) -> State:
        inner.invoke({"n": 0}, config)
        return {"n": inner.invoke({"n": 0})["n"]}

    made: StateGraph[Any] = StateGraph(State)
    made.add_node("work", node)
    made.add_edge(START, "work")
    observe(observe(made).compile(name="squad")).invoke({"n": 0})

    nested = "    invoke_workflow inner: ok\n      task plan: ok\n      task act: ok"
    assert captured.tree() == f"invoke_workflow squad: ok\n  task work: ok\n{nested}\n{nested}"
    assert RUNS == {}


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_unobserve_a_graph(captured: Captured) -> None:
    """Afterwards runs emit nothing, and the graph is of its original class again."""
    graph = observe(compiled(), name="renamed")

    assert unobserve(graph) is graph

    assert type(graph) is CompiledStateGraph
    assert graph.invoke({"n": 0}) == {"n": 2}
    assert vars(graph).keys() == vars(compiled()).keys()
    assert captured.lines == []


def test_unobserve_a_builder_a_factory_and_a_remote_graph(captured: Captured) -> None:
    """Everything that ``observe`` takes can be given back."""
    made = builder()
    remote = RemoteGraph("assistant", url="http://127.0.0.1:1")

    unobserve(observe(made, name="renamed")).compile().invoke({"n": 0})
    unobserve(observe(compiled))().invoke({"n": 0})

    assert type(made) is StateGraph
    assert vars(made).keys() == vars(builder()).keys()
    assert unobserve(observe(compiled)) is compiled
    assert type(unobserve(observe(remote))) is RemoteGraph
    assert captured.lines == []


def test_unobserve_what_was_never_observed() -> None:
    """Nothing happens, and the thing itself comes back."""
    graph = compiled()

    assert unobserve(graph) is graph
    assert unobserve(3) == 3


def test_observing_again_after_unobserve(captured: Captured) -> None:
    """A graph can be observed once more."""
    observe(unobserve(observe(compiled()))).invoke({"n": 0})

    assert captured.tree() == TREE


# --- the caller's config and callbacks --------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["list", "manager", "asynchronous manager"])
async def test_the_callers_config_is_never_changed(captured: Captured, form: str) -> None:
    """Config, list and manager hold the same objects after a run, and the user's handler gets every event."""
    mine = Counting()
    callbacks: Any = {
        "list": [mine],
        "manager": CallbackManager([mine], inheritable_handlers=[mine]),
        "asynchronous manager": AsyncCallbackManager([mine], inheritable_handlers=[mine]),
    }[form]
    config: Any = {"callbacks": callbacks, "tags": ["t"], "metadata": {"k": "v"}, "configurable": {"thread_id": "1"}}
    before = {**config, "tags": ["t"], "metadata": {"k": "v"}, "configurable": {"thread_id": "1"}}

    await observe(compiled()).ainvoke({"n": 0}, config)

    assert config == before
    assert config["callbacks"] is callbacks
    handlers = callbacks if form == "list" else [*callbacks.handlers, *callbacks.inheritable_handlers]
    assert {id(handler) for handler in handlers} == {id(mine)}
    assert mine.seen == RUN
    assert captured.tree() == TREE


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize("at_the_call", [False, True])
async def test_bound_and_passed_callbacks_are_called_once_each(
    captured: Captured, bound: bool, at_the_call: bool
) -> None:
    """Callbacks bound with ``with_config`` and those of the call both hear every event, in every way of running
    (langgraph#7424).
    """
    first, second = Counting(), Counting()
    graph = compiled()
    if bound:
        graph = graph.with_config(callbacks=[first])
    config: Any = {"callbacks": [second]} if at_the_call else None
    observed = observe(graph)

    observed.invoke({"n": 0}, config)
    await observed.ainvoke({"n": 0}, config)
    list(observed.stream({"n": 0}, config))
    async for _ in observed.astream_events({"n": 0}, config, version="v2"):
        pass

    assert first.seen == RUN * 4 * bound
    assert second.seen == RUN * 4 * at_the_call
    assert captured.tree() == "\n".join([TREE] * 4)


def test_callbacks_bound_after_observing(captured: Captured) -> None:
    """``with_config(callbacks=...)`` on an observed graph keeps it observed."""
    mine = Counting()

    observe(compiled()).with_config(callbacks=[mine]).invoke({"n": 0})

    assert mine.seen == RUN
    assert captured.tree() == TREE


def test_the_handler_is_registered_once_at_every_depth(captured: Captured) -> None:
    """Below nested observed graphs, with lists merged at every level, our handler stands in the manager once
    (ctxpipe#124).
    """
    counts: list[int] = []

    def look(state: State) -> State:
        manager: Any = get_config()["callbacks"]
        counts.append(sum(handler is HANDLER for handler in manager.handlers))
        counts.append(sum(handler is HANDLER for handler in manager.inheritable_handlers))
        return {"n": 1}

    def nested(node: Any, name: str) -> Any:
        made: StateGraph[Any] = StateGraph(State)
        made.add_node("work", node)
        made.add_edge(START, "work")
        return observe(made.compile(name=name)).with_config(callbacks=[Counting()])

    inner = nested(look, "inner")
    middle = nested(lambda state, config: inner.invoke(state, {**config, "callbacks": [Counting(), HANDLER]}), "middle")
    nested(middle, "outer").invoke({"n": 0}, {"callbacks": [Counting()]})

    assert counts == [1, 1]
    assert len(captured.closing("task")) == 3


def test_the_handler_survives_copying_and_sets() -> None:
    """The one handler keeps its identity wherever LangChain copies, deep-copies or de-duplicates handlers."""
    assert copy.copy(HANDLER) is HANDLER
    assert copy.deepcopy({"callbacks": [HANDLER]})["callbacks"][0] is HANDLER
    assert len({HANDLER, copy.copy(HANDLER)}) == 1
    assert bool(HANDLER)


def test_the_handler_never_shows_in_a_state_snapshot(captured: Captured) -> None:
    """Snapshots, their history and debug streams carry no trace of ours."""
    graph = observe(compiled(checkpointer=InMemorySaver()))
    config: Any = {"configurable": {"thread_id": "1"}}

    streamed = list(graph.stream({"n": 0}, config, stream_mode=["debug", "checkpoints"]))
    snapshots = [graph.get_state(config), *graph.get_state_history(config)]

    assert len(snapshots) > 3
    assert all("callbacks" not in (snapshot.config or {}) for snapshot in snapshots)
    assert "ObservingHandler" not in repr((streamed, snapshots))
    assert graph.config is None or "callbacks" not in graph.config


def test_state_can_be_read_and_changed_without_a_trace(captured: Captured) -> None:
    """``get_state``, ``update_state`` and ``get_subgraphs`` are no runs and give what they gave."""
    graph = observe(compiled(checkpointer=InMemorySaver(), interrupt_before=["act"]))
    config: Any = {"configurable": {"thread_id": "1"}}
    graph.invoke({"n": 0}, config)
    lines = len(captured.lines)

    graph.update_state(config, {"n": 10})

    assert graph.get_state(config).values == {"n": 10}
    assert list(graph.get_subgraphs()) == []
    assert len(captured.closing("invoke_workflow")) == 1
    assert len(captured.lines) == lines
    assert graph.invoke(None, config) == {"n": 11}
