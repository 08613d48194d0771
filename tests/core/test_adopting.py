"""Spans of other instrumentations become operations: tree, tokens, cost and budgets, each call once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openinference.instrumentation.openai import OpenAIInstrumentor as OpenInference
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import Span, StatusCode

import ai_dev_squad
from ai_dev_squad import BudgetExceeded, adopt_spans, operations, runtime
from ai_dev_squad.running import running
from ai_dev_squad_testing import Captured, capture
from ai_dev_squad_testing.fixtures import serving
from ai_dev_squad_testing.model_server import ModelServer, fail, reply, tokens

SCOPE = "openinference.instrumentation.smolagents"
AGENT = {"openinference.span.kind": "AGENT", "agent.name": "clerk"}
STEP = {"openinference.span.kind": "CHAIN"}
TOOL = {"openinference.span.kind": "TOOL", "tool.name": "weather"}
CALL = {"openinference.span.kind": "LLM", "llm.model_name": "gpt-4o-mini", "llm.provider": "openai"}
USED = {"llm.token_count.prompt": 100, "llm.token_count.completion": 20}


@pytest.fixture(scope="module")
def provider() -> TracerProvider:
    """The application's own, which nobody exports from."""
    return TracerProvider(shutdown_on_exit=False)


@pytest.fixture
def captured(provider: TracerProvider) -> Iterator[Captured]:
    """What is observed while spans of ``provider`` are adopted."""
    with capture() as found, adopt_spans(provider):
        yield found


@pytest.fixture
def serve() -> Iterator[Callable[..., ModelServer]]:
    """``serve(step, ...)`` starts a scripted model server."""
    with serving() as start:
        yield start


@pytest.fixture(scope="module")
def instrumented(provider: TracerProvider) -> Iterator[None]:
    """OpenAI's client is observed by somebody else."""
    instrumentor = OpenInference()
    instrumentor.instrument(tracer_provider=provider)
    yield
    instrumentor.uninstrument()


def client_of(server: ModelServer) -> openai.OpenAI:
    return openai.OpenAI(base_url=server.base_url, api_key="none", max_retries=2)


def ask(client: openai.OpenAI, **more: Any) -> Any:
    return client.chat.completions.create(
        model="gpt-4o-mini", messages=[{"role": "user", "content": "How warm is it?"}], **more
    )


def calls(captured: Captured) -> list[tuple[Any, ...]]:
    """Name, status, framework, agent, tokens and cost of each model call."""
    return [
        (
            line.name,
            line.status,
            line.framework,
            line.agent_id,
            used(line),
            None if line.cost is None else line.cost.usd,
        )
        for line in captured.closing("chat")
    ]


def used(line: Any) -> tuple[Any, ...] | None:
    usage = line.usage
    return None if usage is None else (usage.input_tokens, usage.output_tokens, usage.source)


def limit_to(usd: float, **scope: Any) -> None:
    """From here on no more than this may be spent."""
    manager = runtime.get_cost_tracker().budget_manager
    manager.set_budget("tiny", limit_usd=usd, period="total", on_exceed="stop", **scope)


# --- structure ----------------------------------------------------------------------------------------------------------


def test_spans_are_a_run_with_agents_steps_tools_and_calls(provider: TracerProvider, captured: Captured) -> None:
    """A framework's spans are a tree of its operations, with the ids that they have; sessions and users are theirs."""
    tracer = provider.get_tracer(SCOPE)
    ids = []
    with tracer.start_as_current_span("run", attributes={**AGENT, "session.id": "s-1", "user.id": "u-1"}) as root:
        ids.append(root.get_span_context())
        with tracer.start_as_current_span("Step 1", attributes=STEP):
            with tracer.start_as_current_span("generate", attributes=CALL) as span:
                span.set_attributes(USED)
            tracer.start_span("SimpleTool", attributes=TOOL).end()

    assert captured.tree() == (
        "invoke_agent clerk: ok\n  task Step 1: ok\n    chat gpt-4o-mini: ok\n    execute_tool weather: ok"
    )
    assert calls(captured) == [("gpt-4o-mini", "ok", "smolagents", "clerk", (100, 20, "provider"), 2.7e-05)]
    last = captured.closing()[-1]
    assert (last.trace_id, last.span_id) == (format(ids[0].trace_id, "032x"), format(ids[0].span_id, "016x"))
    assert {(line.session_id, line.trace_id) for line in captured.lines} == {("s-1", last.trace_id)}
    assert last.metadata == {
        "gen_ai.agent.name": "clerk",
        "ai_dev_squad.instrumentation": SCOPE,
        "ai_dev_squad.user.id": "u-1",
    }


def test_a_run_begins_when_its_span_does(provider: TracerProvider, captured: Captured) -> None:
    """Its first line is there while it runs, so that it is seen live and limits hold."""
    span = provider.get_tracer(SCOPE).start_span("run", attributes=AGENT)
    assert captured.tree() == "invoke_agent clerk: open"

    span.end()

    assert captured.tree() == "invoke_agent clerk: ok"


def test_what_a_span_says_after_its_start_counts(provider: TracerProvider, captured: Captured) -> None:
    """Many are described only after they began; what happens inside them is theirs all the same."""
    tracer = provider.get_tracer("strands.telemetry.tracer")
    with tracer.start_as_current_span("invoke_agent clerk") as agent:
        agent.set_attributes({"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "clerk"})
        with tracer.start_as_current_span("chat") as call:
            call.set_attributes({"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini"})
            call.set_attributes({"gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 20})

    assert captured.tree() == "invoke_agent clerk: ok\n  chat gpt-4o-mini: ok"
    assert calls(captured) == [("gpt-4o-mini", "ok", "strands", "clerk", (100, 20, "provider"), 2.7e-05)]


def test_the_programs_own_spans_are_looked_through(provider: TracerProvider, captured: Captured) -> None:
    """A request's and a database's span are nothing of ours; what is inside belongs to what is around."""
    tracer, own = provider.get_tracer(SCOPE), provider.get_tracer("shop")
    with own.start_as_current_span("GET /answer") as request:
        with tracer.start_as_current_span("run", attributes=AGENT):
            with own.start_as_current_span("look up"):
                with tracer.start_as_current_span("generate", attributes={**CALL, **USED}):
                    pass

    assert captured.tree() == "invoke_agent clerk: ok\n  chat gpt-4o-mini: ok"
    assert captured.opening()[0].parent_span_id == format(request.get_span_context().span_id, "016x")


def test_a_framework_that_says_what_a_span_was_at_its_end_only(provider: TracerProvider, captured: Captured) -> None:
    """LlamaIndex's: a step as soon as something happens in it; a call by the name of its method."""
    tracer = provider.get_tracer("openinference.instrumentation.llama_index")
    with tracer.start_as_current_span("FunctionAgent.run") as root:
        with tracer.start_as_current_span("OpenAILike.achat") as outer:
            with tracer.start_as_current_span("OpenAILike.achat") as inner:
                inner.set_attributes({**CALL, **USED})
            outer.set_attributes(CALL)
        root.set_attributes(STEP)

    assert captured.tree() == "invoke_workflow FunctionAgent.run: ok\n  chat gpt-4o-mini: ok"
    assert calls(captured) == [("gpt-4o-mini", "ok", "llama-index", None, (100, 20, "provider"), 2.7e-05)]


def test_what_starts_or_ends_after_its_run_is_part_of_it(provider: TracerProvider, captured: Captured) -> None:
    """It keeps its place, and is marked as late."""
    tracer = provider.get_tracer(SCOPE)
    with tracer.start_as_current_span("run", attributes=AGENT):
        context = trace.set_span_in_context(trace.get_current_span())
        early = tracer.start_span("generate", attributes={**CALL, **USED})
    early.end()
    tracer.start_span("SimpleTool", context, attributes=TOOL).end()

    assert captured.tree() == "invoke_agent clerk: ok\n  chat gpt-4o-mini: ok\n  execute_tool weather: ok"
    assert [(line.metadata or {}).get("ai_dev_squad.late") for line in captured.closing()] == [None, True, True]


def test_an_exception_is_the_operations_error(provider: TracerProvider, captured: Captured) -> None:
    """Type and redacted message; one that only steers is none."""
    tracer = provider.get_tracer(SCOPE)
    with pytest.raises(KeyError), tracer.start_as_current_span("SimpleTool", attributes=TOOL):
        raise KeyError("no key sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD")
    with tracer.start_as_current_span("SimpleTool", attributes={**TOOL, "error.type": "CancelledError"}) as span:
        span.set_status(StatusCode.ERROR)

    failed, cancelled = captured.closing()
    assert (failed.status, failed.error and failed.error.type) == ("error", "KeyError")
    assert failed.error is not None
    assert "abcdefghij" not in failed.error.message
    assert (cancelled.status, cancelled.error) == ("cancelled", None)


# --- tokens and money ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("instrumented")
def test_the_wire_says_what_a_call_took(
    provider: TracerProvider, captured: Captured, serve: Callable[..., ModelServer]
) -> None:
    """A framework's span over a client's span over one request are one call, with what the provider billed for it."""
    server = serve(reply("18", usage=tokens(100, 20, cached=40)))
    tracer = provider.get_tracer(SCOPE)
    with client_of(server) as client, tracer.start_as_current_span("run", attributes=AGENT):
        with tracer.start_as_current_span("generate", attributes={"openinference.span.kind": "LLM"}) as span:
            ask(client)
            span.set_attributes({**CALL, "llm.token_count.prompt": 7})

    assert captured.tree() == "invoke_agent clerk: ok\n  chat gpt-4o-mini: ok"
    assert calls(captured) == [("gpt-4o-mini", "ok", "smolagents", "clerk", (100, 20, "provider"), 2.4e-05)]
    assert [line.name for line in captured.opening()] == ["clerk", "gpt-4o-mini"]
    assert [entry.cost_usd for entry in ai_dev_squad.get_cost_tracker().entries] == [2.4e-05]


@pytest.mark.usefixtures("instrumented")
def test_a_call_that_a_client_repeats_is_one(captured: Captured, serve: Callable[..., ModelServer]) -> None:
    """What was refused by the server costs nothing; the answer does."""
    with client_of(serve(fail(500), reply("18", usage=tokens(100, 20)))) as client:
        ask(client)

    assert calls(captured) == [("gpt-4o-mini", "ok", "none", None, (100, 20, "provider"), 2.7e-05)]


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize("read", [100, 1], ids=["to its end", "and left"])
def test_a_stream(captured: Captured, serve: Callable[..., ModelServer], read: int) -> None:
    """What it took is known when it is through, or was left: once, and never as nothing."""
    with client_of(serve(reply("18 degrees in Paris", usage=tokens(100, 20)))) as client:
        stream = ask(client, stream=True)
        for _, _chunk in zip(range(read), stream, strict=False):
            pass
        stream.close()
        del stream, _chunk

    (call,) = calls(captured)
    assert call[0] == "gpt-4o-mini"
    assert call[4] == ((100, 20, "provider") if read > 1 else (call[4][0], call[4][1], "estimated"))
    assert len(ai_dev_squad.get_cost_tracker().entries) == 1


def test_a_stream_that_outlives_its_span(
    provider: TracerProvider, captured: Captured, serve: Callable[..., ModelServer]
) -> None:
    """The call ends with its answer, not with the span of the function that has returned the stream."""
    tracer = provider.get_tracer(SCOPE)
    with client_of(serve(reply("18 degrees", usage=tokens(100, 20)))) as client:
        with tracer.start_as_current_span("generate", attributes=CALL):
            stream = ask(client, stream=True)
        assert captured.tree() == "chat gpt-4o-mini: open"
        list(stream)

    assert calls(captured) == [("gpt-4o-mini", "ok", "smolagents", None, (100, 20, "provider"), 2.7e-05)]


def test_a_call_that_no_span_tells_of_belongs_to_the_span_around(
    provider: TracerProvider, captured: Captured, serve: Callable[..., ModelServer]
) -> None:
    """Where an instrumentation has no span for its framework's calls, the wire has them."""
    tracer = provider.get_tracer("openinference.instrumentation.haystack")
    with client_of(serve(reply("18", usage=tokens(100, 20)))) as client:
        with tracer.start_as_current_span("Pipeline.run", attributes=STEP), tracer.start_as_current_span("Agent.run"):
            ask(client)

    assert captured.tree() == "invoke_workflow Pipeline.run: ok\n  task Agent.run: ok\n    chat gpt-4o-mini: ok"
    assert calls(captured) == [("gpt-4o-mini", "ok", "haystack", None, (100, 20, "provider"), 2.7e-05)]


def test_a_request_in_a_bare_thread(
    provider: TracerProvider, captured: Captured, serve: Callable[..., ModelServer]
) -> None:
    """A thread without the context: the one call that waits has made it."""
    tracer = provider.get_tracer(SCOPE)
    url = serve(reply("18", usage=tokens(100, 20))).base_url + "/chat/completions"
    asked = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "How warm is it?"}]}
    with tracer.start_as_current_span("run", attributes=AGENT):
        with tracer.start_as_current_span("generate", attributes={"openinference.span.kind": "LLM"}):
            thread = threading.Thread(target=lambda: httpx.post(url, json=asked))
            thread.start()
            thread.join()

    assert captured.tree() == "invoke_agent clerk: ok\n  chat gpt-4o-mini: ok"
    assert calls(captured) == [("gpt-4o-mini", "ok", "smolagents", "clerk", (100, 20, "provider"), 2.7e-05)]


def test_tokens_that_nobody_states_are_estimated(provider: TracerProvider, captured: Captured) -> None:
    """From what the span has of prompt and answer; and said to be an estimate."""
    said = {
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "How warm is it in Paris?",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.content": "18 degrees",
    }
    provider.get_tracer(SCOPE).start_span("generate", attributes={**CALL, **said}).end()

    (call,) = calls(captured)
    assert call[4][2] == "estimated"
    assert min(call[4][0] - 5, call[4][1] - 1, call[5]) > 0


# --- budgets ------------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("instrumented")
@pytest.mark.parametrize("scope", [{}, {"agent_id": "clerk"}, {"framework": "smolagents"}], ids=str)
def test_a_budget_refuses_before_the_request_leaves(
    provider: TracerProvider, captured: Captured, serve: Callable[..., ModelServer], scope: dict[str, str]
) -> None:
    """The provider hears nothing, the program gets the very exception, and the refusal is told once."""
    server = serve(reply("18", times=None))
    limit_to(1e-12, **scope)
    tracer = provider.get_tracer(SCOPE)

    with client_of(server) as client, pytest.raises(BudgetExceeded):
        with tracer.start_as_current_span("run", attributes=AGENT):
            with tracer.start_as_current_span("generate", attributes={"openinference.span.kind": "LLM"}):
                ask(client)

    assert server.truth.calls == ()
    assert captured.tree() == "invoke_agent clerk: error\n  chat gpt-4o-mini: error"
    assert [line.error.type for line in captured.closing() if line.error] == ["BudgetExceeded"] * 2
    assert ai_dev_squad.get_cost_tracker().entries == []


def test_a_budget_of_another_agent_refuses_nothing(
    provider: TracerProvider, captured: Captured, serve: Callable[..., ModelServer]
) -> None:
    """A limit holds for whom it was set."""
    limit_to(1e-12, agent_id="boss")
    tracer = provider.get_tracer(SCOPE)
    with client_of(serve(reply("18", usage=tokens(100, 20)))) as client:
        with tracer.start_as_current_span("run", attributes=AGENT):
            ask(client)

    assert captured.status == "ok"


# --- beside adapters ----------------------------------------------------------------------------------------------------


def test_what_an_adapter_observes_is_not_adopted_again(provider: TracerProvider, captured: Captured) -> None:
    """Neither spans of the same framework, nor a client's span of its model call, nor our own."""
    langchain = provider.get_tracer("openinference.instrumentation.langchain")
    client = provider.get_tracer("openinference.instrumentation.openai")
    request = operations.ModelRequest("gpt-4o-mini", "openai")
    with running(operations.WORKFLOW, "graph", framework="langgraph") as graph:
        with langchain.start_as_current_span("LangGraph", attributes=STEP):
            with running(operations.CHAT, "gpt-4o-mini", framework="langgraph", parent=graph, request=request):
                client.start_span("ChatCompletion", attributes={**CALL, **USED}).end()
    provider.get_tracer("ai_dev_squad").start_span("chat gpt-4o-mini", attributes=CALL).end()

    assert [line.name for line in captured.closing()] == ["gpt-4o-mini", "graph"]


def test_frameworks_in_one_another(provider: TracerProvider, captured: Captured) -> None:
    """An adopted agent in an observed graph, and an observed graph in an adopted agent's tool."""
    tracer = provider.get_tracer(SCOPE)
    with running(operations.WORKFLOW, "outer", framework="langgraph"):
        with tracer.start_as_current_span("run", attributes=AGENT):
            with tracer.start_as_current_span("SimpleTool", attributes=TOOL):
                around = ai_dev_squad.current_operation()
                with running(operations.WORKFLOW, "inner", framework="langgraph", parent=around):
                    tracer.start_span("generate", attributes={**CALL, **USED}).end()

    assert captured.tree() == (
        "invoke_workflow outer: ok\n  invoke_agent clerk: ok\n    execute_tool weather: ok\n"
        "      invoke_workflow inner: ok\n        chat gpt-4o-mini: ok"
    )
    assert len({line.trace_id for line in captured.lines}) == 1


# --- content ------------------------------------------------------------------------------------------------------------

SAID = {
    "llm.input_messages.0.message.role": "user",
    "llm.input_messages.0.message.content": "My key is sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCD",
    "output.value": "noted",
}


def test_content_is_left_out_unless_it_is_asked_for(provider: TracerProvider, captured: Captured) -> None:
    """Whatever an instrumentation captures, our own settings decide."""
    provider.get_tracer(SCOPE).start_span("generate", attributes={**CALL, **USED, **SAID}).end()

    assert captured.closing()[0].metadata == {
        "gen_ai.provider.name": "openai",
        "ai_dev_squad.instrumentation": SCOPE,
    }


def test_content_is_redacted(provider: TracerProvider) -> None:
    """Messages in the shape of the conventions, without secrets."""
    with capture(capture_content=True) as captured, adopt_spans(provider):
        provider.get_tracer(SCOPE).start_span("generate", attributes={**CALL, **USED, **SAID}).end()

    metadata = captured.closing()[0].metadata
    assert metadata is not None
    (asked,) = metadata["gen_ai.input.messages"]
    assert asked["role"] == "user"
    assert "abcdefghij" not in str(asked)
    assert "redacted" in str(asked)
    assert metadata["gen_ai.output.messages"] == [
        {"role": "assistant", "parts": [{"type": "text", "content": "noted"}]}
    ]


# --- the provider is the application's ------------------------------------------------------------------------------------


def test_other_processors_see_the_same_before_and_after(provider: TracerProvider) -> None:
    """Nothing is taken away, changed or added: their spans are the program's own, in whatever order they were added."""
    before, after = InMemorySpanExporter(), InMemorySpanExporter()
    provider.add_span_processor(SimpleSpanProcessor(before))
    with capture(), adopt_spans(provider):
        provider.add_span_processor(SimpleSpanProcessor(after))
        with provider.get_tracer(SCOPE).start_as_current_span("run", attributes=AGENT):
            pass

    def told(exporter: InMemorySpanExporter) -> list[tuple[Any, ...]]:
        return [(span.name, dict(span.attributes or {})) for span in exporter.get_finished_spans()]

    assert told(before) == told(after) == [("run", AGENT)]


def test_adopting_twice_changes_nothing_and_closing_ends_it(provider: TracerProvider) -> None:
    """One operation a span; afterwards none, and what was open is abandoned."""
    tracer = provider.get_tracer(SCOPE)
    with capture() as captured:
        adoption = adopt_spans(provider)
        assert adopt_spans(provider).provider is adoption.provider is provider
        tracer.start_span("SimpleTool", attributes=TOOL).end()
        left = tracer.start_span("run", attributes=AGENT)
        adoption.close()
        adoption.close()
        left.end()
        tracer.start_span("SimpleTool", attributes=TOOL).end()

    assert captured.tree() == "execute_tool weather: ok\ninvoke_agent clerk: abandoned"


def test_without_a_provider_there_is_nothing_to_adopt() -> None:
    """The error says what to do."""
    with pytest.raises(
        ValueError, match=r"makes no spans that could be adopted; make a provider, .*adopt_spans\(provider\)"
    ):
        adopt_spans(trace.NoOpTracerProvider())


def test_a_program_that_only_adopts_exports_as_before() -> None:
    """Adopting delivers nothing, so an exporter that stands aside for the application's own still has all to do."""
    provider = TracerProvider(shutdown_on_exit=False)
    exported: list[ReadableSpan] = []

    class Exporter(InMemorySpanExporter):
        def export(self, spans: Any) -> Any:
            exported.extend(spans)
            return super().export(spans)

    manager = ai_dev_squad.TraceManager(provider=provider, shutdown_at_exit=False)
    manager.add_exporter(Exporter(), unless_application_exports=True)
    with capture(), adopt_spans(provider):
        provider.get_tracer("shop").start_span("look up").end()
        assert manager.force_flush(5_000)
    manager.shutdown()

    assert [span.name for span in exported] == ["look up"]


VALUES = st.one_of(
    st.text(max_size=20), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.lists(st.text(max_size=5))
)
NAMES = st.sampled_from(
    [
        *("openinference.span.kind", "gen_ai.operation.name", "traceloop.span.kind", "llm.model_name", "session.id"),
        *("gen_ai.usage.input_tokens", "llm.token_count.prompt", "llm.input_messages.0.message.content", "user.id"),
        *("gen_ai.input.messages", "input.value", "output.value", "gen_ai.request.model", "server.port", "error.type"),
    ]
)
KIND_NAMES = st.sampled_from(["LLM", "AGENT", "CHAIN", "TOOL", "chat", "invoke_agent", "embeddings", "", "x"])


@given(
    st.lists(
        st.tuples(st.sampled_from([SCOPE, "strands", "shop", ""]), st.dictionaries(NAMES, VALUES | KIND_NAMES)),
        max_size=6,
    )
)
def test_whatever_spans_say_every_operation_ends_once(told: list[tuple[str, dict[str, Any]]]) -> None:
    """No attribute makes it fail: each operation that begins ends, once, and no call has less than no tokens."""
    provider = TracerProvider(shutdown_on_exit=False)
    with capture(capture_content=True) as captured, adopt_spans(provider):
        spans: list[Span] = []
        for scope, attributes in told:
            above = trace.set_span_in_context(spans[-1]) if spans else None
            spans.append(provider.get_tracer(scope).start_span("it", above, attributes=attributes))
        for span in reversed(spans):
            span.end()

    assert sorted(line.span_id or "" for line in captured.opening()) == sorted(
        line.span_id or "" for line in captured.closing()
    )
    assert all((line.usage.input_tokens or 0) >= 0 for line in captured.closing() if line.usage)
