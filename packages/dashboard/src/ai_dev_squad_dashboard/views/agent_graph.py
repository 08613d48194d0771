"""Who worked after whom and who called whom in a run: a small graph, laid out left to right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .tree import TreeRow

__all__ = ["AgentEdge", "AgentGraph", "AgentNode", "build_graph"]

MAX_AGENTS = 24
WIDTH, HEIGHT, GAP_X, GAP_Y, MARGIN = 140, 46, 48, 16, 12
ORCHESTRATION = frozenset({"invoke_workflow", "other"})


@dataclass(frozen=True)
class AgentNode:
    """An agent. ``x`` and ``y`` are its upper left corner in the drawing."""

    name: str
    span_id: str
    """Its first span."""
    turns: int
    model_calls: int
    errors: int
    running: bool
    cost_usd: float
    x: int
    y: int


@dataclass(frozen=True)
class AgentEdge:
    """How often one agent came after another, or was called by it."""

    source: str
    target: str
    kind: str
    """``next`` (worked after), ``handoff`` (was handed control) or ``call`` (worked inside)."""
    count: int
    path: str
    """The line, as SVG writes it."""
    label_x: int
    label_y: int


@dataclass(frozen=True)
class AgentGraph:
    """The drawing. It is empty where fewer than two agents took part."""

    nodes: tuple[AgentNode, ...]
    edges: tuple[AgentEdge, ...]
    width: int
    height: int
    left_out: int
    """Agents beyond the first ``MAX_AGENTS``."""


@dataclass
class _Turn:
    """An agent at work without a break: from where its name appears in the tree to everything below."""

    agent: str
    place: int
    start: int
    end: int
    outer: _Turn | None
    status: str


def build_graph(rows: Sequence[TreeRow]) -> AgentGraph:
    """The graph of a tree's agents. Turns under one workflow follow one another; a turn inside an agent was called by it."""
    turns = _turns(rows)
    names = list(dict.fromkeys(turn.agent for turn in turns))
    kept = names[:MAX_AGENTS]
    if len(kept) < 2:
        return AgentGraph((), (), 0, 0, 0)
    counts = _edges(rows, turns)
    pairs = [(source, target) for source, target, _ in counts if source in kept and target in kept]
    places = _layout(kept, pairs)
    own: dict[str | None, list[TreeRow]] = defaultdict(list)
    for row in rows:
        own[row.agent].append(row)
    of_agent: dict[str, list[_Turn]] = defaultdict(list)
    for turn in turns:
        of_agent[turn.agent].append(turn)
    nodes = tuple(
        _node(name, rows[of_agent[name][0].place].span_id, own[name], of_agent[name], places[name]) for name in kept
    )
    edges = tuple(
        _edge(source, target, kind, count, places)
        for (source, target, kind), count in counts.items()
        if source in kept and target in kept
    )
    width = max(x for x, _ in places.values()) + WIDTH + MARGIN
    # Lines that lead back run below the agents.
    back = any(places[source][0] >= places[target][0] for source, target in pairs)
    height = max(y for _, y in places.values()) + HEIGHT + MARGIN + (34 if back else 0)
    return AgentGraph(nodes, edges, width, height, len(names) - len(kept))


def _turns(rows: Sequence[TreeRow]) -> list[_Turn]:
    turns: list[_Turn] = []
    of_row: list[_Turn | None] = []
    for place, row in enumerate(rows):
        outer = None if row.parent is None else of_row[row.parent]
        agent = row.agent
        if agent is None or (outer is not None and outer.agent == agent) or _is_frame(row, agent):
            of_row.append(outer)
            continue
        turn = _Turn(agent, place, row.start_us, row.start_us + row.duration_us, outer, row.status)
        turns.append(turn)
        of_row.append(turn)
    return turns


def _is_frame(row: TreeRow, agent: str) -> bool:
    """Whether a row stands for the squad as a whole, not for one of its agents."""
    return row.operation in ORCHESTRATION or (row.operation == "task" and agent != row.name and row.children > 0)


def _edges(rows: Sequence[TreeRow], turns: Sequence[_Turn]) -> dict[tuple[str, str, str], int]:
    counts: dict[tuple[str, str, str], int] = defaultdict(int)
    siblings: dict[int | None, list[_Turn]] = defaultdict(list)
    for turn in turns:
        siblings[None if turn.outer is None else turn.outer.place].append(turn)
        if turn.outer is not None:
            counts[turn.outer.agent, turn.agent, "call"] += 1
    for group in siblings.values():
        for source, target in _successions(sorted(group, key=lambda turn: turn.start)):
            if source.agent != target.agent:
                counts[source.agent, target.agent, "handoff" if source.status == "handoff" else "next"] += 1
    return dict(counts)


def _successions(turns: Sequence[_Turn]) -> Iterable[tuple[_Turn, _Turn]]:
    """Pairs of turns where nothing lies between the end of one and the beginning of the other."""
    # Turns that run side by side are one step: whoever is in it follows whoever was in the step before.
    before: list[_Turn] = []
    step: list[_Turn] = []
    for turn in turns:
        if step and turn.start >= min(other.end for other in step):
            before, step = step, []
        for earlier in before:
            yield earlier, turn
        step.append(turn)


def _layout(names: Sequence[str], pairs: Iterable[tuple[str, str]]) -> dict[str, tuple[int, int]]:
    """Corners by name: a column further right than those that lead there; lines back to earlier agents do not count."""
    rank = {name: number for number, name in enumerate(names)}
    column = dict.fromkeys(names, 0)
    forward = sorted({pair for pair in pairs if rank[pair[0]] < rank[pair[1]]}, key=lambda pair: rank[pair[0]])
    for source, target in forward:
        column[target] = max(column[target], column[source] + 1)
    filled: dict[int, int] = defaultdict(int)
    places = {}
    for name in names:
        places[name] = (
            MARGIN + column[name] * (WIDTH + GAP_X),
            MARGIN + filled[column[name]] * (HEIGHT + GAP_Y),
        )
        filled[column[name]] += 1
    return places


def _node(name: str, first: str, rows: list[TreeRow], turns: list[_Turn], place: tuple[int, int]) -> AgentNode:
    calls = [row for row in rows if row.model_calls and not row.children]
    return AgentNode(
        name=name,
        span_id=first,
        turns=len(turns),
        model_calls=len(calls),
        errors=sum(row.status == "error" for row in rows),
        running=any(turn.status == "running" for turn in turns),
        cost_usd=sum(row.cost_usd for row in calls),
        x=place[0],
        y=place[1],
    )


def _edge(source: str, target: str, kind: str, count: int, places: dict[str, tuple[int, int]]) -> AgentEdge:
    (x1, y1), (x2, y2) = places[source], places[target]
    if x1 < x2:
        start, end = (x1 + WIDTH, y1 + HEIGHT // 2), (x2, y2 + HEIGHT // 2)
        middle = (start[0] + end[0]) // 2
        path = f"M{start[0]} {start[1]}C{middle} {start[1]} {middle} {end[1]} {end[0]} {end[1]}"
        return AgentEdge(source, target, kind, count, path, middle, (start[1] + end[1]) // 2)
    low = max(y1, y2) + HEIGHT
    start, end = (x1 + WIDTH // 2 + 12, y1 + HEIGHT), (x2 + WIDTH // 2 - 12, y2 + HEIGHT)
    path = f"M{start[0]} {start[1]}C{start[0]} {low + 34} {end[0]} {low + 34} {end[0]} {end[1]}"
    return AgentEdge(source, target, kind, count, path, (start[0] + end[0]) // 2, low + 25)
