"""Variants take turns: each in a process of its own, in repetitions that begin with another variant each time.

After some repetitions all of them begin anew in fresh processes: where a process lays its memory makes it up to a tenth faster or
slower for as long as it lives, and a median over one process says nothing of that.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import environments
from otlp_sink import Sink
from worker import Worker, WorkerFailed

__all__ = ["in_words", "interleaved", "processes"]

Answers = dict[str, list[dict[str, Any]]]

_PROCESSES = 5


def processes(repetitions: int) -> int:
    """How many processes each variant runs in, one after another, for so many repetitions in all."""
    return _PROCESSES if repetitions >= _PROCESSES else 1


def in_words(repetitions: int, runs: int, what: str = "runs") -> str:
    """What a figure is the median of."""
    return (
        f"median of {repetitions} interleaved repetitions of {runs} {what} in {processes(repetitions)} fresh processes"
    )


def _started(variants: Mapping[str, str], script: str, sink: Sink, first_runs: int) -> dict[str, Worker]:
    """The workers that answer a first request; the others are named on stderr and left out."""
    pythons = {name: environments.python_of(environment) for name, environment in variants.items()}
    workers = {
        name: Worker(python, script, name, BENCH_ENDPOINT=sink.endpoint)
        for name, python in pythons.items()
        if python is not None
    }
    for name, worker in list(workers.items()):
        try:
            worker.ask(runs=first_runs)
        except WorkerFailed as error:
            print(f"{name}: left out ({error})", file=sys.stderr)
            del workers[name]
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
    answers: Answers = {}
    spans: dict[str, float] = {}
    with Sink() as sink:
        for _ in range(processes(repetitions)):
            workers = _started(variants, script, sink, first_runs)
            spans = spans or _spans_per_run(workers, sink, counted_runs)
            for name, found in _in_turns(workers, repetitions // processes(repetitions), runs).items():
                answers.setdefault(name, []).extend(found)
            for worker in workers.values():
                worker.close()
    return answers, spans


def _in_turns(workers: Mapping[str, Worker], repetitions: int, runs: int) -> Answers:
    answers: Answers = {name: [] for name in workers}
    names = list(workers)
    for number in range(repetitions + 1):
        shift = number % len(names)
        for name in names[shift:] + names[:shift]:
            answer = workers[name].ask(runs=runs)
            if number:  # the first repetition warms up
                answers[name].append(answer)
    return answers
