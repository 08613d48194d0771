"""The loop guard: what is a loop, when it is found, what is told of it, and what is stopped."""

from __future__ import annotations

import copy
import pickle
from collections import UserDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

import ai_dev_squad
from ai_dev_squad import LoopDetected, operations
from ai_dev_squad.loops import FoundLoop, RecordedStep, find_loops
from ai_dev_squad.loops.fingerprint import fingerprint
from ai_dev_squad.loops.repetition import Element, Trail
from ai_dev_squad.operations import AGENT, CHAT, TASK, TOOL, WORKFLOW, Kind, ModelRequest, Operation
from ai_dev_squad.schema import EventType, Usage
from ai_dev_squad_testing import Captured, capture

LIMIT = 5


@pytest.fixture
def captured() -> Iterator[Captured]:
    """What is observed in the test."""
    with capture() as everything:
        yield everything


def start(kind: Kind, name: str, parent: Operation | None = None, **more: Any) -> Operation:
    """An operation of a framework that exists in these tests only."""
    return operations.start(kind, name, framework="test", parent=parent, **more)


class Agent:
    """An agent whose every step is scripted."""

    def __init__(self, name: str = "planner", parent: Operation | None = None, kind: Kind = AGENT) -> None:
        self.operation = start(kind, name, parent)

    def says(self, answer: Any, *, prompt: str = "?", messages: int = 1, error: Exception | None = None) -> None:
        """One model call."""
        request = ModelRequest(
            model="gpt-4o-mini",
            provider="openai",
            prompt_hash=f"{prompt} {messages}",
            newest_mark=hash(prompt),
            messages=messages,
        )
        call = start(CHAT, "gpt-4o-mini", self.operation, request=request)
        call.reserve()
        if error is not None:
            call.fail(error)
            return
        call.usage = Usage(input_tokens=100, output_tokens=10, source="provider")
        call.note_result(answer)
        call.stop()

    def calls(self, tool: str, result: Any, error: Exception | None = None, **arguments: Any) -> None:
        """One tool call."""
        call = start(TOOL, tool, self.operation)
        call.note_arguments(arguments)
        call.admit()
        if error is not None:
            call.fail(error)
            return
        call.note_result(result)
        call.stop()


def told(captured: Captured) -> list[dict[str, Any]]:
    """What was told of loops."""
    return [line.metadata or {} for line in captured.lines if line.event_type == EventType.AGENT_LOOP]


# --- ten loops --------------------------------------------------------------------------------------------------------

Step = Callable[[Agent, int], None]


class Script(NamedTuple):
    """A loop, as rounds that are alike."""

    round: Step
    """Plays one round, given its number."""
    pattern: str
    operations: list[str]
    found_in: int
    """The round at whose end it is found, counted from 1."""


def same_tool(agent: Agent, number: int) -> None:
    agent.says(f"thought {number}", messages=2 * number + 1)
    agent.calls("look_up", "nothing", word="fig")


def same_tool_without_a_model(agent: Agent, number: int) -> None:
    agent.calls("look_up", "nothing", word="fig")


def keys_in_another_order(agent: Agent, number: int) -> None:
    agent.says(f"thought {number}", messages=2 * number + 1)
    agent.calls("book", "full", **({"day": 1, "seat": 2} if number % 2 else {"seat": 2, "day": 1}))


def two_tools_in_turn(agent: Agent, number: int) -> None:
    for tool in ("read", "write"):
        agent.says(f"{tool} {number}", messages=2 * number + 1)
        agent.calls(tool, "ok", file="a")


def three_tools_in_turn(agent: Agent, number: int) -> None:
    for tool in ("read", "edit", "test"):
        agent.says(f"{tool} {number}", messages=2 * number + 1)
        agent.calls(tool, "failed", file="a")


def the_same_error_again(agent: Agent, number: int) -> None:
    agent.says(f"thought {number}", messages=2 * number + 1)
    agent.calls("look_up", None, ValueError("no such word"), word="fug")


def two_tools_at_once(agent: Agent, number: int) -> None:
    agent.says(f"thought {number}", messages=2 * number + 1)
    agent.calls("look_up", "nothing", word="fig" if number % 2 else "oak")
    agent.calls("look_up", "nothing", word="oak" if number % 2 else "fig")


def the_same_answer_to_the_same_prompt(agent: Agent, number: int) -> None:
    agent.says("I will begin now.", prompt="Begin.")


def a_conversation_without_anything_new(agent: Agent, number: int) -> None:
    agent.says("After you.", prompt="After you.", messages=2 * number + 1)


def handing_back_and_forth(team: Agent, number: int) -> None:
    for name, said in (("alice", "Your turn, bob."), ("bob", "Your turn, alice.")):
        agent = Agent(name, team.operation)
        agent.says(said, prompt=name, messages=2 * number + 1)
        agent.operation.hand_off()


TEN: dict[str, Script] = {
    "the same tool": Script(same_tool, "tools", ["look_up"], LIMIT),
    "the same tool, no model": Script(same_tool_without_a_model, "tools", ["look_up"], LIMIT),
    "arguments in another order": Script(keys_in_another_order, "tools", ["book"], LIMIT),
    "two tools in turn": Script(two_tools_in_turn, "tools", ["read", "write"], LIMIT),
    "three tools in turn": Script(three_tools_in_turn, "tools", ["read", "edit", "test"], LIMIT),
    "the same error": Script(the_same_error_again, "tools", ["look_up"], LIMIT),
    "two tools at once, in any order": Script(two_tools_at_once, "tools", ["look_up + look_up"], LIMIT),
    "the same answer": Script(the_same_answer_to_the_same_prompt, "answers", ["chat gpt-4o-mini"], LIMIT),
    "a conversation without anything new": Script(
        a_conversation_without_anything_new, "answers", ["chat gpt-4o-mini"], LIMIT
    ),
    "agents hand back and forth": Script(handing_back_and_forth, "answers", ["alice", "bob"], LIMIT),
}


@pytest.mark.parametrize("name", TEN)
def test_each_of_ten_loops_is_found_within_its_limit(captured: Captured, name: str) -> None:
    """The round that completes the limit finds it: not one earlier, and it isn't told again."""
    script, agent, rounds = TEN[name], Agent(), []

    for number in range(2 * LIMIT):
        script.round(agent, number)
        rounds.append(len(told(captured)))

    assert rounds == [0] * (script.found_in - 1) + [1] * (2 * LIMIT - script.found_in + 1)
    (loop,) = told(captured)
    assert (loop["pattern"], loop["operations"], loop["repeats"]) == (script.pattern, script.operations, LIMIT)


# --- what is no loop --------------------------------------------------------------------------------------------------


def other_arguments(agent: Agent, number: int) -> None:
    agent.says("next page", messages=2 * number + 1)
    agent.calls("list_files", "nothing", page=number)


def polling(agent: Agent, number: int) -> None:
    agent.says("wait", messages=2 * number + 1)
    agent.calls("status", f"{number} of 100")


def many_at_once(agent: Agent, number: int) -> None:
    agent.says(f"answer {number}", messages=2 * number + 1)
    for _ in range(number % 3 + LIMIT):
        agent.calls("roll", f"{number}")


def other_prompts(agent: Agent, number: int) -> None:
    agent.says("no", prompt=f"Is mail {number} spam?")


def sampling(agent: Agent, number: int) -> None:
    agent.says(f"joke {number}", prompt="Tell a joke.")


def failing_calls(agent: Agent, number: int) -> None:
    agent.says(None, error=TimeoutError())


def failing_tools_tried_again(agent: Agent, number: int) -> None:
    agent.calls("fetch", None, OSError("refused"), url="a")


def an_answer_that_is_not_known(agent: Agent, number: int) -> None:
    agent.says(object(), prompt="Begin.")


def a_result_that_is_not_known(agent: Agent, number: int) -> None:
    agent.calls("look_up", object(), word="fig")


def the_same_tool_for_other_questions(team: Agent, number: int) -> None:
    agent = Agent("grader", team.operation)
    agent.says("call", prompt=f"essay {number}")
    agent.calls("get_rubric", "be fair")
    agent.operation.stop()


def checks_between_edits(agent: Agent, number: int) -> None:
    agent.says("test", messages=4 * number + 1)
    agent.calls("run_tests", "3 failed")
    agent.says("edit", messages=4 * number + 3)
    agent.calls("edit", "ok", patch=number)


def one_system_prompt_for_each_document(agent: Agent, number: int) -> None:
    request = ModelRequest(
        model="gpt-4o-mini", provider="openai", prompt_hash=f"{number}", newest_mark=hash("Is it spam?"), messages=3
    )
    call = start(CHAT, "gpt-4o-mini", agent.operation, request=request)
    call.note_result("no")
    call.stop()


HARMLESS: Sequence[Step] = (
    other_arguments,
    polling,
    many_at_once,
    other_prompts,
    sampling,
    failing_calls,
    failing_tools_tried_again,
    an_answer_that_is_not_known,
    a_result_that_is_not_known,
    the_same_tool_for_other_questions,
    checks_between_edits,
    one_system_prompt_for_each_document,
)


@pytest.mark.parametrize("step", HARMLESS, ids=lambda step: step.__name__)
def test_work_that_goes_on_is_no_loop(captured: Captured, step: Step) -> None:
    """Other arguments, other results, other questions, failures that are tried again, and what can't be compared."""
    agent = Agent()

    for number in range(4 * LIMIT):
        step(agent, number)

    assert told(captured) == []


def test_branches_at_the_same_time_are_no_loop(captured: Captured) -> None:
    """Ten parts of a run that do the same side by side repeat nothing."""
    graph = start(WORKFLOW, "graph")
    agents = [Agent("worker", graph) for _ in range(4 * LIMIT)]

    for agent in agents:
        agent.says("call", prompt="the same")
    for agent in agents:
        agent.calls("look_up", "nothing", word="fig")
    for agent in agents:
        agent.operation.stop()

    assert told(captured) == []


def test_tasks_one_after_the_other_are_seen_through(captured: Captured) -> None:
    """In a graph, a loop goes through nodes: one asks the model, another one calls the tools that it asked for."""
    graph = start(WORKFLOW, "graph", agent_id="graph")
    for number in range(LIMIT):
        asking = Agent("agent", graph, TASK)
        asking.says(f"thought {number}", messages=2 * number + 1)
        asking.operation.stop()
        tools = Agent("tools", graph, TASK)
        tools.calls("look_up", "nothing", word="fig")
        tools.calls("look_up", "nothing", word="fig")
        tools.operation.stop()

    (loop,) = told(captured)
    assert loop == {
        "agent": "graph",
        "pattern": "tools",
        "operations": ["look_up"],
        "repeats": LIMIT,
        "model_calls": LIMIT,
        "input_tokens": 100 * LIMIT,
        "output_tokens": 10 * LIMIT,
        "cost_usd": pytest.approx(LIMIT * 21e-6),
        "action": "warn",
    }


# --- what is told -----------------------------------------------------------------------------------------------------


def test_what_is_told() -> None:
    """The event belongs to the agent, in the journal and on its span, and says what was repeated and what it cost."""
    with capture(spans=True) as captured:
        agent = Agent()
        for number in range(LIMIT):
            same_tool(agent, number)
        agent.operation.stop()

    (line,) = [line for line in captured.lines if line.event_type == "agent.loop"]
    assert (line.level, line.name, line.span_id) == ("WARNING", "planner", agent.operation.span_id)
    assert line.message == (
        "planner is in a loop: look_up, 5 times with the same arguments and results; "
        "5 model calls, 550 tokens, $0.0001 so far"
    )
    (event,) = [event for span in captured.spans for event in span.events if event.name == "agent.loop"]
    assert dict(event.attributes or {})["repeats"] == LIMIT
    assert "fig" not in repr(captured.lines)


def test_a_loop_that_begins_again_is_told_again(captured: Captured) -> None:
    """Once for each time that the agent gets into it."""
    agent = Agent()
    for _ in range(2):
        for number in range(LIMIT + 2):
            same_tool(agent, number)
        agent.calls("look_up", "a tree", word="oak")
        agent.says("Oaks are trees.")

    assert len(told(captured)) == 2


def test_the_cost_is_that_of_the_loop(captured: Captured) -> None:
    """What was spent before the first round isn't the loop's; an unknown price makes its cost unknown."""
    agent = Agent()
    for number in range(3):
        other_arguments(agent, number)
    for number in range(3, 3 + LIMIT):
        same_tool(agent, number)

    (loop,) = told(captured)
    assert (loop["model_calls"], loop["input_tokens"], loop["output_tokens"]) == (LIMIT, 100 * LIMIT, 10 * LIMIT)
    assert loop["cost_usd"] == pytest.approx(LIMIT * (100 * 0.15e-6 + 10 * 0.6e-6))


# --- settings ---------------------------------------------------------------------------------------------------------


def test_the_limit_is_a_setting() -> None:
    """Fewer equal rounds may be a loop already."""
    with capture(loop_limit=3) as captured:
        agent = Agent()
        for number in range(3):
            same_tool(agent, number)

    assert [loop["repeats"] for loop in told(captured)] == [3]


@pytest.mark.parametrize("settings", [{"on_loop": "off"}, {"enabled": False}])
def test_where_nobody_wants_to_know_nothing_is_remembered(settings: dict[str, Any]) -> None:
    """That is decided when configuring: operations hold no trace of it."""
    with capture(**settings) as captured:
        agent = Agent()
        for number in range(2 * LIMIT):
            same_tool(agent, number)

    assert told(captured) == []
    assert agent.operation.watch is None


# --- stopping ---------------------------------------------------------------------------------------------------------


def test_the_next_call_of_the_run_is_refused() -> None:
    """Model calls and tools, of that agent and of any other in the run, end as errors; another run isn't touched."""
    with capture(on_loop="stop", loop_limit=2) as captured:
        team = start(WORKFLOW, "team")
        agent, other = Agent(parent=team), Agent("other", team)
        for number in range(2):
            same_tool(agent, number)

        raised = []
        for refused in (
            lambda: agent.says("go on"),
            lambda: agent.calls("look_up", "nothing", word="fig"),
            lambda: other.says("go on"),
        ):
            with pytest.raises(LoopDetected) as caught:
                refused()
            raised.append(caught.value)
        Agent("somebody else").says("go on")

    assert [(error.agent, error.operations, error.repeats) for error in raised] == [("planner", ("look_up",), 2)] * 3
    assert len({id(error) for error in raised}) == 3
    refusals = [line for line in captured.closing() if line.status == "error"]
    assert [(line.operation, line.error and line.error.type) for line in refusals] == [
        ("chat", "LoopDetected"),
        ("execute_tool", "LoopDetected"),
        ("chat", "LoopDetected"),
    ]
    assert [line.usage for line in refusals] == [None] * 3
    assert [loop["action"] for loop in told(captured)] == ["stop"]
    assert len(list(ai_dev_squad.get_cost_tracker().entries)) == 0


def test_the_exception_crosses_processes_whole() -> None:
    """What it knows is still there."""
    error = LoopDetected("round and round", agent="a", operations=("look_up",), repeats=5, cost_usd=0.5)

    copied = pickle.loads(pickle.dumps(error))

    assert (type(copied), str(copied), vars(copied)) == (LoopDetected, "round and round", vars(error))
    assert isinstance(copied, ai_dev_squad.CallRefused)


# --- the parts --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "one, other, same",
    [
        ({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}, True),
        ('{"a": 1, "b": 2}', {"b": 2, "a": 1}, True),
        ("{no json", "{no json", True),
        ({"a": 1}, {"a": 2}, False),
        ("1", 1, False),
        (None, None, True),
    ],
)
def test_arguments_are_compared_by_what_they_mean(one: Any, other: Any, same: bool) -> None:
    """Neither the order of keys nor JSON's own spelling is a difference."""
    assert (fingerprint(one, structured=True) == fingerprint(other, structured=True)) is same


class Live:
    """Such as a client of a database, which may do anything when it is asked for its words."""

    asked = 0

    def __repr__(self) -> str:
        Live.asked += 1
        return "live"

    model_dump = __str__ = __repr__


@pytest.mark.parametrize("value", [object(), {"a": object()}, {1, object()}, Live(), {"a": [Live()]}, (n for n in [1])])
def test_what_is_no_data_cannot_be_compared(value: Any) -> None:
    """An address is no content, as another object may stand there the next time, and no object is asked for anything."""
    assert fingerprint(value) is None
    assert Live.asked == 0


class Query(BaseModel):
    """Such as a tool's arguments."""

    word: str
    limit: int = 10


@pytest.mark.parametrize(
    "value, other",
    [
        (Query(word="fig"), Query(word="oak")),
        (Decimal("1.5"), Decimal("1.6")),
        (PurePosixPath("/a"), PurePosixPath("/b")),
        (UserDict(a=1), UserDict(a=2)),
    ],
)
def test_data_in_objects_is_compared_by_its_fields(value: Any, other: Any) -> None:
    """Whichever class holds it."""
    assert fingerprint(value) == fingerprint(copy.deepcopy(value)) is not None
    assert fingerprint(value) != fingerprint(other)


def found_at(marks: Sequence[int], limit: int) -> int | None:
    """The place of the element with which a loop is found, counted from 1."""
    trail = Trail()
    for place, mark in enumerate(marks, 1):
        trail.add(Element(mark, place))
        if trail.found(limit):
            return place
    return None


def modelled(marks: Sequence[int], limit: int) -> int | None:
    """The same by the definition: the first place where the last ``limit`` cycles of some length are equal."""
    for place in range(1, len(marks) + 1):
        for length in (1, 2, 3):
            tail = marks[max(0, place - length * limit) : place]
            if len(tail) == length * limit and all(
                tail[index] == tail[index - length] for index in range(length, len(tail))
            ):
                return place
    return None


@given(st.lists(st.integers(0, 2), max_size=40), st.integers(2, 6))
def test_a_sequence_is_a_loop_by_its_definition(marks: list[int], limit: int) -> None:
    """A trail that remembers three elements says the same as one that remembers all."""
    assert found_at(marks, limit) == modelled(marks, limit)


@given(
    st.lists(st.integers(100, 200), max_size=20),
    st.lists(st.integers(0, 9), min_size=1, max_size=3, unique=True),
    st.integers(2, 6),
)
def test_whatever_came_before_a_cycle_is_found_in_its_last_round(
    before: list[int], cycle: list[int], limit: int
) -> None:
    """A cycle of up to three that is gone through as often as the limit says is found by then, at the latest."""
    marks = [*before, *cycle * limit]
    found = found_at(marks, limit)

    assert found is not None
    assert found <= len(marks)


@given(st.lists(st.integers(), unique=True, max_size=60), st.integers(2, 6))
def test_where_every_result_differs_there_is_no_loop(marks: list[int], limit: int) -> None:
    """However long it goes on."""
    assert found_at(marks, limit) is None


# --- what was recorded --------------------------------------------------------------------------------------------------


def recorded(turns: Sequence[tuple[str, int, int]]) -> list[RecordedStep]:
    """An agent that asks for one tool after each answer: its name, its arguments and its result."""
    usage = Usage(input_tokens=100, output_tokens=10, source="provider")
    steps = [RecordedStep("agent", None, "invoke_agent", "planner", 0, 1_000_000, agent="planner")]
    for turn, (tool, arguments, result) in enumerate(turns):
        at = 100 * turn
        steps += [
            RecordedStep(
                f"call {turn}", "agent", "chat", "gpt-4o-mini", at, at + 40,
                result=turn, prompt=turn, newest=turn, messages=turn + 1, usage=usage, usd=0.01,
            ),
            RecordedStep(f"tool {turn}", "agent", "execute_tool", tool, at + 50, at + 90, arguments=arguments, result=result),
        ]  # fmt: skip
    return steps


def test_a_loop_that_was_recorded_is_told_with_its_steps_and_all_that_it_took():
    """From the first of the equal steps to the last, not only until the guard would have told of it."""
    other, same = ("read", 1, 1), ("look_up", 2, 3)
    (loop,) = find_loops(recorded([other, *[same] * 7, other]))

    assert loop == FoundLoop(
        owner="agent",
        agent="planner",
        pattern="tools",
        operations=("look_up",),
        repeats=7,
        steps=tuple(f"tool {turn}" for turn in range(1, 8)),
        model_calls=7,
        input_tokens=700,
        output_tokens=70,
        cost_usd=pytest.approx(0.07),
    )


def test_what_is_not_known_is_no_loop():
    """Arguments or results that were not captured, and a limit that asks for no repetition."""
    assert find_loops([replace(step, arguments=None) for step in recorded([("look_up", 2, 3)] * 9)]) == []
    assert find_loops([]) == []
    with pytest.raises(ValueError, match="limit 1 is no repetition"):
        find_loops([], limit=1)


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.integers(0, 1), st.integers(0, 1)), max_size=30))
def test_what_was_recorded_loops_where_the_guard_tells_of_it(turns: list[tuple[str, int, int]]) -> None:
    """The same steps, seen while they happen and afterwards, are the same loops."""
    with capture() as captured:
        agent = start(AGENT, "planner")
        for turn, (name, arguments, result) in enumerate(turns):
            request = ModelRequest("gpt-4o-mini", "openai", prompt_hash=f"{turn}", newest_mark=turn, messages=turn + 1)
            call = start(CHAT, "gpt-4o-mini", agent, request=request)
            call.note_result(f"turn {turn}")
            call.stop()
            tool = start(TOOL, name, agent)
            tool.note_arguments({"n": arguments})
            tool.note_result(f"result {result}")
            tool.stop()
        agent.stop()
    told = [line.metadata for line in captured.lines if line.event_type == EventType.AGENT_LOOP]
    found = find_loops(recorded(turns))

    assert sorted((len(each["operations"]), sorted(each["operations"])) for each in told) == sorted(
        (len(loop.operations), sorted(loop.operations)) for loop in found
    )
    assert all(loop.repeats >= LIMIT and len(loop.steps) >= LIMIT * len(loop.operations) for loop in found)
