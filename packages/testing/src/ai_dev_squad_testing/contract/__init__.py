"""One suite of tests that every adapter passes, whoever wrote it.

An adapter's tests inherit ``AdapterContract`` and say how a few small programs are made and run in
the framework; see the page "Write an adapter" of the documentation.
"""

from __future__ import annotations

import pkgutil
from typing import Any

import pytest

# Before they are imported, so that a failed assertion shows its values as it does in a test file.
pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))

from ai_dev_squad_testing.contract.concurrency import Concurrency  # noqa: E402
from ai_dev_squad_testing.contract.endings import Endings  # noqa: E402
from ai_dev_squad_testing.contract.failures import Failures  # noqa: E402
from ai_dev_squad_testing.contract.isolation import Isolation  # noqa: E402
from ai_dev_squad_testing.contract.line_format import LineFormat  # noqa: E402
from ai_dev_squad_testing.contract.loops import Loops  # noqa: E402
from ai_dev_squad_testing.contract.manners import Manners  # noqa: E402
from ai_dev_squad_testing.contract.numbers import Numbers  # noqa: E402
from ai_dev_squad_testing.contract.reach import Reach  # noqa: E402
from ai_dev_squad_testing.contract.rules import check  # noqa: E402
from ai_dev_squad_testing.contract.tree import Tree  # noqa: E402
from ai_dev_squad_testing.contract.truth import Truth  # noqa: E402

__all__ = ["AdapterContract"]


class AdapterContract(
    Truth, Numbers, Reach, Tree, Failures, Endings, Manners, Loops, Isolation, LineFormat, Concurrency
):
    """What an adapter must hold, as tests. Inherit it as ``class TestMyAdapter(AdapterContract)``.

    A subclass sets ``framework`` and writes ``observe``, ``unobserve``, the programs (``asking``, ``with_tool``,
    ``two_agents``, ``in_parallel``, ``working``) and how they are run (``run``, ``arun``, ``stream``, ``astream``); what
    the framework cannot do goes into ``lacks``, with the reason. It may not delete or replace a test, except as an
    expected failure that says why: ``@pytest.mark.xfail(strict=True, reason="...")``. Anything else raises ``TypeError``
    when the class is made. Needs the extra ``contract``.
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        check(cls, AdapterContract)
