"""A small result of the lab with one cell of each verdict, for the tests of what is made of results."""

from __future__ import annotations

from ai_dev_squad_dashboard.lab_results import (
    LabCell,
    LabCheck,
    LabInterval,
    LabMeasure,
    LabNode,
    LabResult,
    LabScenario,
)

__all__ = ["cell", "matrix", "ms"]


def ms(*values: float, low: float | None = None, high: float | None = None) -> LabMeasure:
    """Milliseconds: the median is the middle value."""
    interval = None if low is None or high is None else LabInterval(low=low, high=high)
    return LabMeasure(median=sorted(values)[len(values) // 2], values=values, unit="ms", interval=interval)


def cell(framework: str = "langgraph", verdict: str = "passes", **more: object) -> LabCell:
    """A cell of the scenario `ask`."""
    return LabCell(scenario="ask", framework=framework, verdict=verdict, **more)  # type: ignore[arg-type]


def matrix(*cells: LabCell, **more: object) -> LabResult:
    """A run with these cells; by default one that passes, one that fails and one that cannot."""
    chosen = cells or (
        cell(
            checks=(LabCheck(name="calls", ok=True, captured="1 ok", truth="1 ok"),),
            tree=(
                LabNode(
                    operation="invoke_agent", name="clerk", status="ok", span_id="a", start_ms=0, duration_ms=12,
                    children=(
                        LabNode(operation="chat", name="m", status="ok", span_id="b", start_ms=1, duration_ms=2.5),
                    ),
                ),
            ),
            trace_ids=("0af7",),
            measures={"wall": ms(10, 12, 14, low=10, high=14), "calls": LabMeasure(median=1, values=(1,), unit="calls")},
        ),
        cell(
            "crewai", "fails", reason="tokens: 0 in,\nnot 7 in", output="\x1b[31mboom\x1b[0m <b>",
            checks=(LabCheck(name="tokens", ok=False, captured="0 in", truth="7 in"),),
            measures={"wall": ms(20, 22, 24, low=20, high=24), "calls": LabMeasure(median=1, values=(1,), unit="calls")},
        ),
        cell("autogen", "framework can't", reason="has no | for it", source="https://example.org/issue"),
    )  # fmt: skip
    given = {
        "version": 1,
        "created": "2026-11-01T10:00:00Z",
        "observer": "ours",
        "model_server": "scripted",
        "repeat": 3,
        "machine": {"system": "Linux", "cores": 2, "python": "3.11.7", "jobs": 1},
        "versions": {"langgraph": {"langgraph": "1.2.22"}},
        "scenarios": (
            LabScenario(
                name="ask", title="Ask <once>", purpose="A & B.", spec="S = 1",
                programs={"crewai": "c = 3", "langgraph": "l = '<i>'"},
            ),
        ),
        "cells": chosen,
        **more,
    }  # fmt: skip
    return LabResult(**given)  # type: ignore[arg-type]
