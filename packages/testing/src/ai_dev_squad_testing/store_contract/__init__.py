"""One suite of tests that every engine for the dashboard's store passes, whoever wrote it.

An engine's tests inherit ``StoreContract`` and say where an empty store is; see the page "Add a store" of the documentation.
"""

from __future__ import annotations

import pkgutil
from typing import Any

import pytest

# Before they are imported, so that a failed assertion shows its values as it does in a test file.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

from ai_dev_squad_testing.contract_rules import check_tests  # noqa: E402
from ai_dev_squad_testing.store_contract.beside import Beside  # noqa: E402
from ai_dev_squad_testing.store_contract.lists import Lists  # noqa: E402
from ai_dev_squad_testing.store_contract.logs import Logs  # noqa: E402
from ai_dev_squad_testing.store_contract.properties import StoreProperties  # noqa: E402
from ai_dev_squad_testing.store_contract.runs import Runs  # noqa: E402
from ai_dev_squad_testing.store_contract.sums import Sums  # noqa: E402
from ai_dev_squad_testing.store_contract.traces import Traces  # noqa: E402
from ai_dev_squad_testing.store_contract.upkeep import Kept  # noqa: E402
from ai_dev_squad_testing.store_contract.writing import WhatIsWritten  # noqa: E402

__all__ = ["StoreContract", "StoreProperties"]


class StoreContract(Sums, Beside, Lists, Traces, Runs, Logs, WhatIsWritten, Kept, StoreProperties):
    """What an engine must answer, as tests. Inherit it as ``class TestMyEngine(StoreContract)``.

    A subclass sets ``framework``, the engine's name, and writes ``place``: a block that gives the URL of a store that
    is not there yet. What the engine lacks it says itself (``Store.lacks``, of the names in ``CAPABILITIES``), and the
    tests that need it are skipped. It may not delete or replace a test, except as an expected failure that says why:
    ``@pytest.mark.xfail(strict=True, reason="...")``. Anything else raises ``TypeError`` when the class is made. Needs
    the extra ``store-contract``.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        check_tests(cls, StoreContract)
