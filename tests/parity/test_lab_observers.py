"""Peers: instrumentors that patch a framework, and span processors that translate what a framework sends by itself."""

from __future__ import annotations

import sys
import types

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

from ai_dev_squad.frameworks import Instrumentor, known_frameworks
from ai_dev_squad_parity.lab import observers

HEARD: list[object] = []


class Translator(SpanProcessor):
    """Renames each span as it ends, as OpenInference's processors change theirs."""

    def __init__(self, to: str) -> None:
        self.to = to

    def on_end(self, span) -> None:
        span._name = self.to


class Patcher:
    """An instrumentor that tells where it was told to send."""

    def instrument(self, tracer_provider) -> None:
        HEARD.append(tracer_provider)

    def uninstrument(self) -> None:
        HEARD.append("uninstrumented")


class Agent:
    """A framework that sends spans when it is asked to, by the provider of the process."""

    @staticmethod
    def instrument_all(**given: object) -> None:
        HEARD.append(given)


@pytest.fixture(autouse=True)
def toy(monkeypatch):
    """A framework and its peers in a module; the provider of the process is a new one."""
    module = types.ModuleType("toy_peers")
    module.Translator, module.Patcher, module.Agent = Translator, Patcher, Agent
    monkeypatch.setitem(sys.modules, "toy_peers", module)
    provider = TracerProvider()
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: provider)
    HEARD.clear()
    return provider


def peer(monkeypatch, *instrumentors: Instrumentor):
    """What observes LangGraph by these."""
    known = {"langgraph": types.SimpleNamespace(instrumentors={"openinference": instrumentors})}
    monkeypatch.setattr(observers, "known_frameworks", lambda: known)
    return observers.make("openinference", "langgraph", None, content=True, budget_usd=None)


def test_what_a_framework_sends_by_itself_is_switched_on_and_translated_before_it_is_kept(monkeypatch, toy):
    """By the options of both; its spans come from the provider of the process."""
    translated = Instrumentor(
        "toy_peers:Translator", {"to": "translated"}, "toy_peers:Agent.instrument_all", {"content": True}
    )
    observer = peer(monkeypatch, translated)
    toy.get_tracer("toy").start_span("as it was").end()

    assert (HEARD, [span.name for span in observer.finish()]) == ([{"content": True}], ["translated"])


def test_an_instrumentor_patches_with_a_provider_of_its_own(monkeypatch, toy):
    """What others send in the process is not taken for what it saw."""
    observer = peer(monkeypatch, Instrumentor("toy_peers:Patcher"))
    (provider,) = HEARD
    toy.get_tracer("toy").start_span("another").end()
    provider.get_tracer("patched").start_span("call").end()

    assert ([span.name for span in observer.finish()], HEARD) == (["call"], [provider, "uninstrumented"])


def test_every_framework_has_both_peers():
    """Or, where a peer has nothing of its own for it, what that peer's users have."""
    ours = ("langgraph", "crewai", "autogen", "agent_framework", "openai_agents", "pydantic_ai")

    lacking = [
        name for name in ours if sorted(known_frameworks()[name].instrumentors) != ["openinference", "openllmetry"]
    ]
    assert lacking == []
