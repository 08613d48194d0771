"""What is kept, exported, moved, and let go."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest

from ai_dev_squad_dashboard.engine import (
    Batch,
    Copied,
    LogRow,
    OpenRow,
    Selection,
    Store,
    Subject,
    Written,
    copy_store,
    differences,
)
from ai_dev_squad_testing.store_contract.harness import Opens
from ai_dev_squad_testing.store_contract.sample import ALL, DAY, OTHER_RUN, RUN, SECOND, T0, mark, morning, span

__all__ = ["Kept"]


class Kept(Opens):
    """What is kept, exported, moved, and let go."""

    def test_retention_deletes_whole_days(self, store: Store) -> None:
        """What is older goes with its day: spans, traces, log lines, sums; the rest is as before."""
        midnight = T0 // DAY * DAY
        rows = [
            span(
                f"{n + 1:032x}",
                1,
                None,
                midnight + n * DAY // 2,
                5,
                "run",
                operation="chat",
                usage_source="provider",
                cost_usd=1.0,
                session_id="s",
            )
            for n in range(8)
        ]
        store.write(Batch(spans=rows, logs=[LogRow(row.start_us, "INFO", "log", "x") for row in rows]))
        assert store.retain(oldest_us=midnight + DAY) == 2
        assert store.retain(oldest_us=midnight + DAY + 1) == 2
        assert store.retain(oldest_us=midnight) == 0
        assert [row.start_us for row in store.traces(ALL).rows] == [row.start_us for row in rows[:3:-1]]
        assert (store.totals(ALL).calls, store.totals(ALL).cost_usd) == (4, 4.0)
        assert [group.calls for by in ("session", "model", "day", "workflow") for group in store.groups(ALL, by)] == [
            4,
            4,
            2,
            2,
            4,
        ]
        assert len(store.logs(ALL).rows) == 4
        assert store.trace(rows[0].trace_id) is None
        assert store.write(Batch(spans=rows)) == Written(4, 4, 0)

    def test_export(self, asked: Store, tmp_path: Path) -> None:
        """Rows leave as JSON lines, CSV and Parquet, oldest first."""
        target = tmp_path / "new" / "spans.jsonl"
        assert asked.export("spans", ALL, target, "jsonl") == 6
        lines = [json.loads(line) for line in target.read_text(encoding="utf-8").splitlines()]
        first = {key: value for key, value in lines[2].items() if value is not None}
        expected = {
            key: value
            for key, value in morning().spans[2]._asdict().items()
            if value is not None and key not in {"asked", "answered", "carried"}
        }
        assert first == {**expected, "details": json.loads(expected["details"])}
        assert asked.export("logs", replace(ALL, frameworks=("crewai",)), target, "jsonl") == 2
        assert asked.export("spans", Selection(T0, T0 + 1), tmp_path / "one.csv", "csv") == 1
        with (tmp_path / "one.csv").open(encoding="utf-8", newline="") as file:
            (row,) = csv.DictReader(file)
        assert (row["trace_id"], row["parent_span_id"], row["name"], row["start_us"]) == (
            RUN,
            "",
            "plan the week",
            str(T0),
        )
        assert asked.export("spans", ALL, tmp_path / "it's.parquet", "parquet") == 6
        assert (tmp_path / "it's.parquet").read_bytes()[:4] == b"PAR1"
        with pytest.raises(ValueError, match="xlsx"):
            asked.export("spans", ALL, target, "xlsx")

    def test_a_spreadsheet_runs_nothing(self, store: Store, tmp_path: Path) -> None:
        """In CSV a text that a spreadsheet would take for a formula begins with an apostrophe; a number does not."""
        names = ["=1+1", "+1", "-1", "@x", "\tx", "plain"]
        store.write(Batch(spans=[span(RUN, n + 1, None, T0 + n, -1, name) for n, name in enumerate(names)]))
        store.export("spans", ALL, tmp_path / "x.csv", "csv")
        with (tmp_path / "x.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        assert [row["name"] for row in rows] == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "plain"]
        assert {row["duration_us"] for row in rows} == {"-1"}

    def test_all_rows_move_to_another_store(self, store: Store) -> None:
        """Rows come out in pieces and go into a store of the same engine once, with what was deleted and how far
        sources are read.
        """
        store.write(morning())
        store.write(
            Batch(
                logs=[mark(RUN, "metadata", score=0.5)], opened=[OpenRow("b" * 32, f"{1:016x}", None, T0, "on", "task")]
            )
        )
        store.delete(Subject("trace", OTHER_RUN), by="ada", at_us=T0 + DAY)
        with self.opened() as copy:
            assert copy_store(store, copy, "store", limit=4) == Copied(spans=5, logs=4, metrics=3)
            assert differences(store, copy) == []
            assert copy.span(RUN, f"{3:016x}") == store.span(RUN, f"{3:016x}")
            assert copy.traces(ALL).rows == store.traces(ALL).rows
            assert copy_store(store, copy, "store", limit=4) == Copied(resumed=True)
            copy.write(Batch(spans=[span(OTHER_RUN, 2, None, T0, SECOND, "again")]))
            assert differences(store, copy) == []
