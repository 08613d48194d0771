"""Record what an instrumentation really sends about one small agent: the fixtures of the dashboard's tests.

    python tools/record_foreign_spans.py INSTRUMENTATION[,INSTRUMENTATION] PROGRAM

Run it in an environment that has the frameworks and instrumentations, ``ai-dev-squad-parity``,
``opentelemetry-exporter-otlp-proto-http`` and nothing to lose. The agent calls the model twice, a tool once, and uses 160
tokens of input (32 of them cached) and 40 of output, as the scripted model server bills. What goes over the wire is written as
OTLP/JSON to ``tests/dashboard/data``: long texts shortened, times moved to the beginning of 2026, versions noted.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import importlib
import importlib.metadata
import json
import os
import sys
import threading
from collections.abc import Callable
from contextlib import nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

os.environ.update(
    CREWAI_DISABLE_TELEMETRY="true",
    CREWAI_TRACING_ENABLED="false",
    OPENAI_API_KEY="none",
    TRACELOOP_METRICS_ENABLED="false",
    TRACELOOP_TRACE_CONTENT="true",
    OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT="true",
)

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from ai_dev_squad_testing.model_server import ModelServer, after_tool_result, call, reply, tokens, tool_calls

DATA = Path(__file__).resolve().parents[1] / "tests" / "dashboard" / "data"
QUESTION, SYSTEM, MODEL = "How warm is it in Paris?", "You forecast.", "gpt-4o-mini"
SCRIPT = [
    tool_calls(call("weather", city="Paris"), usage=tokens(60, 20), when=~after_tool_result()),
    reply("It is 18 degrees in Paris.", usage=tokens(100, 20, cached=32), when=after_tool_result()),
]
START_NS = 1_767_225_600_000_000_000
LONGEST = 160
RUNTIME_SPANS = 6
"""How many of the messages that AutoGen's runtime traces are kept."""
INSTRUMENTORS = {
    "openinference-langchain": ("openinference.instrumentation.langchain", "LangChainInstrumentor", {}),
    "openinference-openai": ("openinference.instrumentation.openai", "OpenAIInstrumentor", {}),
    "openinference-crewai": (
        "openinference.instrumentation.crewai",
        "CrewAIInstrumentor",
        {"use_event_listener": True},
    ),
    "openinference-autogen-agentchat": (
        "openinference.instrumentation.autogen_agentchat",
        "AutogenAgentChatInstrumentor",
        {},
    ),
    "openinference-openai-agents": (
        "openinference.instrumentation.openai_agents",
        "OpenAIAgentsInstrumentor",
        {},
    ),
    "openllmetry-openai-agents": (
        "opentelemetry.instrumentation.openai_agents",
        "OpenAIAgentsInstrumentor",
        {},
    ),
    "openllmetry-langchain": ("opentelemetry.instrumentation.langchain", "LangchainInstrumentor", {}),
    "openllmetry-openai": ("opentelemetry.instrumentation.openai", "OpenAIInstrumentor", {}),
    "openllmetry-crewai": ("opentelemetry.instrumentation.crewai", "CrewAIInstrumentor", {}),
}
bodies: list[bytes] = []


class _Sink(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        bodies.append(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


def weather(city: str) -> str:
    """The weather of a city."""
    return f"18 degrees in {city}"


def on_langgraph(base_url: str) -> None:
    from langchain_core.tools import tool
    from langchain_openai import ChatOpenAI
    from langgraph.prebuilt import create_react_agent

    model = ChatOpenAI(model=MODEL, base_url=base_url, api_key="none")
    agent = create_react_agent(model, [tool(weather)], name="forecaster")
    asked = {"messages": [("system", SYSTEM), ("user", QUESTION)]}
    agent.invoke(asked, {"configurable": {"thread_id": "t-1"}, "metadata": {"thread_id": "t-1"}})


def on_crewai(base_url: str) -> None:
    from crewai import LLM, Agent, Crew, Task
    from crewai.tools import tool

    model = LLM(model=f"openai/{MODEL}", base_url=base_url, api_key="none")
    agent = Agent(role="Forecaster", goal="forecast", backstory=SYSTEM, tools=[tool("weather")(weather)], llm=model)
    task = Task(description=QUESTION, expected_output="a sentence", agent=agent)
    Crew(agents=[agent], tasks=[task], name="weather crew").kickoff()


def on_autogen(base_url: str) -> None:
    from autogen_agentchat.agents import AssistantAgent
    from autogen_agentchat.teams import RoundRobinGroupChat
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    async def main() -> None:
        client = OpenAIChatCompletionClient(model=MODEL, base_url=base_url, api_key="none")
        agent = AssistantAgent(
            "forecaster", model_client=client, tools=[weather], system_message=SYSTEM, reflect_on_tool_use=True
        )
        await RoundRobinGroupChat([agent], max_turns=1).run(task=QUESTION)
        await client.close()

    asyncio.run(main())


def on_openai_agents(base_url: str) -> None:
    from agents import Agent, OpenAIChatCompletionsModel, Runner, function_tool
    from openai import AsyncOpenAI

    async def main() -> None:
        async with AsyncOpenAI(base_url=base_url, api_key="none") as client:
            model = OpenAIChatCompletionsModel(MODEL, client)
            agent = Agent(name="forecaster", instructions=SYSTEM, model=model, tools=[function_tool(weather)])
            await Runner.run(agent, QUESTION)

    asyncio.run(main())


def on_openai(base_url: str) -> None:
    import openai

    function = {"name": "weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}
    options: dict[str, Any] = {"model": MODEL, "tools": [{"type": "function", "function": function}]}
    messages: list[Any] = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": QUESTION}]
    with openai.OpenAI(base_url=base_url, api_key="none") as client:
        asked = client.chat.completions.create(messages=messages, **options).choices[0].message
        result = {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": weather("Paris")}
        messages += [asked.model_dump(exclude_none=True), result]
        client.chat.completions.create(messages=messages, **options)


def on_pydantic_ai(base_url: str) -> None:
    from pydantic_ai import Agent
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=base_url, api_key="none"))
    Agent(model, name="forecaster", instructions=SYSTEM, tools=[weather]).run_sync(QUESTION)


PROGRAMS: dict[str, Callable[[str], None]] = {
    "langgraph": on_langgraph,
    "crewai": on_crewai,
    "autogen": on_autogen,
    "openai_agents": on_openai_agents,
    "openai": on_openai,
    "pydantic_ai": on_pydantic_ai,
}


def record(names: list[str], program: str) -> None:
    """Run ``program`` under the instrumentations and keep what they send."""
    sink = ThreadingHTTPServer(("127.0.0.1", 0), _Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    exporter = OTLPSpanExporter(f"http://127.0.0.1:{sink.server_port}/v1/traces")
    provider = TracerProvider(resource=Resource({"service.name": "forecast"}))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    session: Any = nullcontext()
    flush = provider.force_flush
    if "logfire" in names:
        import logfire

        processors = [BatchSpanProcessor(exporter)]
        logfire.configure(
            send_to_logfire=False, service_name="forecast", console=False, additional_span_processors=processors
        )
        logfire.instrument_openai()
        flush = logfire.force_flush
    elif "crewai-native" not in names:
        trace.set_tracer_provider(provider)
    if "crewai-native" in names:
        from crewai.telemetry.tracing.session import telemetry_session

        session = telemetry_session("run-1", "forecast", [exporter], resource=Resource({"service.name": "forecast"}))
    if "pydantic-ai-native" in names:
        from pydantic_ai import Agent
        from pydantic_ai.models.instrumented import InstrumentationSettings

        Agent.instrument_all(InstrumentationSettings(tracer_provider=provider))
    for name in names:
        if name in INSTRUMENTORS:
            module, instrumentor, options = INSTRUMENTORS[name]
            getattr(importlib.import_module(module), instrumentor)().instrument(tracer_provider=provider, **options)
    with ModelServer(SCRIPT) as server, session:
        PROGRAMS[program](server.base_url)
        used = server.truth.totals
        assert (used.calls, used.billed.total_tokens) == (2, 200), used
    flush()
    target = DATA / f"{'+'.join(names)}.{program}.json"
    text = json.dumps({"recordedWith": versions(names, program), **told()}, ensure_ascii=False)
    text = text.replace('{"traceId"', '\n{"traceId"') + "\n"
    target.write_text(text, encoding="utf-8")
    print(target, len(text))


def versions(names: list[str], program: str) -> dict[str, str]:
    """The distributions that had a hand in it."""
    wanted = ["opentelemetry-sdk", "openai", *(["logfire"] if "logfire" in names else [])]
    wanted += {
        "langgraph": ["langgraph", "langchain-openai"],
        "autogen": ["autogen-agentchat"],
        "openai_agents": ["openai-agents"],
        "pydantic_ai": ["pydantic-ai-slim"],
    }.get(program, [program])
    wanted += [INSTRUMENTORS[name][0].replace(".", "-").replace("_", "-") for name in names if name in INSTRUMENTORS]
    return {name: importlib.metadata.version(name) for name in dict.fromkeys(wanted)}


def told() -> dict[str, Any]:
    """Everything that was sent, as the JSON encoding of OTLP says it."""
    from google.protobuf.json_format import MessageToDict
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

    requests = [
        MessageToDict(ExportTraceServiceRequest.FromString(body), use_integers_for_enums=True) for body in bodies
    ]
    resources = [resource for request in requests for resource in request.get("resourceSpans", [])]
    spans = [span for resource in resources for scope in resource["scopeSpans"] for span in scope["spans"]]
    shift = START_NS - min(int(span["startTimeUnixNano"]) for span in spans)
    for span in spans:
        span.pop("flags", None)
        for holder in (span, *span.get("links", [])):
            for key in ("traceId", "spanId", "parentSpanId"):
                if key in holder:
                    holder[key] = base64.b64decode(holder[key]).hex()
        for holder in (span, *span.get("events", [])):
            for key in ("startTimeUnixNano", "endTimeUnixNano", "timeUnixNano"):
                if key in holder:
                    holder[key] = str(int(holder[key]) + shift)
        is_call = any("usage" in item["key"] or "token_count.prompt" in item["key"] for item in span["attributes"])
        for item in span["attributes"]:
            shorten(item["value"], 4000 if is_call else LONGEST)
    for resource in resources:
        for scope in resource["scopeSpans"]:
            if scope["scope"]["name"].startswith("autogen "):
                del scope["spans"][RUNTIME_SPANS:]
        kept = [item for item in resource["resource"].get("attributes", []) if item["key"] == "service.name"]
        resource["resource"]["attributes"] = kept
    return {"resourceSpans": resources}


def shorten(value: dict[str, Any], longest: int) -> None:
    """Cut long text: the tests look at its beginning."""
    text = value.get("stringValue", "")
    if len(text) > longest:
        value["stringValue"] = text[:longest] + "…"


if __name__ == "__main__":
    record(sys.argv[1].split(","), sys.argv[2])
