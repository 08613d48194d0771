"""The peers that have a page of comparison, and what is compared: facts and choices, no figures."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MEASURES", "PEERS", "UNTRIED", "Measure", "Peer"]


@dataclass(frozen=True)
class Measure:
    """A column of a benchmark that answers a question, and the rows of it that are compared."""

    question: str
    benchmark: str
    column: str
    ours: tuple[str, ...]
    theirs: tuple[str, ...]
    """What the first cells of a row say; ``{name}`` stands for what the benchmark calls the peer."""
    is_more_better: bool = False


@dataclass(frozen=True)
class Peer:
    """A product that people choose between: what it is, and what it has that ours has not, with where it says so."""

    slug: str
    title: str
    names: tuple[str, ...]
    """What benchmarks call it or its instrumentation."""
    distributions: tuple[str, ...]
    """Prefixes of the packages whose versions belong to it."""
    what: str
    ahead: tuple[tuple[str, str], ...]
    store: str = ""
    """Where its spans are kept, where that is another server than its own process."""


def _runs(benchmark: str, framework: str, column: str) -> Measure:
    ours = "ours: journal, costs, OTLP"
    return Measure(f"{framework}, one run as set up by default: {column}", benchmark, column, (ours,), ("{name}",))


_LANGGRAPH = "LangGraph, ten nodes without a model"
_OTLP, _CONTENT = ("ours: journal, costs, OTLP",), ("ours: journal, costs, OTLP, content",)
MEASURES = (
    *(
        Measure(f"{_LANGGRAPH}, content {kept}: {column}", "langgraph_overhead", column, ours, (theirs,))
        for kept, ours, theirs in (("off", _OTLP, "{name}, content off"), ("captured", _CONTENT, "{name}"))
        for column in ("ms", "CPU ms", "RSS MiB")
    ),
    _runs("crewai_overhead", "CrewAI", "CPU ms"),
    _runs("autogen_overhead", "AutoGen", "CPU us"),
    _runs("agent_framework_overhead", "Agent Framework", "CPU us"),
    _runs("openai_agents_overhead", "OpenAI Agents SDK", "CPU us"),
    _runs("pydantic_ai_overhead", "Pydantic AI", "CPU us"),
    *(
        Measure(
            f"The exit of a program whose OTLP endpoint is a {endpoint}: seconds",
            "dead_endpoint",
            "exit s",
            (*_OTLP, endpoint),
            ("{name}", endpoint),
        )
        for endpoint in ("closed port", "black hole")
    ),
    *(
        Measure(
            f"Dashboard, {column}", "dashboard_ingest", column, ("ours",), ("{name}",), column.startswith("spans/s")
        )
        for column in ("start s", "spans/s acknowledged", "spans/s stored", "peak RSS MiB", "packages", "installed MiB")
    ),
    *(
        Measure(
            f"Parity lab, cells that pass of ten rows from the wild, {framework}",
            "parity_peers_wild",
            framework,
            ("ours",),
            ("{name}",),
            is_more_better=True,
        )
        for framework in ("LangGraph", "CrewAI", "AutoGen", "Agent Framework", "Pydantic AI")
    ),
)

UNTRIED = (
    ("langgraph_overhead", "what observing a run of LangGraph takes"),
    ("crewai_overhead", "what observing a run of CrewAI takes"),
    ("autogen_overhead", "what observing a run of AutoGen takes"),
    ("agent_framework_overhead", "what observing a run of Agent Framework takes"),
    ("openai_agents_overhead", "what observing a run of the OpenAI Agents SDK takes"),
    ("pydantic_ai_overhead", "what observing a run of Pydantic AI takes"),
    ("dead_endpoint", "how long a program takes to end when nobody answers"),
    ("dashboard_ingest", "how fast its server stores spans, and what it weighs"),
    ("parity_peers_wild", "whether calls and tokens arrive as they were billed, in the parity lab"),
)
"""What is said to be not measured where a benchmark has no row of a peer."""

_PROMPTS = "prompts kept and versioned"
PEERS = (
    Peer(
        "langfuse",
        "Langfuse",
        ("Langfuse",),
        ("langfuse",),
        "Langfuse is a platform, hosted or your own, for traces, evaluation and prompts.",
        (
            (
                f"{_PROMPTS}, judges that are models, annotation, data sets and experiments",
                "https://langfuse.com/guides",
            ),
            (
                "SDKs for JavaScript and TypeScript; ours is Python only",
                "https://github.com/langfuse/langfuse-js",
            ),
        ),
        store="ClickHouse",
    ),
    Peer(
        "phoenix",
        "Phoenix and OpenInference",
        ("OpenInference", "Phoenix"),
        ("openinference", "arize-phoenix"),
        "Phoenix is a server for traces, evaluation and experiments; OpenInference is what instruments programs for it.",
        (
            (
                "ready-made evaluators, data sets, experiments and prompts",
                "https://arize.com/docs/phoenix/datasets-and-experiments/how-to-experiments",
            ),
            (
                "instrumentations of dozens of frameworks and clients, also for JavaScript and Java",
                "https://github.com/Arize-ai/openinference",
            ),
        ),
    ),
    Peer(
        "openllmetry",
        "OpenLLMetry",
        ("OpenLLMetry",),
        ("opentelemetry-instrumentation-langchain", "traceloop"),
        "OpenLLMetry is a set of OpenTelemetry instrumentations that send to any back end; Traceloop is who makes it.",
        (
            (
                "more models, vector databases and frameworks, each instrumented by name, and TypeScript",
                "https://www.traceloop.com/docs/openllmetry/tracing/supported",
            ),
        ),
    ),
    Peer(
        "agentops",
        "AgentOps",
        ("AgentOps",),
        ("agentops",),
        "AgentOps records sessions of agents by two lines of code and shows them in an application of its own.",
        (("nothing to run: an account is enough; and TypeScript", "https://docs.agentops.ai/v1/introduction"),),
        store="ClickHouse",
    ),
    Peer(
        "logfire",
        "Pydantic Logfire",
        ("Logfire",),
        ("logfire",),
        "Logfire is a service for all that a program does, not only its agents; its SDK is open, its server is not.",
        (
            (
                "web frameworks, databases and queues, by one call each",
                "https://logfire.pydantic.dev/docs/integrations",
            ),
            (
                f"evaluation, {_PROMPTS}, a gateway with limits of spending; SDKs for JavaScript and Rust",
                "https://raw.githubusercontent.com/pydantic/logfire/main/docs/why.md",
            ),
        ),
        store="its maker's service",
    ),
    Peer(
        "openlit",
        "OpenLIT",
        ("OpenLIT",),
        ("openlit",),
        "OpenLIT is an SDK with a server on ClickHouse, for models, vector databases and graphics cards.",
        (
            (
                "metrics of vector databases and graphics cards",
                "https://pypi.org/project/openlit/1.31.0",
            ),
        ),
        store="ClickHouse",
    ),
)
