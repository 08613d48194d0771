"""One session: its turns in order, what each cost, and what was said where content was captured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ai_dev_squad_dashboard.addresses import session_id_of
from ai_dev_squad_dashboard.page import NotFoundError, Page, Site
from ai_dev_squad_dashboard.query import Query
from ai_dev_squad_dashboard.store.base import Session, TraceRow

from .transcript import Said, said_in

__all__ = ["PAGE", "SessionView", "Turn", "build"]

MAX_TURNS: Final = 200
SPOKEN_TURNS: Final = 30
"""The newest turns, of which all words are shown: each has to be looked up. The others show how they begin."""
MOST_TURNS: Final = 5_000
"""As many as may be asked for."""
LOOKED_INTO: Final = 400
"""Spans of a turn that are looked into for words."""


@dataclass(frozen=True)
class Turn:
    """One turn of a conversation: a trace."""

    number: int
    """From 1, the session's first."""
    trace: TraceRow
    asked: Said | None
    """What the user said last; ``null`` where content was not captured, or for older turns."""
    answered: Said | None
    cost_so_far_usd: float
    """The sum of the known costs of this turn and all before it."""


@dataclass(frozen=True)
class SessionView:
    """A session with its turns, oldest first."""

    session: Session
    turns: tuple[Turn, ...]
    """The newest 200, or as many as were asked for."""
    captured: bool
    """Whether the words of any turn shown were captured."""
    spoken_turns: int
    """Of how many turns, the last of ``turns``, words are shown."""


def build(site: Site, query: Query, *, session_id: str) -> SessionView:
    """The session called ``session_id``, whatever the span of time. Raises ``NotFoundError``."""
    session_id = session_id_of(session_id)
    asked_for = query.number("turns", minimum=1, maximum=MOST_TURNS)
    found = site.store.session(session_id, limit=MAX_TURNS if asked_for is None else int(asked_for))
    if found is None:
        raise NotFoundError(
            f"no session is called {session_id[:200]!r}; it may have been deleted by age, or its first span has not arrived: "
            "look at /sessions?range=30d"
        )
    session, traces = found
    spoken = {row.trace_id for row in traces[-SPOKEN_TURNS:]}
    turns = []
    # What the turns before those shown cost; a sum of floats may come out a little below zero.
    cost = max(0.0, session.cost_usd - sum(row.cost_usd for row in traces))
    for number, row in enumerate(traces, start=session.turns - len(traces) + 1):
        asked = answered = None
        if row.trace_id in spoken:
            asked, answered = said_in(site.store.details(row.trace_id, limit=LOOKED_INTO), row.root_span_id)
        cost += row.cost_usd
        turns.append(Turn(number, row, asked, answered, cost))
    return SessionView(
        session=session,
        turns=tuple(turns),
        captured=any(turn.asked or turn.answered or turn.trace.asked or turn.trace.answered for turn in turns),
        spoken_turns=len(spoken),
    )


PAGE = Page(
    "session",
    "/sessions/<path:session_id>",
    "/api/sessions/<path:session_id>",
    "Session",
    build,
    SessionView,
    default_range="30d",
    parameters=("turns",),
    whole=(("turns", str(MOST_TURNS)),),
)
