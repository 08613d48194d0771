"""Log lines: filters, pages, the live tail, and each line once."""

from __future__ import annotations

import threading
from dataclasses import replace

from ai_dev_squad_dashboard.engine import Batch, LogRow, Selection, Store
from ai_dev_squad_testing.store_contract.harness import Opens, pages
from ai_dev_squad_testing.store_contract.sample import ALL, RUN, SECOND, T0, morning

__all__ = ["Logs"]


class Logs(Opens):
    """Log lines: filters, pages, the live tail, and each line once."""

    def test_log_lines_and_their_filters(self, asked: Store) -> None:
        """Lines stand newest first; each filter narrows them."""
        first, second, third = morning().logs
        assert asked.logs(ALL).rows == (third, second, first)
        assert asked.logs(ALL, levels=["ERROR"]).rows == (second,)
        assert asked.logs(ALL, event_types=["agent.start", "log"]).rows == (third, first)
        assert asked.logs(ALL, text="WORLD hello").rows == (third,)
        assert asked.logs(ALL, text="wörld HÉLLO").rows == (third,)
        assert asked.logs(ALL, trace_id=RUN).rows == (second, first)
        assert asked.logs(ALL, trace_id="none").rows == ()
        assert asked.logs(replace(ALL, agents=("planner",), services=("squad",))).rows == (first,)
        assert asked.logs(replace(ALL, sessions=("tuesday",))).rows == ()
        assert asked.logs(Selection(T0, T0 + 2 * SECOND)).rows == (first,)

    def test_older_pages_of_logs(self, store: Store) -> None:
        """Cursors lead through lines of the same microsecond without loss."""
        store.write(Batch(logs=[LogRow(T0 + n // 4, "INFO", "log", str(n)) for n in range(10)]))
        seen = [row.message for page in pages(store.logs, limit=3) for row in page.rows]
        assert seen == [str(n) for n in range(9, -1, -1)]

    def test_the_tail_of_the_logs(self, filled: Store) -> None:
        """After a cursor come the lines stored since, in the order they came, however old they say they are."""
        tail = filled.logs(ALL).newest
        assert tail is not None
        assert filled.logs(ALL, after=tail).rows == ()
        late = [LogRow(T0 - n, "INFO", "log", f"late {n}") for n in range(5)]
        filled.write(Batch(logs=late))
        page = filled.logs(ALL, after=tail, limit=3)
        assert list(page.rows) == late[:3]
        assert page.newest is not None
        page = filled.logs(ALL, after=page.newest, limit=3)
        assert list(page.rows) == late[3:]
        assert page.newest is not None
        assert filled.logs(ALL, after=page.newest).rows == ()

    def test_a_tail_under_writing_gives_each_line_once(self, store: Store) -> None:
        """A first page and what came after it miss and repeat no line, while lines are stored one by one."""

        def write() -> None:
            for n in range(120):
                store.write(Batch(logs=[LogRow(T0 + n, "INFO", "log", str(n))]))

        writer = threading.Thread(target=write)
        writer.start()
        page = store.logs(ALL, limit=1_000)
        seen = [row.message for row in reversed(page.rows)]
        while page.rows or writer.is_alive():
            page = store.logs(ALL, after=page.newest, limit=1_000)
            seen += [row.message for row in page.rows]
        writer.join()
        seen += [row.message for row in store.logs(ALL, after=page.newest).rows]
        assert seen == [str(n) for n in range(120)]

    def test_a_line_that_comes_by_two_ways_is_one_and_lines_of_two_are_two(self, store: Store) -> None:
        """Lines of a journal count once however they come, in one batch or in two; whose they are and what they say
        tells them apart.
        """
        line = LogRow(T0, "INFO", "log", "again", session_id="monday", agent="planner", details=b'{"metadata":{"n":1}}')
        others = [
            line._replace(session_id="tuesday"),
            line._replace(agent=None),
            line._replace(details=b'{"metadata":{"n":2}}'),
            line._replace(details=None),
            line._replace(trace_id=RUN, span_id=f"{1:016x}"),
        ]
        store.write(Batch(logs=[line, line, others[0]], relayed=True))
        store.write(Batch(logs=[*others, line]))
        store.write(Batch(logs=[line, *others], relayed=True))
        assert sorted(map(repr, store.logs(ALL).rows)) == sorted(map(repr, [line, *others]))
