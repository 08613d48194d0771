"""Model calls: money set aside before, tokens and cost settled after, and each of it once."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import ai_dev_squad
from ai_dev_squad import BudgetExceeded, CostTracker, guard, operations
from ai_dev_squad.operations import AGENT, CHAT, WORKFLOW, ModelRequest, Operation
from ai_dev_squad.schema import Cost, Usage
from ai_dev_squad_testing import Captured, capture

MISSING = Usage(source="missing")
NOT_COUNTED = Cost(usd=None, reason="the tokens of this call were not counted")


@pytest.fixture
def captured() -> Iterator[Captured]:
    """What is observed in the test. The model ``m`` costs one dollar for a thousand tokens in, two for a thousand out."""
    with capture() as everything:
        tracker().add_pricing_model(
            ai_dev_squad.ModelPricing("m", ai_dev_squad.ModelProvider.CUSTOM, 1.0, 2.0, context_window=100_000)
        )
        yield everything
        operations.abandon_open_operations()


def tracker() -> CostTracker:
    """The tracker in force."""
    return ai_dev_squad.get_cost_tracker()


def call(**options: Any) -> Operation:
    """A model call that is about to be made."""
    request = {"model": "m", "provider": "custom", "prompt": lambda: "x" * 4000, "max_output_tokens": 500}
    request.update({name: options.pop(name) for name in tuple(options) if name in ModelRequest.__struct_fields__})
    return operations.start(CHAT, "m", framework="test", request=ModelRequest(**request), **options)


def reserved() -> float:
    """What is set aside at the moment, in US dollars."""
    return sum(status.reserved_usd for status in tracker().budget_manager.status())


def spent() -> float:
    """What was spent, by the first budget."""
    return tracker().budget_manager.status()[0].spent_usd


# --- settled once -----------------------------------------------------------------------------------------------------


def test_usage_and_cost_stand_in_the_line_and_in_the_ledger(captured: Captured) -> None:
    """A call that succeeded is one entry with all that is known of it; line and entry agree."""
    with ai_dev_squad.session("s", user_id="u"):
        operation = call(agent_id="planner", attempt=2, prompt_hash="cafe", attributes={"a": 1})
    operation.usage = Usage(input_tokens=1000, output_tokens=100, source="provider")
    operation.stop()

    (line,), (entry,) = captured.closing(), tracker().entries
    cost = Cost(usd=1.2, price="custom/m", price_source="user")
    assert (line.usage, line.cost) == (operation.usage, cost)
    assert operation.cost == cost
    found = {name: getattr(entry, name) for name in ("usage", "cost", "cost_usd", "status", "session_id", "user_id")}
    assert found == {
        "usage": operation.usage,
        "cost": cost,
        "cost_usd": 1.2,
        "status": "ok",
        "session_id": "s",
        "user_id": "u",
    }
    assert (entry.model_name, entry.provider, entry.agent_id, entry.framework) == ("m", "custom", "planner", "test")
    assert (entry.trace_id, entry.span_id, entry.attempt, entry.prompt_hash) == (line.trace_id, line.span_id, 2, "cafe")
    assert entry.duration_ms == line.duration_ms


def test_an_answer_is_not_held_until_the_line_of_its_call_is_written(captured: Captured) -> None:
    """What an adapter says the answer's text by is freed with the end of the call, whoever holds the call."""

    class Answer:
        def text(self) -> str:
            return "fine"

    operation, answer = call(), Answer()
    operation.output, seen = answer.text, weakref.ref(answer)
    operation.stop()
    del answer

    assert (operation.status, seen()) == ("ok", None)


def test_ends_at_the_same_moment_count_once(captured: Captured) -> None:
    """Twenty threads end the same call: one entry, one settlement."""
    tracker().budget_manager.set_budget("all", 10.0, "total")
    together = threading.Barrier(20)
    operation = call()
    operation.usage = Usage(input_tokens=1000, output_tokens=0, source="provider")

    def end(number: int) -> bool:
        together.wait()
        return operation.stop() if number % 2 else operation.cancel()

    with ThreadPoolExecutor(20) as pool:
        assert sum(pool.map(end, range(20))) == 1
    assert (len(tracker().entries), spent()) == (1, 1.0)


def test_only_model_calls_count(captured: Captured) -> None:
    """An agent around a call has neither usage nor cost of its own."""
    agent = operations.start(AGENT, "planner", framework="test")
    inner = call(parent=agent)
    inner.usage = Usage(input_tokens=1000, output_tokens=0, source="provider")
    inner.stop()
    agent.usage = inner.usage
    agent.stop()

    assert [line.cost and line.cost.usd for line in captured.closing()] == [1.0, None]
    assert len(tracker().entries) == 1


def test_a_cache_hit_costs_nothing(captured: Captured) -> None:
    """An answer from the program's own cache is an entry that costs 0, and says why."""
    operation = call()
    operation.usage = Usage(input_tokens=0, output_tokens=0, source="provider")
    operation.cache_hit = True
    operation.stop()

    assert captured.closing()[0].cost == Cost(usd=0.0, price_source="cache_hit")


def test_a_service_tier_has_its_price(captured: Captured) -> None:
    """What an adapter says of the tier reaches the price."""
    costs = []
    for tier in (None, "batch"):
        operation = call(model="gpt-4o", provider="openai")
        operation.usage = Usage(input_tokens=1_000_000, output_tokens=0, source="provider")
        operation.service_tier = tier
        operation.stop()
        assert operation.cost is not None
        costs.append(operation.cost.usd)

    assert costs == [2.5, 1.25]


def test_an_unknown_price_is_visible_and_never_zero(captured: Captured) -> None:
    """The tokens are counted, the cost is ``None`` with a reason."""
    operation = call(model="nobody-knows", provider="nobody")
    operation.usage = Usage(input_tokens=10, output_tokens=10, source="provider")
    operation.stop()

    (line,) = captured.closing()
    assert line.cost is not None
    assert line.cost.usd is None
    assert line.cost.reason
    assert tracker().entries[0].cost_usd is None


# --- usage that nobody sent -------------------------------------------------------------------------------------------


class OurProvider:
    """A provider with a tokenizer of its own: every character is a token."""

    def get_pricing(self, model_name: str) -> ai_dev_squad.ModelPricing:
        """One dollar for a thousand."""
        return ai_dev_squad.ModelPricing(model_name, ai_dev_squad.ModelProvider.CUSTOM, 1.0, 1.0, 4096)

    def count_tokens(self, text: str, model_name: str) -> int:
        """One for each character."""
        return len(text)


def test_missing_usage_is_estimated_and_says_so(captured: Captured) -> None:
    """Prompt and answer are counted with the provider's own tokenizer; line and entry are marked as estimates."""
    tracker().add_provider("ours", OurProvider())
    operation = call(model="big", provider="ours", prompt=lambda: "12345")
    operation.output = lambda: "123"
    operation.stop()

    assert captured.closing()[0].usage == Usage(input_tokens=5, output_tokens=3, source="estimated")
    assert captured.closing()[0].cost is not None
    assert captured.closing()[0].cost.usd == 0.008
    assert tracker().entries[0].estimated


def test_messages_are_estimated_like_text(captured: Captured) -> None:
    """A prompt of roles and texts is counted, too, with what its wrapping costs."""
    tracker().add_provider("ours", OurProvider())
    operation = call(model="big", provider="ours", prompt=lambda: [("system", "12345"), ("user", "123")])
    operation.stop()

    usage = captured.closing()[0].usage
    assert usage is not None
    assert usage.input_tokens is not None
    assert usage.input_tokens >= 8
    assert (usage.output_tokens, usage.source) == (None, "estimated")


def test_a_stream_that_was_left_early_is_estimated(captured: Captured) -> None:
    """The provider bills what it generated, so a stream without usage that nobody read to its end is an estimate."""
    tracker().add_provider("ours", OurProvider())
    operation = call(model="big", provider="ours", prompt=lambda: "12345")
    operation.close_early()

    assert captured.closing()[0].usage == Usage(input_tokens=5, source="estimated")


@pytest.mark.parametrize(
    "end", [Operation.close_early, Operation.cancel, Operation.abandon, lambda o: o.fail(ValueError("cut off"))]
)
def test_what_has_arrived_is_billed_however_the_stream_ended(captured: Captured, end: Any) -> None:
    """A stream that was left, cancelled or broken off costs its input and what had come of its answer, as an estimate."""
    tracker().add_provider("ours", OurProvider())
    tracker().add_pricing_model(ai_dev_squad.ModelPricing("big", "ours", 1.0, 2.0))
    operation = call(model="big", provider="ours", prompt=lambda: "12345")
    operation.first_chunk()
    operation.output = lambda: "123"
    end(operation)

    (closing,) = captured.closing()
    assert closing.usage == Usage(input_tokens=5, output_tokens=3, source="estimated")
    assert closing.cost == Cost(usd=0.011, price="ours/big", price_source="user")


def test_a_count_from_the_beginning_of_an_answer_is_not_its_whole(captured: Captured) -> None:
    """What a provider said when the stream began is completed by what arrived, and then an estimate; at its end it's the truth."""
    tracker().add_provider("ours", OurProvider())
    for end in (Operation.close_early, Operation.stop):
        operation = call(model="big", provider="ours")
        operation.usage = Usage(input_tokens=12, output_tokens=1, cache_read_input_tokens=7, source="provider")
        operation.first_chunk()
        operation.output = lambda: "12345"
        end(operation)

    assert [line.usage for line in captured.closing()] == [
        Usage(input_tokens=12, output_tokens=5, cache_read_input_tokens=7, source="estimated"),
        Usage(input_tokens=12, output_tokens=1, cache_read_input_tokens=7, source="provider"),
    ]


def test_an_answer_that_counted_one_side_is_completed(captured: Captured) -> None:
    """A side that the provider left out is counted here, and the whole is an estimate then."""
    tracker().add_provider("ours", OurProvider())
    operation = call(model="big", provider="ours", prompt=lambda: "12345")
    operation.usage = Usage(output_tokens=12, source="provider")
    operation.stop()

    assert captured.closing()[0].usage == Usage(input_tokens=5, output_tokens=12, source="estimated")


def test_everything_that_the_model_reads_is_estimated(captured: Captured) -> None:
    """Pictures, tools and the schema of the answer are billed as input, so they are set aside and estimated as well."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    asked = [{"role": "user", "content": [{"type": "text", "text": "What?"}, *[picture] * 10]}]
    tools = [{"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}]
    schema = {"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}}}
    counted = {}
    for name, prompt in {
        "text": operations.Prompt([{"role": "user", "content": "What?"}]),
        "pictures": operations.Prompt(asked),
        "tools": operations.Prompt(asked, tools),
        "schema": operations.Prompt(asked, tools, schema),
    }.items():
        call(model="gpt-4o", provider="openai", prompt=lambda prompt=prompt: prompt).stop()
        counted[name] = captured.closing()[-1].usage.input_tokens  # type: ignore[union-attr]

    assert counted["pictures"] - counted["text"] == 7_650  # ten times 765
    assert counted["text"] < counted["pictures"] < counted["tools"] < counted["schema"]


def test_without_a_prompt_usage_is_missing(captured: Captured) -> None:
    """Nothing to count is said to be missing; it is not 0."""
    call(prompt=None).stop()

    assert (captured.closing()[0].usage, captured.closing()[0].cost) == (MISSING, NOT_COUNTED)


@pytest.mark.parametrize("end", [lambda o: o.fail(ValueError("no")), Operation.cancel, Operation.abandon])
def test_a_call_that_failed_is_entered_without_tokens(captured: Captured, end: Any) -> None:
    """It's in the ledger with its status; nothing is guessed."""
    operation = call()
    end(operation)

    assert (captured.closing()[0].usage, captured.closing()[0].cost) == (MISSING, NOT_COUNTED)
    (entry,) = tracker().entries
    assert (entry.status, entry.input_tokens, entry.output_tokens, entry.cost_usd) == (operation.status, 0, 0, None)


def test_what_the_answer_says_of_itself_decides_about_its_price(captured: Captured) -> None:
    """The model that answered, the tier that served it and the provider's own amount reach the ledger."""
    deployment = call(model="gpt-4", provider="azure")
    deployment.annotate({"gen_ai.response.model": "gpt-4o-2024-08-06"})
    flexible = call(model="gpt-5-mini", provider="openai", service_tier="flex")
    refused = call(model="gpt-5-mini", provider="openai", service_tier="flex")
    refused.service_tier = "default"
    stated = call(model="openai/gpt-4o", provider="openrouter")
    stated.reported_usd = 0.0063
    home = call(model="gpt-oss-20b", provider="openai", server_address="127.0.0.1")
    for operation in (deployment, flexible, refused, stated, home):
        operation.usage = Usage(input_tokens=10_000, output_tokens=1_000, source="provider")
        operation.stop()

    costs = [line.cost for line in captured.closing()]
    assert [cost and (cost.usd, cost.price) for cost in costs] == [
        (0.035, "openai/gpt-4o"),
        (0.00225, "openai/gpt-5-mini@flex"),
        (0.0045, "openai/gpt-5-mini"),
        (0.0063, None),
        (None, None),
    ]


def test_a_tier_that_is_asked_for_is_set_aside(captured: Captured) -> None:
    """Priority costs more than the standard tier, before the call as well as after it."""
    tracker().budget_manager.set_budget("stop", 1.0, "total", on_exceed="stop")
    held = []
    for tier in (None, "priority"):
        request = {"model": "gpt-5-mini", "provider": "openai", "max_output_tokens": 1_000, "prompt": None}
        operation = call(**request, service_tier=tier)
        operation.reserve()
        held.append(reserved())
        operation.cancel()
    assert held == [0.002, 0.0036]


def test_a_failed_call_that_was_billed_counts(captured: Captured) -> None:
    """Usage that arrived before the failure is what it cost."""
    operation = call()
    operation.usage = Usage(input_tokens=1000, output_tokens=10, source="provider")
    operation.fail(ValueError("broken off"))

    assert tracker().entries[0].cost_usd == 1.02


def test_usage_is_never_counted_when_it_is_known(captured: Captured) -> None:
    """The prompt is not even read when the provider sent usage and no budget may stop the call."""
    operation = call(prompt=lambda: pytest.fail("read"))
    operation.reserve()
    operation.usage = Usage(input_tokens=1, output_tokens=1, source="provider")
    operation.stop()

    assert len(tracker().entries) == 1


@pytest.mark.parametrize("which", ["prompt", "output", "tokenizer"])
def test_a_failing_estimate_never_raises(captured: Captured, which: str, caplog: pytest.LogCaptureFixture) -> None:
    """A prompt, an answer or a tokenizer of the program's own that raises is reported; the call counts as missing."""

    def broken(*_: Any) -> Any:
        raise RuntimeError("on purpose")

    provider = OurProvider()
    if which == "tokenizer":
        provider.count_tokens = broken  # type: ignore[method-assign]
    tracker().add_provider("ours", provider)
    tracker().budget_manager.set_budget("stop", 100.0, "total", on_exceed="stop")
    before = guard.set_strict(False)
    try:
        operation = call(model="big", provider="ours", prompt=broken if which == "prompt" else lambda: "x")
        operation.output = broken if which == "output" else lambda: "x"
        operation.reserve()
        operation.stop()
    finally:
        guard.set_strict(before)

    usage = captured.closing()[0].usage
    # A tokenizer that fails has a substitute that counts; texts that can't be had have none.
    assert usage == (Usage(input_tokens=1, output_tokens=1, source="estimated") if which == "tokenizer" else MISSING)
    assert (len(tracker().entries), reserved()) == (1, 0.0)
    assert "RuntimeError: on purpose" in caplog.text


# --- budgets ----------------------------------------------------------------------------------------------------------


def test_without_a_stop_budget_nothing_is_reserved(captured: Captured) -> None:
    """An alerting budget costs a call nothing before it is made."""
    tracker().budget_manager.set_budget("all", 0.01, "total")
    operation = call()
    operation.reserve()

    assert (operation.reservation, reserved()) == (None, 0.0)


def test_a_call_is_reserved_then_settled(captured: Captured) -> None:
    """The estimate is set aside while the call runs; afterwards what it cost is spent and nothing is set aside."""
    tracker().budget_manager.set_budget("all", 10.0, "total", on_exceed="stop")
    operation = call()
    operation.reserve()
    held = reserved()
    operation.usage = Usage(input_tokens=500, output_tokens=0, source="provider")
    operation.stop()

    # 500 tokens of output at two dollars a thousand, and the input as it was counted.
    assert 1.0 < held <= 5.0
    assert (reserved(), spent()) == (0.0, 0.5)


@pytest.mark.parametrize("end", [lambda o: o.fail(ValueError("no")), Operation.cancel, Operation.abandon])
def test_what_was_set_aside_comes_back(captured: Captured, end: Any) -> None:
    """A call that failed, was cancelled or abandoned gives its reservation back."""
    tracker().budget_manager.set_budget("all", 10.0, "total", on_exceed="stop")
    operation = call()
    operation.reserve()
    assert reserved() > 0
    end(operation)

    assert (reserved(), spent()) == (0.0, 0.0)


def test_a_refused_call_was_never_made(captured: Captured) -> None:
    """``BudgetExceeded`` reaches the caller; the operation has failed, has no usage, and nothing is in the ledger."""
    tracker().budget_manager.set_budget("all", 0.5, "total", on_exceed="stop")
    operation = call()
    with pytest.raises(BudgetExceeded) as refusal:
        operation.reserve()

    assert (refusal.value.budget, refusal.value.limit_usd, refusal.value.spent_usd) == ("all", 0.5, 0.0)
    assert not operation.stop()
    (line,) = captured.closing()
    assert (line.status, line.event_type, line.usage, line.cost) == ("error", "llm.response", None, None)
    assert line.error is not None
    assert (line.error.type, line.error.message) == ("BudgetExceeded", str(refusal.value))
    assert (len(tracker().entries), reserved(), spent()) == (0, 0.0, 0.0)


def test_a_refused_call_is_measured_as_no_call() -> None:
    """Metrics know nothing of a call that was never made."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader

    reader = InMemoryMetricReader()
    provider = MeterProvider([reader], shutdown_on_exit=False)
    with capture(meter_provider=provider):
        tracker().budget_manager.set_budget("all", 0.0001, "total", on_exceed="stop")
        operation = operations.start(
            CHAT, "gpt-4o", framework="test", request=ModelRequest("gpt-4o", "openai", lambda: "x" * 10_000)
        )
        with pytest.raises(BudgetExceeded):
            operation.reserve()
    data = reader.get_metrics_data()
    provider.shutdown()

    assert data is None or not data.resource_metrics


def test_calls_at_the_same_time_cannot_oversell(captured: Captured) -> None:
    """Of thirty threads that want a call for one dollar each, exactly as many get it as the budget can pay."""
    tracker().budget_manager.set_budget("all", 10.0, "total", on_exceed="stop")
    tracker().add_provider("ours", OurProvider())
    together = threading.Barrier(30)

    def work(_: int) -> bool:
        operation = call(model="big", provider="ours", prompt=lambda: "x" * 500, max_output_tokens=500)
        together.wait()
        try:
            operation.reserve()
        except BudgetExceeded:
            return False
        together_made.append(operation)
        return True

    together_made: list[Operation] = []
    with ThreadPoolExecutor(30) as pool:
        assert sum(pool.map(work, range(30))) == 10
    for operation in together_made:
        operation.usage = Usage(input_tokens=500, output_tokens=500, source="provider")
        operation.stop()
    assert (spent(), reserved()) == (10.0, 0.0)


def test_a_budget_of_each_run_counts_by_run(captured: Captured) -> None:
    """Calls below one workflow share its budget; another run has its own."""
    tracker().budget_manager.set_budget("run", 2.0, "run", on_exceed="stop")
    for _ in range(2):
        run = operations.start(WORKFLOW, "squad", framework="test")
        first = call(parent=run, max_output_tokens=1, prompt=lambda: "x")
        first.reserve()
        first.usage = Usage(input_tokens=2000, output_tokens=0, source="provider")
        first.stop()
        with pytest.raises(BudgetExceeded):
            call(parent=run).reserve()
        run.stop()

    assert len(tracker().entries) == 2


def test_an_operation_without_a_request_reserves_nothing(captured: Captured) -> None:
    """An adapter that knows no model can't ask; nothing is refused and nothing raised."""
    tracker().budget_manager.set_budget("all", 0.0001, "total", on_exceed="stop")
    operation = operations.start(CHAT, "m", framework="test")
    operation.reserve()
    operation.stop()

    assert (captured.closing()[0].status, len(tracker().entries)) == ("ok", 0)
