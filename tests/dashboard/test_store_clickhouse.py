"""The store on ClickHouse keeps the contract, on the real engine behind HTTP."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from clickhouse_engine import new_url, requires_engine

from ai_dev_squad_testing import StoreContract


@requires_engine
class TestContract(StoreContract):
    """As it is used."""

    framework = "clickhouse"
    examples = 4  # a database of its own takes as long as hundreds of questions

    @contextmanager
    def place(self) -> Iterator[str]:
        yield new_url()
