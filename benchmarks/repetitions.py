"""Variants take turns: each in a process of its own, in repetitions that begin with another variant each time."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import environments
from otlp_sink import Sink
from worker import Worker, WorkerFailed

__all__ = ["interleaved"]

Answers = dict[str, list[dict[str, Any]]]


def _started(variants: Mapping[str, str], script: str, sink: Sink, first_runs: int) -> dict[str, Worker]:
    """The workers that answer a first request; the others are named on stderr and left out."""
    workers = {}
    for name, environment in variants.items():
        python = environments.python_of(environment)
        if python is None:
            continue
        worker = Worker(python, script, name, BENCH_ENDPOINT=sink.endpoint)
        try:
            worker.ask(runs=first_runs)
        except WorkerFailed as error:
            print(f"{name}: left out ({error})", file=sys.stderr)
            continue
        workers[name] = worker
    return workers


def _spans_per_run(workers: Mapping[str, Worker], sink: Sink, runs: int) -> dict[str, float]:
    """How many spans of one run arrive at the receiver: proof that the variants do the work they are timed at."""
    before = sink.stats()["spans"]
    sink.count(True)
    for worker in workers.values():
        worker.ask(runs=runs)
    sink.count(False)
    arrived = sink.stats()["spans"]
    return {name: (arrived.get(name, 0) - before.get(name, 0)) / runs for name in workers}


def interleaved(
    variants: Mapping[str, str], script: str, *, repetitions: int, runs: int, first_runs: int, counted_runs: int
) -> tuple[Answers, dict[str, float]]:
    """What each variant answers in each repetition, and its spans per run.

    ``variants`` are names with the environments they run in, ``script`` the benchmark that serves as their worker.
    """
    with Sink() as sink:
        workers = _started(variants, script, sink, first_runs)
        answers: Answers = {name: [] for name in workers}
        spans = _spans_per_run(workers, sink, counted_runs)
        names = list(workers)
        for number in range(repetitions + 1):
            shift = number % len(names)
            for name in names[shift:] + names[:shift]:
                answer = workers[name].ask(runs=runs)
                if number:  # the first repetition warms up
                    answers[name].append(answer)
        for worker in workers.values():
            worker.close()
    return answers, spans
