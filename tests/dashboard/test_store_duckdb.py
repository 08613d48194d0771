"""The embedded store keeps the contract, in memory and in a file, with roll-ups after few spans and after many."""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # what a second engine's tests do as well

from ai_dev_squad_dashboard.store import Store, open_memory_store
from ai_dev_squad_dashboard.store.base import Facets
from ai_dev_squad_dashboard.store.duckdb_file import File
from ai_dev_squad_dashboard.store.duckdb_store import DuckDBStore
from ai_dev_squad_dashboard.store.percentiles import bin_of, percentiles, upper_us
from ai_dev_squad_dashboard.store.rows import Batch, SpanRow
from ai_dev_squad_dashboard.store.series import OTHER
from ai_dev_squad_testing import StoreContract
from ai_dev_squad_testing.store_contract import StoreProperties
from ai_dev_squad_testing.store_contract.sample import ALL, T0, span


class TestInMemory(StoreProperties):
    """As tests of pages use it: everything is read from spans."""

    @contextmanager
    def place(self) -> Iterator[str]:
        yield "nowhere"

    def open(self, place: str) -> Store:
        return open_memory_store()


class TestRolledUpEarly(TestInMemory):
    """As a full store works: nearly everything is read from roll-ups."""

    def open(self, place: str) -> Store:
        return DuckDBStore(File(None, 256), roll_every=5)


class TestInAFile(StoreContract):
    """As it is used."""

    framework = "duckdb"
    examples = 2  # in memory more are tried

    @contextmanager
    def place(self) -> Iterator[str]:
        with tempfile.TemporaryDirectory() as directory:
            yield str(Path(directory, "store.duckdb"))

    def open(self, place: str) -> Store:
        path = Path(place)
        return DuckDBStore(File(path, 256), roll_every=3, index=path.with_suffix(".search"))


def test_the_table_of_spans_has_the_fields_of_a_row() -> None:
    """Every field of a row has a column of its name and kind, and comes back as it went in, but for the excerpts of its trace and what its input carried."""
    given = SpanRow(
        **{
            name: {str: name, int: place + 1, float: place + 0.5, bytes: b"{}"}.get(_kind_of(kind), "ok")
            for place, (name, kind) in enumerate(get_type_hints(SpanRow).items())
        }
    )._replace(trace_id="1" * 32, span_id="2" * 16, parent_span_id="3" * 16, start_us=T0, carried=())
    store = open_memory_store()
    store.write(Batch([given]))
    found = store.span(given.trace_id, given.span_id)
    store.close()
    assert found == (given._replace(asked=None, answered=None), ())


def _kind_of(annotation: Any) -> Any:
    """What a field holds besides nothing; none of these for a choice of words."""
    return next((given for given in get_args(annotation) if given in {str, int, float, bytes}), annotation)


def test_names_beyond_the_limit_are_put_together() -> None:
    """With too many combinations of names, further ones are summed as ``(other)``, counted, and lost to no total."""
    store = DuckDBStore(File(None, 256), max_series=3, roll_every=1)
    rows = [
        span(
            f"{n:032x}", 1, None, T0 + n, 1, "x", operation="chat", usage_source="provider", model=f"m{n}", cost_usd=1.0
        )
        for n in range(1, 9)
    ]
    for row in rows:
        store.write(Batch(spans=[row]))

    assert store.facets(ALL) == Facets((), (), (OTHER, "m1", "m2", "m3"), (), (), ())
    assert {group.key: group.calls for group in store.groups(ALL, "model")} == {OTHER: 5, "m1": 1, "m2": 1, "m3": 1}
    assert store.totals(ALL).cost_usd == 8.0
    assert (store.state().series, store.state().series_dropped) == (4, 5)
    trace = store.trace(rows[-1].trace_id)
    assert trace is not None
    assert trace.spans[0].model == "m8"
    store.close()


@pytest.mark.parametrize("duration_us", [0, 1, 2, 3, 1000, 123_456, 60_000_000, 86_400_000_000])
def test_a_bin_tells_a_duration_to_five_percent(duration_us: int) -> None:
    """A duration lies in its bin, and the bin's middle is at most 5 % (or one microsecond) away."""
    number = bin_of(duration_us)
    assert duration_us <= upper_us(number) + 1
    assert percentiles({number: 3}, 0.5) == pytest.approx((max(duration_us, 1),), rel=0.05, abs=1)


def test_a_checkpoint_waits_for_what_the_engine_is_not_done_with(tmp_path: Path) -> None:
    """A transaction that is about to end puts a checkpoint off, and fails nothing."""
    file = File(tmp_path / "store.duckdb", 256)
    store = DuckDBStore(file)
    store.write(Batch(spans=[span("a" * 32, 1, None, T0, 1, "x")]))
    other = file._connection.cursor()
    other.execute("BEGIN; UPDATE spans SET name = 'other'")
    ending = threading.Timer(0.1, other.execute, ("ROLLBACK",))
    ending.start()
    file.checkpoint()
    ending.join()
    assert file.log_is_gone()
    store.close()
