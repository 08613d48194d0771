"""pytest plugin: observe every graph that a test builds, and count what the observation left behind.

``UPSTREAM_OBSERVE`` names the function (``module:function``) that makes a graph observed in place;
``UPSTREAM_OBSERVATIONS`` is the directory where each worker leaves its journal and its ``Observations``.
``UPSTREAM_SPANS=off`` leaves out the provider that has real spans built, as in a program without an exporter.
``UPSTREAM_SPANS=apart`` has them built by a provider of ours, also where a test makes one global: for suites that look at all spans
of theirs.
"""

from __future__ import annotations

import functools
import gc
import importlib
import inspect
import json
import logging
import os
import threading
from collections import Counter
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import SpanProcessor
from outcome_plugin import Recorder

OPENING = frozenset({"agent.start", "task.start", "tool.call", "llm.request"})
CLOSING = frozenset({"agent.stop", "task.complete", "task.fail", "tool.result", "llm.response"})


@dataclass
class Observations:
    """What one pytest process saw. Everything below ``statuses`` must stay empty.

    ``wire_calls`` are the model calls that passed the wire, ``wire_captured`` those of them that belong to observed runs.
    ``loops`` is what the loop guard told of.
    """

    graphs: int = 0
    started: int = 0
    ended: int = 0
    wire_calls: int = 0
    wire_captured: int = 0
    loops: list[str] = field(default_factory=list)
    spans_started: int = 0
    spans_ended: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    left_open: list[str] = field(default_factory=list)
    closed_twice: list[str] = field(default_factory=list)
    closed_unopened: list[str] = field(default_factory=list)
    dropped: list[str] = field(default_factory=list)
    wire_off: list[str] = field(default_factory=list)
    leaked_spans: list[str] = field(default_factory=list)
    internal_failures: list[str] = field(default_factory=list)


def balance(lines: Iterable[Any], seen: Observations) -> None:
    """Count the operations of a journal into ``seen``: each must have one opening and exactly one closing line."""
    opened: dict[str, str] = {}
    closed: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    for line in lines:
        label = f"{line.operation} {line.name} ({line.span_id})"
        if line.event_type == "telemetry.dropped":
            seen.dropped.append(line.message)
        elif line.event_type == "agent.loop":
            seen.loops.append(line.message)
        elif line.event_type in OPENING and line.span_id is not None:
            opened[line.span_id] = label
        elif line.event_type in CLOSING and line.span_id is not None:
            closed[line.span_id] += 1
            statuses[line.status or "none"] += 1
            if closed[line.span_id] == 2:
                seen.closed_twice.append(label)
            if line.span_id not in opened:
                seen.closed_unopened.append(label)
    seen.started, seen.ended = len(opened), sum(closed.values())
    seen.statuses = dict(sorted(statuses.items()))
    seen.left_open = [label for span_id, label in opened.items() if span_id not in closed]


class SpanCounter(SpanProcessor):
    """Stands where an exporter would, so that real spans are built."""

    def __init__(self, seen: Observations) -> None:
        self.seen, self.lock = seen, threading.Lock()

    def on_start(self, span: Any, parent_context: Any = None) -> None:
        with self.lock:
            self.seen.spans_started += 1

    def on_end(self, span: Any) -> None:
        with self.lock:
            self.seen.spans_ended += 1


class Observer:
    """Lives in each process that runs tests."""

    def __init__(self, observe: Callable[[Any], Any], directory: Path) -> None:
        self.observe, self.directory = observe, directory
        self.seen = Observations()
        self.test = "(no test running)"

    def start(self) -> None:
        from opentelemetry import trace
        from opentelemetry.sdk.trace import TracerProvider

        import ai_dev_squad

        spans = os.environ.get("UPSTREAM_SPANS", "shared")
        if spans == "shared":
            provider = TracerProvider()
            provider.add_span_processor(SpanCounter(self.seen))
            trace.set_tracer_provider(provider)
        ai_dev_squad.configure(log_dir=str(self.directory), on_full="block")
        if spans == "apart":
            manager = ai_dev_squad.runtime.pipeline().tracing
            manager.refresh = lambda: None  # which would pick up a provider that a test makes global
            manager.add_span_processor(SpanCounter(self.seen))
        self.observe_framework()
        running = lambda: self.test  # noqa: E731 - read late, when a record arrives
        logging.getLogger("ai_dev_squad").addHandler(Recorder(self.seen.internal_failures, running))

    def observe_framework(self) -> None:
        """From now on whatever the framework runs is observed."""
        from langgraph.pregel import Pregel
        from langgraph.pregel.remote import RemoteGraph

        self.observe_instances_of(Pregel)
        self.observe_instances_of(RemoteGraph)

    def observe_instances_of(self, cls: Any) -> None:
        """From now on every instance of ``cls`` is observed as soon as it is initialised."""
        unobserved_init = cls.__init__

        @functools.wraps(unobserved_init)
        def observed_init(graph: Any, *args: Any, **kwargs: Any) -> None:
            unobserved_init(graph, *args, **kwargs)
            self.observe(graph)
            self.seen.graphs += 1

        cls.__init__ = observed_init

    def check_current_span(self, where: str) -> None:
        """Record a span that is still current where none may be, and remove it so that it counts once."""
        from opentelemetry import context, trace

        span = trace.get_current_span()
        if span.get_span_context().is_valid:
            self.seen.leaked_spans.append(f"{where}: {getattr(span, 'name', span)}")
            context.attach(context.Context())

    def around_test(self) -> AbstractContextManager[object]:
        """Entered in the context in which a test's function runs."""
        return nullcontext()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Generator[None, object, object]:
        self.test = item.nodeid
        result = yield
        self.check_current_span(item.nodeid)
        self.test = f"(after {item.nodeid})"
        return result

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, object, object]:
        # An async test has a context of its own, gone when the runner returns: look from inside.
        function = getattr(item, "obj", None)
        if not inspect.iscoroutinefunction(function):
            with self.around_test():
                return (yield)

        @functools.wraps(function)
        async def checked(*args: Any, **kwargs: Any) -> Any:
            try:
                with self.around_test():
                    return await function(*args, **kwargs)
            finally:
                self.check_current_span(f"{item.nodeid} (inside the task)")

        item.obj = checked
        try:
            return (yield)
        finally:
            item.obj = function

    def pytest_sessionfinish(self) -> None:
        import ai_dev_squad
        from ai_dev_squad.events import read_journal

        gc.collect()  # abandoned generators end their operations when they are collected
        ai_dev_squad.flush()
        wire = ai_dev_squad.coverage()
        self.seen.wire_calls, self.seen.wire_captured = wire.seen, wire.captured
        if not wire_sees_a_call():
            self.seen.wire_off.append(self.directory.name)
        if any(self.directory.glob("*.jsonl*")):  # a worker whose tests ran no graph has no journal
            balance(read_journal(self.directory), self.seen)
        (self.directory / "observations.json").write_text(json.dumps(asdict(self.seen)), encoding="utf-8")


def wire_sees_a_call() -> bool:
    """Whether the wire is on: a model call to nobody, after all tests, is seen."""
    import httpx

    import ai_dev_squad

    before = ai_dev_squad.coverage().seen
    nobody = httpx.MockTransport(lambda request: httpx.Response(200, json={}))
    with httpx.Client(transport=nobody) as client:
        client.post("http://nobody/v1/chat/completions", json={"model": "none", "messages": []})
    return ai_dev_squad.coverage().seen == before + 1


def load(name: str) -> Callable[[Any], Any]:
    """The function named ``module:function``."""
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)  # type: ignore[no-any-return]


def pytest_configure(config: pytest.Config) -> None:
    configure(config, Observer)


def configure(config: pytest.Config, observer_type: type[Observer]) -> None:
    """Have the tests of this process observed."""
    worker = getattr(config, "workerinput", None)
    if worker is None and config.getoption("numprocesses", None):
        return
    directory = Path(os.environ["UPSTREAM_OBSERVATIONS"]) / (worker["workerid"] if worker else "main")
    directory.mkdir(parents=True)
    observer = observer_type(load(os.environ["UPSTREAM_OBSERVE"]), directory)
    observer.start()
    config.pluginmanager.register(observer, "upstream-observer")
