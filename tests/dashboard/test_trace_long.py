"""A run too long to be sent at once: what is shown of it first, and how the rest is reached."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ai_dev_squad_dashboard.kept import Kept
from ai_dev_squad_dashboard.page import Site
from ai_dev_squad_dashboard.query import Query, QueryError
from ai_dev_squad_dashboard.store import Store, open_memory_store
from ai_dev_squad_dashboard.store.rows import Batch, OpenRow, SpanRow
from ai_dev_squad_dashboard.views import run_tree, trace

sys.path.insert(0, str(Path(__file__).parent))

from sample import long_trace, trace_id

NOW = int(time.time() * 1_000_000)
LONG = trace_id("long")
SPANS = 2_500


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A store with one long run: a root, rounds of an agent with nine steps each, three errors."""
    store = open_memory_store()
    store.write(long_trace(NOW, SPANS))
    yield store
    store.close()


@pytest.fixture
def site(store: Store) -> Site:
    """What pages ask."""
    return Site(store, None, None, tuple)  # type: ignore[arg-type]


def build(site: Site, **arguments: str) -> trace.TraceView:
    """The page of the long run with these arguments."""
    return trace.build(site, Query.parse(list(arguments.items()), clock=lambda: NOW / 1_000_000), trace_id=LONG)


def test_a_long_run_is_sent_in_parts_with_the_shape_of_the_whole(site):
    """The first rows, how deep each of all is and which failed; what follows is a cursor away, nothing twice and nothing missing."""
    first = build(site)
    assert (first.operations, len(first.rows), first.next) == (SPANS, 500, "500")
    assert (len(first.depths), [place for place in first.failed if first.depths[place] != 2]) == (SPANS, [])
    walked, view = [], first
    while True:
        walked += [(row.span_id, row.depth) for row in view.rows]
        if view.next is None:
            break
        view = build(site, cursor=view.next)
        assert (view.depths, view.failed, view.selected) == ((), (), None)
    assert [depth for _, depth in walked] == list(first.depths)
    assert len({span_id for span_id, _ in walked}) == SPANS


def test_just_the_rows_on_screen_are_sent_when_they_are_asked_for(site):
    """Their places are told, those that are not there are left out, and nothing else of the page comes along."""
    view = build(site, places="2,1700,99999,3", span=build(site, cursor="1700").rows[0].span_id)
    assert view.places == (2, 1700, 3)
    assert [row.parent for row in view.rows] == [1, 1691, 1]
    assert view.selected_at == 1700
    assert (view.selected, view.shown, view.depths, view.failures, view.waits, view.graph.nodes) == (
        None,
        (),
        (),
        (),
        (),
        (),
    )


def test_a_run_of_a_page_is_sent_whole(site):
    """Up to 2,000 operations come at once, and no shape is needed."""
    store = open_memory_store()
    store.write(long_trace(NOW, 2_000))
    view = build(Site(store, None, None, tuple))  # type: ignore[arg-type]
    assert (len(view.rows), view.next, view.depths, view.failed) == (2_000, None, (), ())
    store.close()


def test_without_scripts_the_page_shows_what_tells_most(site):
    """The root, what failed and what the run waited for with all above them, then level by level; the gaps say how much is left out."""
    view = build(site)
    places = [shown.place for shown in view.shown]
    assert len(places) < 2 * trace.SHOWN
    assert 1 not in {shown.skipped for shown in view.shown}
    assert {0, *(failure.place for failure in view.failures)} <= set(places)
    parents = [shown.row.parent for shown in view.shown if shown.row.parent is not None]
    assert set(parents) <= set(places)
    assert sum(shown.skipped for shown in view.shown) + view.shown_rest + len(places) == SPANS
    gap = next(shown for shown in view.shown if shown.skipped)
    assert gap.skipped_depth == view.depths[gap.place - gap.skipped]


def test_what_is_chosen_is_always_among_what_is_shown(site):
    """A row far down, with everything above it."""
    chosen = build(site, cursor="2345").rows[0].span_id
    view = build(site, span=chosen)
    assert view.selected_at == 2345
    assert {2345, 0} <= {shown.place for shown in view.shown}


def test_a_gap_leads_to_what_is_left_out(site):
    """From its place on, below what that stands below."""
    view = build(site, cursor="1706")
    assert [shown.place for shown in view.shown] == [0, 1701, *range(1706, 1906)]
    assert [(shown.skipped, shown.place) for shown in view.shown if shown.skipped] == [(1700, 1701), (4, 1706)]
    assert view.shown_rest == SPANS - 1906


@pytest.mark.parametrize("arguments", [{"cursor": "x"}, {"cursor": "-1"}, {"places": "1,x"}, {"places": "1," * 600}])
def test_what_is_no_place_is_refused(site, arguments):
    """The message says what is one."""
    with pytest.raises(QueryError, match="place"):
        build(site, **arguments)


def test_a_long_tree_is_made_once_until_something_arrives(monkeypatch, site, store):
    """The page, its parts and its updates share it; another span, or one that begins, makes it anew."""
    made = []
    load = run_tree._load
    monkeypatch.setattr(run_tree, "_load", lambda *args: made.append(1) or load(*args))
    build(site)
    build(site, places="5")
    build(site, cursor="1000")
    assert len(made) == 1
    store.write(Batch(spans=[SpanRow(LONG, "f" * 16, None, NOW, 5, "late", "task")]))
    assert build(site).operations == SPANS + 1
    store.write(Batch(opened=[OpenRow(LONG, "e" * 16, None, NOW, "begun", "task")]))
    assert build(site).running == 1
    assert len(made) == 3


def test_what_is_kept_has_a_bound():
    """The least used goes first, what is too heavy is not kept, and a new version replaces the old one."""
    kept, made = Kept[str](10, len), []

    def get(key: str, thing: str, version: int = 1) -> str:
        return kept.get(key, version, lambda: made.append(key) or thing)

    assert [get("a", "aaaa"), get("b", "bbbb"), get("a", "?"), get("c", "cccc"), get("a", "?")] == [
        "aaaa", "bbbb", "aaaa", "cccc", "aaaa",
    ]  # fmt: skip
    assert made == ["a", "b", "c"]
    get("b", "bbbb")
    get("a", "new", version=2)
    get("huge", "h" * 11)
    get("huge", "h" * 11)
    assert made == ["a", "b", "c", "b", "a", "huge", "huge"]
    kept.clear()
    get("a", "new", version=2)
    assert made[-1] == "a"
