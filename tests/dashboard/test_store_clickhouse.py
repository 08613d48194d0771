"""The store on ClickHouse keeps the contract, on the real engine behind HTTP."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings

sys.path.insert(0, str(Path(__file__).parent))

from clickhouse_engine import opened, requires_engine
from store_contract import FIGURES_OF_ROWS, SUMS_OF_ROWS, TRACES_OF_ROWS, Opens, StoreContract, StoreProperties

from ai_dev_squad_dashboard.store import Store


def few(test: Any, about: dict[str, Any]) -> Callable[..., None]:
    """The same property for fewer rows: a database of its own takes as long as hundreds of questions."""
    smaller = settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    return smaller(given(**about)(test.hypothesis.inner_test))


@requires_engine
class TestContract(StoreContract):
    """What is asked of known rows."""

    def opened(self) -> AbstractContextManager[Store]:
        return opened()


@requires_engine
class TestProperties(Opens):
    """What holds for any rows."""

    def opened(self) -> AbstractContextManager[Store]:
        return opened()

    test_sums_are_those_of_the_rows = few(StoreProperties.test_sums_are_those_of_the_rows, SUMS_OF_ROWS)
    test_figures_are_those_of_the_rows = few(StoreProperties.test_figures_are_those_of_the_rows, FIGURES_OF_ROWS)
    test_traces_are_those_of_the_rows = few(StoreProperties.test_traces_are_those_of_the_rows, TRACES_OF_ROWS)
