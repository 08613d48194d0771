"""Whether every model call that left a cell's process was captured: by the wire, by the journal and by the model server."""

from __future__ import annotations

from ai_dev_squad import Coverage
from ai_dev_squad_dashboard.lab_results import LabCheck
from ai_dev_squad_parity.lab.captured import Captured

__all__ = ["coverage"]


def coverage(captured: Captured, served: int | None) -> LabCheck:
    """One number, counted in four places. ``served``: the model server's; ``None`` where that is not ours."""
    told = captured.coverage or Coverage()
    held = sum(operation.requests for operation in captured.operations)
    problems = []
    if told.captured != told.seen or told.unseen:
        problems.append(str(told))
    if held != told.captured:
        problems.append(f"{held} in the journal, {told.captured} captured on the wire")
    if served is not None and served != told.seen:
        problems.append(f"{told.seen} seen on the wire, {served} came to the model server")
    if captured.coverage is None and problems:
        problems.append("the self-check has said nothing; is AI_DEV_SQUAD_WIRE off?")
    return LabCheck(
        name="coverage",
        ok=not problems,
        captured=f"{told.captured} of {_calls(told.seen)} captured",
        truth="" if served is None else _calls(served),
        detail="; ".join(problems),
    )


def _calls(number: int) -> str:
    return f"{number} model call{'' if number == 1 else 's'}"
