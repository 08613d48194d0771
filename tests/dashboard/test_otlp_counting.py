"""Which of several spans of one model call counts."""

from __future__ import annotations

import gc
import random

import pytest

from ai_dev_squad_dashboard.ingest.counting import Counting, _Seen
from ai_dev_squad_dashboard.store.rows import SpanRow


def call(
    number: int,
    scope: str,
    *,
    parent: int | None = None,
    tokens: tuple[int | None, int | None] = (60, 20),
    start_us: int = 1_000_000,
    duration_us: int = 500_000,
    model: str = "gpt-4o-mini",
    operation: str = "chat",
    service: str | None = "app",
) -> SpanRow:
    return SpanRow(
        "a" * 32, f"{number:016x}", None if parent is None else f"{parent:016x}", start_us, duration_us, model, operation,
        service=service, model=model, input_tokens=tokens[0], output_tokens=tokens[1], usage_source="provider",
        cost_usd=0.5, instrumentation=scope,
    )  # fmt: skip


def counted(counting: Counting, rows: list[SpanRow], answers: list[str | None] | None = None) -> list[int]:
    """The numbers of the rows that count."""
    counting.settle(rows, answers or [None] * len(rows))
    return [int(row.span_id, 16) for row in rows if row.usage_source is not None]


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["inner first", "outer first"])
@pytest.mark.parametrize("apart", [False, True], ids=["in one request", "in two"])
def test_a_call_inside_a_call_counts_once(order, apart):
    """Of a model call and its parent, one counts, in whatever order and requests they come, also with other counts."""
    rows = [call(1, "outer", tokens=(50, 10)), call(2, "inner", parent=1)]
    rows = [rows[index] for index in order]
    counting = Counting()
    if apart:
        assert len(counted(counting, rows[:1]) + counted(counting, rows[1:])) == 1
    else:
        assert len(counted(counting, rows)) == 1


def test_a_call_without_tokens_takes_none_from_the_call_inside_it():
    """A router's span overtakes that of the call that it made: the tokens count, as they do in the other order."""
    counting = Counting()
    counted(counting, [call(1, "a", tokens=(None, None))])
    assert counted(counting, [call(2, "a", parent=1)]) == [2]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_three_observers_of_one_call_count_it_once(order):
    """A framework, a gateway and a client, one inside the other: whichever comes first counts, the others do not."""
    rows = [call(1, "a", tokens=(9, 9)), call(2, "b", parent=1, tokens=(8, 8)), call(3, "c", parent=2)]
    counting = Counting()
    assert sum(len(counted(counting, [rows[index]])) for index in order) == 1


def test_two_calls_inside_one_both_count():
    """A wrapper that tried twice is no third call."""
    rows = [call(2, "a", parent=1), call(3, "a", parent=1, start_us=2_000_000), call(1, "b", duration_us=2_000_000)]
    assert counted(Counting(), rows) == [2, 3]


def test_in_one_request_the_span_with_tokens_counts():
    """An inner call that was not told its usage does not take the tokens of the outer one away."""
    assert counted(Counting(), [call(2, "inner", parent=1, tokens=(None, None)), call(1, "outer")]) == [1]


def test_in_one_request_our_own_span_counts():
    """It knows agent, session and price; the client's instrumentation below it does not."""
    assert counted(Counting(), [call(2, "openai", parent=1), call(1, "ai_dev_squad")]) == [1]


def test_the_same_answer_from_two_instrumentations_counts_once():
    """Two traces, token counts told differently, but the provider's id is the same."""
    rows = [call(1, "a", tokens=(60, 20)), call(2, "b", tokens=(61, 20))]
    assert counted(Counting(), rows, ["resp-1", "resp-1"]) == [1]


def test_a_server_that_numbers_its_answers_anew_is_not_taken_for_one_call():
    """The same id at another time, of another service or from the same instrumentation is another call."""
    rows = [
        call(1, "a"),
        call(2, "b", start_us=9_000_000),
        call(3, "b", service="other"),
        call(4, "a"),
    ]
    assert counted(Counting(), rows, ["chatcmpl-0"] * 4) == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "second",
    [
        call(2, "a"),
        call(2, "b", tokens=(60, 21)),
        call(2, "b", model="o3"),
        call(2, "b", start_us=1_700_001),
        call(2, "b", service=None),
        call(2, "b", tokens=(None, None)),
    ],
    ids=["same observer", "other counts", "other model", "later", "other service", "no counts"],
)
def test_calls_that_differ_both_count(second):
    """Without an answer's id, a call is the same only if everything but the observer is."""
    assert counted(Counting(), [call(1, "a", model="gpt-4o-mini-2024-07-18"), second]) == [1, 2]


def test_two_different_answers_are_two_calls():
    """Equal counts at the same time do not make one call of two that the provider told apart."""
    assert counted(Counting(), [call(1, "a"), call(2, "b")], ["x", "y"]) == [1, 2]


def test_parallel_equal_calls_are_paired_one_to_one():
    """Twenty equal calls at once, each seen by two instrumentations, are twenty calls."""
    rows = [call(number, scope) for number, scope in enumerate(["a", "b"] * 20, 1)]
    random.Random(3).shuffle(rows)
    assert len(counted(Counting(), rows)) == 20


def test_embeddings_inside_a_chat_are_calls_of_their_own():
    """A cache that embeds the prompt inside the call makes a second call."""
    assert counted(Counting(), [call(2, "b", parent=1, operation="embeddings"), call(1, "a")]) == [2, 1]


def test_what_is_remembered_is_bounded():
    """Of many calls with the same counts the newest are known; the oldest are forgotten, and so is their memory."""
    counting = Counting(kept=10)
    calls = [call(number, "a", start_us=number * 10_000_000) for number in range(1, 201)]
    assert len(counted(counting, calls)) == 200
    assert counted(counting, [call(1001, "b", start_us=200 * 10_000_000)]) == []
    assert counted(counting, [call(1002, "b", start_us=1 * 10_000_000)]) == [1002]
    assert 20 <= sum(isinstance(each, _Seen) for each in gc.get_objects()) <= 100


def test_what_is_sent_again_is_settled_alike():
    """A retry after a refusal must not turn the decision round."""
    counting = Counting()
    first = [call(1, "a"), call(2, "b"), call(4, "c", parent=1, tokens=(1, 1))]
    again = [call(4, "c", parent=1, tokens=(1, 1)), call(2, "b"), call(1, "a")]
    assert counted(counting, first) == [4]
    assert counted(counting, again) == [4]


def test_the_memory_is_bounded():
    """What was forgotten counts again; what is recent is known."""
    counting = Counting(kept=10)
    for number in range(100):
        assert counted(counting, [call(number, "a", tokens=(number + 1, 1))]) == [number]
    assert counted(counting, [call(1000, "b", tokens=(100, 1))]) == []
    assert counted(counting, [call(1001, "b", tokens=(5, 1))]) == [1001]
