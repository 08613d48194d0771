"""``observe``: the one call. It shadows methods on the very objects, so that types, dumps and states stay as they are."""

from __future__ import annotations

import copyreg
import functools
import inspect
import types
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from autogen_agentchat.agents import UserProxyAgent
from autogen_agentchat.base import ChatAgent, Team
from autogen_core.code_executor import CodeExecutor
from autogen_core.memory import Memory
from autogen_core.models import ChatCompletionClient
from autogen_core.tools import BaseTool, FunctionTool, Workbench

from ai_dev_squad import runtime
from ai_dev_squad.guard import report
from ai_dev_squad.process import ForkSafeLock
from ai_dev_squad.steps import Open, Steps, observed_astream, observed_call
from ai_dev_squad_autogen import _process
from ai_dev_squad_autogen._calls import OPTIONS, RUN, AgentTurn, ModelCall, TeamRun
from ai_dev_squad_autogen._contexts import carrying_span
from ai_dev_squad_autogen._invocation import RUNS, Options
from ai_dev_squad_autogen._tools import CodeRun, MemoryQuery, ToolCall

__all__ = ["observe", "observe_parts", "unobserve"]

T = TypeVar("T")
Shadow = Callable[[Callable[..., Any]], Callable[..., Any]]

_FEW = 1_000
"""Longer collections hold data, such as the contents of a memory, and are not looked through."""
SHADOWED = "__ai_dev_squad_shadowed__"


def observe(thing: T, *, name: str | None = None, task: str | None = None, keep_runtime_spans: bool = False) -> T:
    """Observe an AutoGen team, agent, model client, workbench, tool, code executor or memory, and all it is made of.

    Every run is logged, traced, counted and priced from now on. The same object is returned: its type, signatures,
    component dumps, state and results stay as they are; observing twice changes nothing more. What is added to it later
    is found when its next run begins. A team's or agent's parts are observed where they work for something observed; a
    part that is given to ``observe`` itself is observed everywhere.

    ``name`` is how the runs of a team or agent are called; without it, AutoGen's own name is used. ``task`` says what
    they are asked to do, such as ``"refund"``, to compare them with other runs of that task. AutoGen's spans about its
    runtime's messages and agents would show the same work again, and are left out of observed runs unless
    ``keep_runtime_spans`` is set.

    Raises ``TypeError`` for anything else, and ``ValueError`` for bad settings, here rather than in the middle of a run.
    """
    if not runtime.get_settings().enabled:
        return thing
    if _seams_of(thing) is None:
        raise TypeError(
            f"cannot observe {type(thing).__name__!r}; allowed: a team, an agent, a model client, a workbench, a tool "
            "(an AutoGen BaseTool), a code executor or a memory"
        )
    _process.install()
    thing.__dict__[OPTIONS] = Options(name, task, keep_runtime_spans=keep_runtime_spans)
    observe_parts(thing)
    return thing


def unobserve(thing: T) -> T:
    """Stop observing ``thing`` and all it is made of: later runs emit nothing. Runs under way are observed to their end.

    A part that also belongs to something else that is observed is found again when that runs next. Returns ``thing``.
    """
    for part in _walk(thing):
        attributes = vars(part)
        attributes.pop(OPTIONS, None)
        attributes.pop(RUN, None)
        for holder in (part, attributes.get("_output_message_queue")):
            for name, method in list(getattr(holder, "__dict__", {}).items()):
                if hasattr(method, SHADOWED):
                    _restore(holder, name, method)
    return thing


def observe_parts(thing: Any) -> None:
    """Observe this very object and what can be reached from it."""
    for part in _walk(thing):
        _shadow_all(part)
        if isinstance(part, Team):
            _shadow(getattr(part, "_output_message_queue", None), "put", _noting_stop(getattr(part, "_team_id", "")))


# --- what is observed -------------------------------------------------------------------------------------------------


Opener = Callable[[Any, Any, Any], "Steps | None"]
"""Opens a call, given the object, the positional and the keyword arguments."""


def _call(opener: Opener) -> Shadow:
    return lambda original: observed_call(original, _opening(opener), asynchronous=True)


def _stream(opener: Opener) -> Shadow:
    return lambda original: observed_astream(original, _opening(opener))


def _opening(opener: Opener) -> Open:
    return lambda args, kwargs: opener(args[0], args[1:], kwargs)


_AGENT = ("run", _call(AgentTurn.open)), ("run_stream", _stream(AgentTurn.open))
_TURN = ("on_messages", _call(AgentTurn.open)), ("on_messages_stream", _stream(AgentTurn.open))

_SEAMS: tuple[tuple[type, tuple[tuple[str, Shadow], ...]], ...] = (
    (Team, (("run", _call(TeamRun.open)), ("run_stream", _stream(TeamRun.open)))),
    (ChatAgent, (*_AGENT, *_TURN, ("_get_input", carrying_span(UserProxyAgent._get_input, "input_func")))),
    (
        ChatCompletionClient,
        (
            ("create", _call(ModelCall.open)),
            ("create_stream", _stream(ModelCall.open_stream)),
            ("_create_stream_chunks", _process.reading_chunks),
            ("_create_stream_chunks_beta_client", _process.reading_chunks),
        ),
    ),
    (
        Workbench,
        (("call_tool", _call(ToolCall.open_workbench)), ("call_tool_stream", _stream(ToolCall.open_workbench))),
    ),
    (
        BaseTool,
        (
            ("run_json", _call(ToolCall.open_tool)),
            ("run_json_stream", _stream(ToolCall.open_tool)),
            ("run", carrying_span(FunctionTool.run, "_func")),
        ),
    ),
    (CodeExecutor, (("execute_code_blocks", _call(CodeRun.open)),)),
    (Memory, (("query", _call(MemoryQuery.open)), ("update_context", _call(MemoryQuery.open)))),
)


_Seams = tuple[tuple[str, Shadow], ...]
# By class, for as long as there is one: programs make classes as they go, such as one for each request.
_known: weakref.WeakKeyDictionary[type, _Seams | None] = weakref.WeakKeyDictionary()
_UNSEEN: Any = object()


# Most of what an object holds: nothing that could be observed, and nothing in it.
_PLAIN = frozenset({str, int, float, bool, bytes, type(None), types.FunctionType, types.MethodType})


def _seams_of(thing: Any) -> _Seams | None:
    """The methods of an object that are observed, or ``None`` if it is of no interest."""
    cls: Any = type(thing)
    seams: _Seams | None = _known.get(cls, _UNSEEN)
    if seams is _UNSEEN:
        seams = _known[cls] = _seams(cls)
    return seams


def _seams(cls: type) -> _Seams | None:
    for kind, seams in _SEAMS:
        if issubclass(cls, kind) and not cls.__module__.startswith("unittest.mock"):
            _process.fold_spans_of(cls)
            return tuple((name, shadow) for name, shadow in seams if inspect.isroutine(getattr(cls, name, None)))
    return None


def _walk(thing: Any) -> Iterator[Any]:
    """The objects of interest that can be reached from ``thing``, each once."""
    seen: set[int] = set()
    waiting = [thing]
    while waiting:
        part = waiting.pop()
        if id(part) in seen or _seams_of(part) is None or not hasattr(part, "__dict__"):
            continue
        seen.add(id(part))
        yield part
        for value in list(vars(part).values()):
            if isinstance(value, (list, tuple, set, dict)):
                if len(value) <= _FEW:
                    waiting.extend(value.values() if isinstance(value, dict) else value)
            elif type(value) not in _PLAIN:
                waiting.append(value)


# --- shadowing --------------------------------------------------------------------------------------------------------


def _shadow_all(part: Any) -> None:
    """Put observed methods in front of all that are observed of an object; a copy of it is observed likewise."""
    new = [name for name, shadow in _seams_of(part) or () if _shadow(part, name, shadow)]
    if new:
        _take_apart_from_now_on(part)


def _shadow(owner: Any, name: str, shadow: Shadow) -> bool:
    """Put an observed method in front of ``owner.name``, on this object alone. Whether that was new."""
    attributes = getattr(owner, "__dict__", None)
    if attributes is None:
        return False
    own = attributes.get(name)
    if hasattr(own, SHADOWED) or type(own).__module__.startswith("unittest.mock"):
        return False
    try:
        attributes[name] = types.MethodType(_observing(type(owner), name, own, shadow), owner)
    except Exception as error:  # noqa: BLE001 - the user's program comes first
        report("observing a method", error)
        return False
    return True


def _observing(cls: type, name: str, own: Any, shadow: Shadow) -> Callable[..., Any]:
    original = getattr(cls, name) if own is None else own

    if own is None:

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            # Looked up each time: somebody may patch the class later.
            return getattr(type(self), name)(self, *args, **kwargs)
    else:

        def call(self: Any, *args: Any, **kwargs: Any) -> Any:
            return own(*args, **kwargs)

    observed = shadow(call)
    if inspect.isasyncgenfunction(observed) and not inspect.isasyncgenfunction(original):
        generator = observed

        def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
            return generator(self, *args, **kwargs)

    function = functools.update_wrapper(observed, original)
    setattr(function, SHADOWED, own)
    return function


# --- copies -------------------------------------------------------------------------------------------------------------

# How many objects of a class are observed: ``copyreg`` keeps a class for ever, and is told to forget it with the last of them.
_observed: Counter[type] = Counter()
_counting = ForkSafeLock()


def _take_apart_from_now_on(part: Any) -> None:
    cls = type(part)
    try:
        weakref.finalize(part, _gone, cls).atexit = False
    except TypeError:
        return  # one that cannot be referred to weakly is copied as it is
    with _counting:
        _observed[cls] += 1
        copyreg.dispatch_table.setdefault(cls, _taken_apart)


def _gone(cls: type) -> None:
    with _counting:
        _observed[cls] -= 1
        if not _observed[cls]:
            del _observed[cls]
            if copyreg.dispatch_table.get(cls) is _taken_apart:
                del copyreg.dispatch_table[cls]


def _taken_apart(thing: Any) -> Any:
    """What ``copy`` and ``pickle`` make another of: its observed methods are those of the object that they make.

    They would take the methods along as they are, and a shallow copy would go on working as the original.
    """
    parts = thing.__reduce_ex__(4)
    if not isinstance(parts, tuple) or not any(hasattr(value, SHADOWED) for value in vars(thing).values()):
        return parts
    make, arguments, *rest = parts
    if rest:
        state = rest[0]
        if isinstance(state, dict):
            rest[0] = _unshadowed(state)
        elif isinstance(state, tuple) and state and isinstance(state[0], dict):  # beside it, what stands in slots
            rest[0] = (_unshadowed(state[0]), *state[1:])
    return (_observed_anew, (make, arguments), *rest)


def _observed_anew(make: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
    """A new object whose methods are observed as those of the one that it is a copy of; its state comes later."""
    thing = make(*arguments)
    _shadow_all(thing)
    return thing


def _unshadowed(state: dict[str, Any]) -> dict[str, Any]:
    """The same without our methods; those that the program had put there itself are back."""
    plain = {}
    for name, value in state.items():
        own = getattr(value, SHADOWED, value) if inspect.ismethod(value) else value
        if own is not None or value is None:
            plain[name] = own
    return plain


def _restore(owner: Any, name: str, method: Any) -> None:
    own = getattr(method, SHADOWED)
    if own is None:
        del owner.__dict__[name]
    else:
        owner.__dict__[name] = own


def _noting_stop(team_id: str) -> Shadow:
    """``put`` of a team's queue, the only place where it says which termination condition fired."""

    def shadow(original: Callable[..., Any]) -> Callable[..., Any]:
        async def put(self: Any, item: Any) -> Any:
            run = RUNS.get(team_id)
            message = getattr(item, "message", None)
            if run is not None and type(item).__name__ == "GroupChatTermination" and message is not None:
                assert isinstance(run, TeamRun)
                run.stopped(message.source, message.content)
            return await original(self, item)

        return put

    return shadow
