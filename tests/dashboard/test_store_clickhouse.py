"""The store on ClickHouse keeps the contract, on the real engine behind HTTP."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from clickhouse_engine import new_url, requires_engine
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard.store.clickhouse.incoming import line_words
from ai_dev_squad_dashboard.store.rows import LogRow
from ai_dev_squad_dashboard.store.search_words import LONGEST
from ai_dev_squad_testing import StoreContract

_LENGTHS = st.one_of(st.integers(1, 9), st.integers(LONGEST - 1, LONGEST + 1), st.just(3 * LONGEST))


@given(st.lists(_LENGTHS, min_size=1, max_size=12))
def test_words_are_stored_as_long_as_they_are_compared(lengths: list[int]) -> None:
    """Whatever words stand beside one another, each is stored up to the length that a search looks at."""
    line = LogRow(0, "INFO", "log", " ".join("x" * length for length in lengths))
    assert line_words(line).split() == ["log", *("x" * min(length, LONGEST) for length in lengths)]


@requires_engine
class TestContract(StoreContract):
    """As it is used."""

    framework = "clickhouse"
    examples = 4  # a database of its own takes as long as hundreds of questions

    @contextmanager
    def place(self) -> Iterator[str]:
        yield new_url()
