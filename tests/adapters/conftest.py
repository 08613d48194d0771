"""What the adapters' tests share: a scripted model server, a model that talks to it, and what was captured."""

from __future__ import annotations

import ast
import functools
import gc
import os
import re
import tempfile
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad.frameworks import adapted_frameworks
from ai_dev_squad.operations import open_operations
from ai_dev_squad_testing import Captured, capture
from ai_dev_squad_testing.fixtures import serving
from ai_dev_squad_testing.model_server import ModelServer

# What a framework sends by itself starts when it is imported, and looks for its server.
for _info in adapted_frameworks().values():
    for _variable, _value in _info.quiet.items():
        os.environ.setdefault(_variable, _value)
# Where it keeps knowledge is decided at that moment, too, for the whole process.
_crewai_storage = tempfile.TemporaryDirectory(prefix="crewai-tests-")
os.environ.setdefault("CREWAI_STORAGE_DIR", _crewai_storage.name)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Clients and event loops that CrewAI and AutoGen never close are theirs to close, and no failure of our tests.

    The contract's tests of memory, of many runs at once and of processes that end take longest, and prove the same on every
    Python and every date; how providers' words are read is the same on every Python.
    """
    words = ("test_a_report_in_other_words", "test_reports_that_add_up", "test_two_chunks_that_end_it")
    for item in items:
        if item.name.startswith(words):
            item.add_marker(pytest.mark.once)
        if item.name.startswith(
            ("test_memory_stays_flat", "test_concurrent_runs_never_mix", "test_a_process_that_ends_in_a_run")
        ):
            item.add_marker(pytest.mark.once)
            item.add_marker(pytest.mark.undated)
        if item.path.name.startswith(
            ("test_crewai", "test_autogen", "test_agent_framework", "test_openai_agents", "test_pydantic_ai")
        ):
            item.add_marker(pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning"))


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_left_for_later(request: pytest.FixtureRequest) -> Iterator[None]:
    """What the frameworks left open is collected with their tests, not in the middle of somebody else's."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="session")
def tests_naming() -> Callable[[str, str], list[str]]:
    """``tests_naming("crewai", reference)``: the tests of that adapter whose docstring has the reference."""

    def naming(adapter: str, reference: str) -> list[str]:
        exact = re.compile(re.escape(reference) + r"(?!\d)")
        return [name for name, text in documented(adapter) if exact.search(" ".join(text.split()))]

    @functools.cache
    def documented(adapter: str) -> list[tuple[str, str]]:
        trees = [ast.parse(path.read_text("utf-8")) for path in Path(__file__).parent.glob(f"test_{adapter}_*.py")]
        functions = [node for tree in trees for node in ast.walk(tree)]
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
        tests = [node for node in functions if isinstance(node, kinds) and node.name.startswith("test_")]
        return [(test.name, ast.get_docstring(test) or "") for test in tests]

    return naming


@pytest.fixture
def captured() -> Iterator[Captured]:
    """Everything that is observed in the test, spans included; whatever started has ended when the test ends."""
    with capture(spans=True) as everything:
        yield everything
        assert open_operations() == []


@pytest.fixture
def serve() -> Iterator[Callable[..., ModelServer]]:
    """``serve(step, ...)`` starts a model server that plays these steps."""
    with serving() as start:
        yield start


@pytest.fixture
def chat() -> Callable[..., Any]:
    """``chat(server)`` is a real ``ChatOpenAI`` that talks to it over HTTP."""
    from langchain_openai import ChatOpenAI

    def model(server: ModelServer, **options: Any) -> Any:
        return ChatOpenAI(**{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "sk-test", **options})

    return model


@pytest.fixture
async def autogen_chat() -> AsyncIterator[Callable[..., Any]]:
    """``autogen_chat(server)`` is AutoGen's own client for OpenAI, talking to it over HTTP."""
    from autogen_ext.models.openai import OpenAIChatCompletionClient

    clients = []

    def model(server: ModelServer, **options: Any) -> Any:
        settings = {"model": "gpt-4o-mini-2024-07-18", "base_url": server.base_url, "api_key": "sk-test"}
        clients.append(OpenAIChatCompletionClient(**{**settings, **options}))
        return clients[-1]

    yield model
    for client in clients:
        await client.close()


@pytest.fixture
async def agent_framework_chat() -> AsyncIterator[Callable[..., Any]]:
    """``agent_framework_chat(server)`` is Agent Framework's own client for OpenAI, talking to it over HTTP."""
    from agent_framework_openai import OpenAIChatCompletionClient

    clients = []

    def model(server: ModelServer, **options: Any) -> Any:
        settings = {"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "sk-test"}
        clients.append(OpenAIChatCompletionClient(**{**settings, **options}))
        return clients[-1]

    yield model
    for client in clients:
        await client.client.close()


@pytest.fixture
async def openai_agents_model() -> AsyncIterator[Callable[..., Any]]:
    """``openai_agents_model(server)`` is the SDK's model for OpenAI's chat completions, talking to it over HTTP.

    ``responses=True``: for the Responses API. Other options are those of OpenAI's client. The SDK's own traces are off.
    """
    from agents import OpenAIChatCompletionsModel, OpenAIResponsesModel, set_tracing_disabled
    from openai import AsyncOpenAI

    set_tracing_disabled(True)
    clients: list[AsyncOpenAI] = []

    def model(
        server: ModelServer, name: str = "gpt-4o-mini-2024-07-18", *, responses: bool = False, **options: Any
    ) -> Any:
        clients.append(AsyncOpenAI(base_url=server.base_url, api_key="sk-test", **options))
        return (OpenAIResponsesModel if responses else OpenAIChatCompletionsModel)(name, clients[-1])

    yield model
    for client in clients:
        await client.close()


@pytest.fixture
def crewai_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """CrewAI keeps its files in the test's own directory and asks nobody anything."""
    monkeypatch.setenv("CREWAI_TESTING", "true")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    yield
    gc.collect()  # CrewAI never closes its connections: let their warnings not hit a later test


@pytest.fixture
def crewai_llm(crewai_offline: None) -> Callable[..., Any]:
    """``crewai_llm(server)`` is CrewAI's own OpenAI client, which talks to it over HTTP."""
    from crewai import LLM

    def llm(server: ModelServer, **options: Any) -> Any:
        return LLM(**{"model": "gpt-4o-mini", "base_url": server.base_url, "api_key": "sk-test", **options})

    return llm


@pytest.fixture
def crewai_agent(crewai_llm: Callable[..., Any]) -> Callable[..., Any]:
    """``crewai_agent(server, "planner")`` is an agent of this role whose system prompt says "you are planner"."""
    from crewai import Agent

    def agent(server: ModelServer, role: str = "planner", *, llm: Any = None, **options: Any) -> Any:
        model = llm if llm is not None else crewai_llm(server)
        return Agent(**{"role": role, "goal": f"to {role}", "backstory": "", "llm": model, **options})

    return agent


@pytest.fixture
def crewai_crew(crewai_agent: Callable[..., Any]) -> Callable[..., Any]:
    """``crewai_crew(server, "planner", "coder")`` is a crew of agents with one task each, in a row."""
    from crewai import Crew, Task

    def crew(server: ModelServer, *roles: str, **options: Any) -> Any:
        agents = [crewai_agent(server, role) for role in roles or ("planner",)]
        tasks = [
            Task(name=f"{agent.role}'s task", description="do it", expected_output="it", agent=agent)
            for agent in agents
        ]
        return Crew(**{"name": "squad", "agents": agents, "tasks": tasks, **options})

    return crew
