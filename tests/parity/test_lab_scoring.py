"""What is scored, and what of it applies to whom."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone

import pytest

from ai_dev_squad import Coverage
from ai_dev_squad_dashboard.lab_results import LabCheck
from ai_dev_squad_parity.lab.bill import price
from ai_dev_squad_parity.lab.captured import Operation, captured
from ai_dev_squad_parity.lab.cell import Outcome, Raised, Report, Span, SpanEvent
from ai_dev_squad_parity.lab.scenario import Expected
from ai_dev_squad_parity.lab.scoring import Evidence, score
from ai_dev_squad_testing.model_server import CallRecord, Truth, tokens

TRACE = "0af7651916cd43dd8448eb211c80319c"


def operation(span_id: str, kind: str, name: str, parent: str | None = None, **more: object) -> Operation:
    """An operation that lasts from 10 to 20 µs; a model call sends one request."""
    given = {"status": "ok", "start_us": 10, "end_us": 20, "requests": int(kind == "chat"), **more}
    return Operation(TRACE, span_id, parent, kind, name, **given)


RUN = operation("a", "invoke_agent", "clerk", agent="clerk", start_us=5, end_us=30)
CALL = operation(
    "b", "chat", "gpt-4o-mini", "a", agent="clerk", input_tokens=200, output_tokens=30, cost_usd=0.000048
)  # fmt: skip
BILLED = CallRecord(
    index=0, endpoint="chat.completions", model="gpt-4o-mini", stream=False, outcome="completed", status=200,
    billed=tokens(200, 30), role="clerk", arrived=datetime(2026, 11, 1, tzinfo=timezone.utc),
)  # fmt: skip


def span(**attributes: object) -> Span:
    """A span of nobody in particular."""
    return Span(
        trace_id=TRACE, span_id="b", parent_span_id=None, name="n", kind="INTERNAL", scope="s", start_ns=1, end_ns=2,
        status="OK", attributes=attributes,
    )  # fmt: skip


def evidence(*operations: Operation, observer: str = "ours", spans: tuple[Span, ...] = (), **more: object) -> Evidence:
    """A run of an agent that asks once, as it should be; `more` changes what is known of it."""
    truth = more.get("truth", Truth((BILLED,)))
    seen = Coverage(seen=len(truth.calls), captured=len(truth.calls))
    given = {
        "framework": "langgraph",
        "captured": captured(operations or (RUN, CALL), spans, seen),
        "truth": truth,
        "expected": Expected(answer="Paris", agents=("clerk",)),
        "report": Report(),
        "outcome": Outcome(answer="Paris.", raised=None, wall_ms=1),
        "observer": observer,
        **more,
    }
    return Evidence(**given)


def red(found: Evidence) -> list[str]:
    """The names of the checks that are red."""
    return [check.name for check in score(found) if not check.ok]


def test_a_run_is_scored_by_sixteen_checks():
    """Each says what was captured and what is true, in the order that a reader asks."""
    assert score(evidence()) == (
        LabCheck(name="answer", ok=True, captured="Paris.", truth="Paris"),
        LabCheck(name="script", ok=True, captured="1 request"),
        LabCheck(name="coverage", ok=True, captured="1 of 1 model call captured", truth="1 model call"),
        LabCheck(name="calls", ok=True, captured="1 ok", truth="1 ok"),
        LabCheck(
            name="tokens", ok=True,
            captured="200 in, 30 out, 0 cached, 0 reasoning", truth="200 in, 30 out, 0 cached, 0 reasoning",
        ),
        LabCheck(name="cost", ok=True, captured="$0.000048", truth="$0.000048"),
        LabCheck(name="trace", ok=True, captured="1 trace", truth="1 trace"),
        LabCheck(name="parents", ok=True, captured="clerk", truth="clerk"),
        LabCheck(name="tools", ok=True, captured="0 tool calls", truth="0 tool calls"),
        LabCheck(name="status", ok=True, captured="ok", truth="ok"),
        LabCheck(name="interrupts", ok=True, captured="0 interrupts", truth="0 interrupts"),
        LabCheck(name="events", ok=True, captured="2 operations"),
        LabCheck(name="sessions", ok=True, captured="0 sessions"),
        LabCheck(name="conventions", ok=True, captured="0 spans"),
        LabCheck(name="closed", ok=True, captured="nothing open", truth="nothing open"),
        LabCheck(name="loops", ok=True, captured="0 alarms", truth="0 alarms"),
    )  # fmt: skip


def test_nothing_captured_of_a_run_is_no_pass():
    """An observer that sees nothing fails by all that it should have seen."""
    empty = replace(evidence(), captured=captured(()))
    assert red(empty) == ["coverage", "calls", "tokens", "cost", "trace", "parents", "status"]


@pytest.mark.parametrize(
    "expected,raised,ok",
    [
        ("TimeoutError", Raised(type="ReadTimeout", bases=["ReadTimeout", "TimeoutError", "OSError"], message=""), True),
        ("TimeoutError", Raised(type="ValueError", bases=["ValueError", "Exception"], message=""), False),
        ("TimeoutError", None, False),
        (None, Raised(type="ValueError", bases=["ValueError"], message=""), False),
    ],
)  # fmt: skip
def test_the_exception_is_the_frameworks_own(expected, raised, ok):
    """A scenario that ends with an exception names its class or a base of it; any other end is wrong."""
    found = evidence(
        expected=Expected(raises=expected), outcome=Outcome(answer=None, raised=raised, wall_ms=1)
    )  # fmt: skip
    assert ("answer" not in red(found)) is ok


def test_an_unforeseen_call_and_a_line_nobody_asked_for_are_the_programs_fault():
    """The model server tells what the program asked beside the script, and what it never asked."""
    asked = replace(BILLED, index=1, outcome="unexpected", status=500, billed=None, error="no step matches")
    checks = {check.name: check for check in score(evidence(truth=Truth((BILLED, asked), ("clerk[1]",))))}
    assert checks["script"] == LabCheck(
        name="script", ok=False, captured="2 requests",
        detail="an unexpected call: no step matches; never asked for: clerk[1]",
    )  # fmt: skip


def test_calls_are_told_by_how_they_end():
    """Failed, refused and cut calls are expected as such; cancelled and closed early are both cut."""
    calls = [
        CALL,
        operation("c", "chat", "m", "a", agent="clerk", status="error", error_type="E"),
        operation("d", "chat", "m", "a", agent="clerk", status="cancelled"),
        operation("e", "chat", "m", "a", agent="clerk", status="closed_early"),
    ]
    ended = Expected(answer="Paris", agents=("clerk",), failed_calls=1, cancelled_calls=2)
    failed = (replace(BILLED, outcome="failed", billed=None, status=500) for _ in calls[1:])
    truth = Truth((BILLED, *failed))
    assert red(evidence(RUN, *calls, expected=ended, truth=truth)) == []
    assert red(evidence(RUN, *calls, expected=replace(ended, cancelled_calls=1), truth=truth)) == ["calls"]


@pytest.mark.parametrize(
    "told, requests, scripted, detail",
    [
        (Coverage(seen=3, captured=3), 3, True, ""),
        (Coverage(seen=3, captured=3), 3, False, ""),
        (
            Coverage(seen=3, captured=2, unobserved=1), 2, True,
            "2 of 3 model calls captured; 1 outside of observed runs",
        ),
        (Coverage(seen=3, captured=3), 2, True, "2 in the journal, 3 captured on the wire"),
        (Coverage(seen=2, captured=2), 2, True, "2 seen on the wire, 3 came to the model server"),
        (Coverage(seen=2, captured=2), 2, False, ""),
        (
            Coverage(seen=3, captured=3, unseen=1), 3, True,
            "3 of 3 model calls captured; 1 more announced by a framework and not seen on the wire",
        ),
        (
            None, 3, False,
            "3 in the journal, 0 captured on the wire; the self-check has said nothing; is AI_DEV_SQUAD_WIRE off?",
        ),
    ],
)  # fmt: skip
def test_every_call_that_left_is_captured(told, requests, scripted, detail):
    """What the wire has seen, what it captured, what the journal holds and what came to the model server are one number."""
    truth = Truth(tuple(replace(BILLED, index=index) for index in range(3)))
    found = evidence(truth=truth, scripted=scripted)
    calls = captured((RUN, replace(CALL, requests=requests)), (), told)
    check = next(check for check in score(replace(found, captured=calls)) if check.name == "coverage")
    assert (check.ok, check.detail) == (not detail, detail)
    assert check.truth == ("3 model calls" if scripted else "")


def test_an_unknown_price_is_said_to_be_unknown():
    """Where the price table knows no price, a cost of null is right and a made-up one is wrong."""
    unknown = replace(BILLED, model="a-model-of-mine")
    assert price(unknown.model, unknown) is None
    assert red(evidence(RUN, replace(CALL, cost_usd=None), truth=Truth((unknown,)))) == []
    assert red(evidence(RUN, CALL, truth=Truth((unknown,)))) == ["cost"]


def test_a_second_root_and_a_second_trace_are_no_connected_run():
    """A run is one trace with one root, unless the scenario says that there are more."""
    alone = replace(CALL, parent_span_id=None)
    assert red(evidence(RUN, alone)) == ["trace", "parents"]
    assert red(evidence(RUN, replace(alone, trace_id="f" * 32))) == ["trace", "parents"]


def test_an_operation_begins_after_its_parent():
    """Clocks may differ by two milliseconds and no more."""
    early = replace(CALL, start_us=-3000)
    assert red(evidence(RUN, replace(CALL, start_us=-1000))) == []
    assert red(evidence(RUN, early)) == ["events"]


@pytest.mark.parametrize("arguments", [{"word": "fig"}, '{"word": "fig"}', '{ "word":"fig" }'])
def test_arguments_are_compared_as_what_they_say(arguments):
    """As an object or as JSON text, with whatever spaces."""
    tool = operation("t", "execute_tool", "look_up", "a", arguments=arguments)
    used = Expected(answer="Paris", agents=("clerk",), tools=(("look_up", {"word": "fig"}),))
    assert red(evidence(RUN, CALL, tool, expected=used)) == []


# --- peers ------------------------------------------------------------------------------------------------------------


def names(found: Evidence) -> set[str]:
    """The checks that apply."""
    return {check.name for check in score(found)}


def test_a_peer_is_not_asked_what_only_ours_can_tell():
    """Left out are open operations, the wire, alarms, sessions that nobody told it, conventions that it does not follow."""
    ours, peer = names(evidence()), names(evidence(observer="openinference", spans=(span(),)))
    assert ours - peer == {"closed", "coverage", "loops", "sessions", "conventions"}
    claims = span(**{"gen_ai.operation.name": "chat"})
    told = replace(CALL, session="ann")
    assert ours - names(evidence(RUN, told, observer="openllmetry", spans=(claims,))) == {"closed", "coverage", "loops"}


def test_a_peer_fails_by_what_conventions_require_and_is_told_what_they_recommend():
    """A name that should be another one costs a peer nothing; a missing model does."""
    odd = span(**{"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai", "gen_ai.request.model": "m"})
    bad = span(**{"gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai"})
    found = {c.name: c for c in score(evidence(observer="openllmetry", spans=(odd,)))}["conventions"]
    assert (found.ok, found.detail) == (
        True,
        "n: the name should be 'chat m'; n: the status is OK; success leaves it unset",
    )
    assert red(evidence(observer="openllmetry", spans=(bad,))) == ["conventions"]
    assert red(evidence(spans=(odd,))) == ["conventions"]


def test_a_peer_need_not_say_what_an_agent_is():
    """It is enough that the agent's name stands above the call; for ours it is not."""
    chain = replace(RUN, operation="invoke_workflow", agent=None)
    call = replace(CALL, agent=None)
    assert red(evidence(chain, call, observer="openinference")) == []
    assert red(evidence(chain, call)) == ["parents"]


def test_a_peer_may_tell_a_single_argument_by_its_value():
    """LangChain tells its callbacks no more than that of a tool with one argument."""
    used = Expected(answer="Paris", agents=("clerk",), tools=(("look_up", {"word": "fig"}),))
    tool = operation("t", "execute_tool", "look_up", "a", arguments="fig")
    assert red(evidence(RUN, CALL, tool, expected=used, observer="openinference")) == []
    assert red(evidence(RUN, CALL, tool, expected=used)) == ["tools"]


def test_a_peer_may_join_traces_by_a_session():
    """A resumed run is found by its session where there is no link; ours links."""
    went_on = Expected(answer="Paris", agents=("clerk",), linked=True, traces=2, run_status=("ok", "ok"))
    again = replace(RUN, trace_id="f" * 32, span_id="c", start_us=40, end_us=50)
    joined = [replace(operation, session="ann") for operation in (RUN, CALL, again)]
    assert red(evidence(*joined, expected=went_on, observer="openinference")) == []
    assert red(evidence(*joined, expected=went_on)) == ["trace"]
    assert red(evidence(RUN, CALL, again, expected=went_on, observer="openinference")) == ["trace"]


def test_a_peer_need_not_name_the_session_on_each_span():
    """What has none is not another one's; two of them in a trace are mixed, whoever tells it. Ours names it on each."""
    told = replace(CALL, session="ann")
    assert red(evidence(RUN, told, observer="openllmetry")) == []
    assert red(evidence(RUN, told)) == ["sessions"]
    assert red(evidence(replace(RUN, session="bob"), told, observer="openllmetry")) == ["sessions"]


def test_a_peer_that_counts_nothing_is_wrong():
    """Missing tokens are missing tokens, whoever misses them."""
    free = replace(CALL, input_tokens=None, output_tokens=None, cost_usd=0.0)
    assert red(evidence(RUN, free, observer="openinference")) == ["tokens", "cost"]


def test_a_peers_spans_are_read_as_the_dashboard_reads_them():
    """Kinds, tokens, cost, tool arguments, the first chunk, a call that two instrumentations saw, and no bookkeeping."""
    pytest.importorskip("ai_dev_squad_dashboard", reason="peers are read with the dashboard's translation")
    from ai_dev_squad_parity.lab.foreign import operations

    def made(span_id: str, name: str, parent: str | None, scope: str, trace: str = TRACE, **more: object) -> Span:
        attributes = {key.replace("__", "."): value for key, value in more.items() if key != "events"}
        return Span(
            trace_id=trace, span_id=span_id, parent_span_id=parent, name=name, kind="INTERNAL", scope=scope,
            start_ns=1_700_000_000_000_000_000, end_ns=1_700_000_000_500_000_000, status="OK", attributes=attributes,
            events=more.get("events", []),
        )  # fmt: skip

    first = SpanEvent(name="First Token Stream Event", time_ns=1_700_000_000_020_000_000)
    root, call, tool, twin = operations(
        [
            made("b7ad6b7169203330", "autogen process", None, "autogen-core", "f" * 32),
            made("b7ad6b7169203331", "clerk", None, "openinference.langchain", openinference__span__kind="CHAIN"),
            made(
                "b7ad6b7169203332", "ChatOpenAI", "b7ad6b7169203331", "openinference.langchain",
                openinference__span__kind="LLM", llm__model_name="gpt-4o-mini", llm__provider="openai",
                llm__token_count__prompt=200, llm__token_count__completion=30, events=[first],
            ),
            made(
                "b7ad6b7169203333", "look_up", "b7ad6b7169203331", "openinference.langchain",
                openinference__span__kind="TOOL", tool__name="look_up", input__value='{"word": "fig"}',
            ),
            made(
                "b7ad6b7169203334", "openai.chat", "b7ad6b7169203332", "opentelemetry.instrumentation.openai",
                gen_ai__operation__name="chat", gen_ai__provider__name="openai", gen_ai__request__model="gpt-4o-mini",
                gen_ai__usage__input_tokens=200, gen_ai__usage__output_tokens=30,
            ),
        ]
    )  # fmt: skip
    assert (root.operation, root.name, root.status) == ("invoke_workflow", "clerk", "ok")
    assert (call.operation, call.name, call.input_tokens, call.output_tokens, call.cost_usd, call.first_chunk_us) == (
        "chat", "gpt-4o-mini", 200, 30, 0.000048, 20_000,
    )  # fmt: skip
    assert (tool.operation, tool.name, tool.arguments) == ("execute_tool", "look_up", {"word": "fig"})
    assert (twin.operation, twin.input_tokens) == ("other", None)


def test_embeddings_are_calls_that_are_billed():
    """They have input tokens and a cost, and belong to a run; no agent's role asks for them."""
    asked = operation("c", "embeddings", "m", "a", input_tokens=7, cost_usd=0.0, requests=1)
    billed = replace(BILLED, endpoint="embeddings", model="text-embedding-3-small", role=None, billed=tokens(7))
    told = evidence(RUN, CALL, replace(asked, cost_usd=price(billed.model, billed)), truth=Truth((BILLED, billed)))
    missed = evidence(RUN, CALL, truth=Truth((BILLED, billed)))
    assert "calls" not in red(told)
    assert not {"tokens", "cost", "parents"} & set(red(told))
    assert {"calls", "tokens", "cost"} <= set(red(missed))


@pytest.mark.parametrize(
    "source,output,detail",
    [
        ("estimated", 12, ""),
        ("missing", None, "a call that was left has tokens of source missing, not estimated"),
        ("provider", 30, "a call that was left has tokens of source provider, not estimated"),
        ("estimated", 31, "90 in, 31 out of a call that was left; its whole answer has 30"),
        ("estimated", 0, "90 in, 0 out of a call that was left; its whole answer has 30"),
    ],
)
def test_a_stream_that_was_left_is_estimated_and_says_so(source, output, detail):
    """Nobody knows what it cost: an estimate of what had arrived is right, a number without that label is wrong."""
    left = operation(
        "b", "chat", "m", "a", agent="clerk", status="closed_early", input_tokens=90, output_tokens=output,
        usage_source=source,
    )  # fmt: skip
    truth = Truth((replace(BILLED, outcome="client_closed"),))
    expected = Expected(agents=("clerk",), cancelled_calls=1, estimated=True)
    checks = {check.name: check for check in score(evidence(RUN, left, expected=expected, truth=truth))}
    assert (checks["tokens"].ok, checks["tokens"].detail) == (not detail, detail)


def test_an_answer_that_the_client_refuses_is_billed_all_the_same():
    """The call ends as an error, with the tokens of its whole answer."""
    refused = replace(CALL, status="error", error_type="LengthFinishReasonError")
    expected = Expected(answer="Paris", agents=("clerk",), unusable_answers=1)
    assert red(evidence(RUN, refused, expected=expected)) == []
    assert red(evidence(RUN, replace(refused, input_tokens=None, output_tokens=None), expected=expected)) == [
        "tokens", "cost", "parents",
    ]  # fmt: skip
