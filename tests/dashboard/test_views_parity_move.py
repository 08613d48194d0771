"""The page of a move: two frameworks of a run, the sums, each scenario, and the programs of one."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from ai_dev_squad_dashboard.ingest.queue import IngestQueue
from ai_dev_squad_dashboard.page import NotFoundError, Site
from ai_dev_squad_dashboard.query import Query, QueryError
from ai_dev_squad_dashboard.settings import DashboardSettings
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.views.parity import matrix, moving

sys.path.insert(0, str(Path(__file__).parent))

import parity_files


@pytest.fixture
def site(tmp_path):
    """A site whose lab has run on six frameworks."""
    parity_files.fill(tmp_path / "logs", frameworks=6)
    store = open_memory_store()
    queue = IngestQueue(store, max_pending_rows=100)
    yield Site(store, queue, DashboardSettings(logs=(tmp_path / "logs",), db=tmp_path / "d"), sources=tuple)
    queue.close()
    store.close()


def test_a_move_has_sums_scenarios_and_the_programs_of_one(site):
    """What passes on both is added up; what does not is told with its reason; programs stand block by block."""
    view = moving.build(site, Query.parse([("before", "langgraph"), ("after", "crewai"), ("scenario", "plain_call")]))

    assert [(side.title, side.version) for side in (view.before, view.after)] == [
        ("LangGraph", "1.2.22"),
        ("CrewAI", "1.15.30"),
    ]
    assert (view.passing, [(row.name, row.before, row.after, row.lost) for row in view.rows]) == (
        1,
        [
            ("handoff", "passes", "framework can't", True),
            ("plain_call", "passes", "passes", False),
            ("tool_call", "passes", "fails", True),
        ],
    )
    assert (view.rows[0].reason, view.rows[0].source) == ("CrewAI has no handoff", "https://docs.crewai.com/concepts")
    plain = view.rows[1]
    assert [(total.name, total.before, total.after) for total in view.totals] == [
        (one.name, one.before, one.after) for one in plain.measures
    ]
    assert [part.name for part in view.programs] == ["", "build", "run"]
    assert ["ChatOpenAI" in view.sources[0], "LLM" in view.sources[1]] == [True, True]
    assert (view.previous, view.scenario, view.next) == ("handoff", "plain_call", "tool_call")
    gone, come = (sum(line[:1] == sign for line in view.difference.splitlines()[2:]) for sign in "-+")
    assert (plain.lines_gone, plain.lines_come) == (gone, come)


def test_the_move_that_a_maker_proposes_is_the_first(site):
    """Without a pair it is AutoGen's to its successor, and the matrix offers the same."""
    view = moving.build(site, Query.parse([]))

    assert (view.before.framework, view.after.framework, view.scenario) == ("autogen", "agent_framework", "handoff")
    assert matrix.build(site, Query.parse([])).move == ("autogen", "agent_framework")
    assert matrix.build(site, Query.parse([("tab", "providers")])).move is None


@pytest.mark.parametrize(
    "frameworks, pair",
    [
        (("crewai", "langgraph"), ("crewai", "langgraph")),
        (("crewai", "autogen", "mine"), ("crewai", "autogen")),
        (("agent_framework", "crewai", "autogen"), ("autogen", "agent_framework")),
        (("autogen",), None),
        ((), None),
    ],
)
def test_a_successor_is_proposed_only_where_it_was_run(frameworks, pair):
    """Else the first two, and nothing of one."""
    assert moving.proposed(frameworks) == pair


def test_what_is_not_there_is_told(site):
    """A framework, a scenario, and a lab that has not run."""
    with pytest.raises(QueryError, match="no cells of 'nothing', only of langgraph, crewai, autogen"):
        moving.build(site, Query.parse([("before", "nothing")]))
    with pytest.raises(NotFoundError, match="no scenario 'nothing' on either; it has handoff, plain_call, tool_call"):
        moving.build(site, Query.parse([("scenario", "nothing")]))
    elsewhere = replace(site, settings=replace(site.settings, logs=()))
    with pytest.raises(NotFoundError, match="the lab has not run yet; `ai-dev-squad parity run` does"):
        moving.build(elsewhere, Query.parse([]))
