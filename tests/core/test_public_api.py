"""The names that users import: what is promised is there, and nothing else is promised."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.metadata import version
from types import ModuleType

import pytest

import ai_dev_squad

MODULES = [
    "ai_dev_squad",
    "ai_dev_squad.attributes",
    "ai_dev_squad.context",
    "ai_dev_squad.costs",
    "ai_dev_squad.events",
    "ai_dev_squad.guard",
    "ai_dev_squad.invocation",
    "ai_dev_squad.wire.openai_usage",
    "ai_dev_squad.operations",
    "ai_dev_squad.patching",
    "ai_dev_squad.process",
    "ai_dev_squad.redaction",
    "ai_dev_squad.runtime",
    "ai_dev_squad.schema",
    "ai_dev_squad.settings",
    "ai_dev_squad.steps",
    "ai_dev_squad.tracing",
]


@pytest.mark.parametrize("name", MODULES)
def test_every_promised_name_can_be_imported(name: str) -> None:
    """Each module's ``__all__`` is complete, without duplicates, and sorted as the linter sorts it or by meaning."""
    module = importlib.import_module(name)

    assert [promised for promised in module.__all__ if not hasattr(module, promised)] == []
    assert len(set(module.__all__)) == len(module.__all__)


def test_the_names_of_the_package_are_the_names_of_its_table() -> None:
    """What is loaded on first use is what ``__all__`` promises, and type checkers are shown the same."""
    import ast
    from pathlib import Path

    assert sorted(ai_dev_squad._HOME_OF) == sorted(ai_dev_squad.__all__)
    tree = ast.parse(Path(str(ai_dev_squad.__file__)).read_text("utf-8"))
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    shown = {
        alias.name: str(node.module).removeprefix("ai_dev_squad.")
        for node in checked.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert shown == ai_dev_squad._HOME_OF


BEFORE = {
    "nothing": "",
    "its submodules": "import importlib; [importlib.import_module(f'ai_dev_squad.{home}') for home in ai_dev_squad._HOMES]",
    "use": "ai_dev_squad.configure(journal=False)",
    "from import": "[exec(f'from ai_dev_squad import {name}') for name in ai_dev_squad.__all__]",
}
CHECK = """
import types, ai_dev_squad
{before}
found = {{name: getattr(ai_dev_squad, name) for name in {names}}}
assert not [name for name in found if isinstance(found[name], types.ModuleType)]
assert all(getattr(ai_dev_squad, name) is value for name, value in found.items())
print("done")
"""


@pytest.mark.parametrize("before", BEFORE)
def test_a_name_is_the_same_whatever_was_loaded_before(before: str) -> None:
    """No submodule ever stands in the place of a function: importing one sets an attribute of the package."""
    for names in (ai_dev_squad.__all__, ai_dev_squad.__all__[::-1]):
        done = subprocess.run(
            [sys.executable, "-c", CHECK.format(before=BEFORE[before], names=names)],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("done\n", "")


def test_dir_lists_what_there_is() -> None:
    """Completion in a shell shows every public name before any was loaded, sorted."""
    done = subprocess.run(
        [sys.executable, "-c", "import ai_dev_squad; print(*dir(ai_dev_squad))"],
        capture_output=True,
        text=True,
        check=True,
    )
    names = done.stdout.split()

    assert set(ai_dev_squad.__all__) - set(names) == set()
    assert names == sorted(names)


def test_an_unknown_name_is_an_attribute_error() -> None:
    """As for any module; ``hasattr`` and ``from ... import`` behave."""
    with pytest.raises(AttributeError, match=r"\Amodule 'ai_dev_squad' has no attribute 'observe_everything'\Z"):
        ai_dev_squad.observe_everything  # noqa: B018 - looking it up is the test
    with pytest.raises(ImportError, match="cannot import name 'nobody'"):
        from ai_dev_squad import nobody  # noqa: F401
    assert not hasattr(ai_dev_squad, "__path__x")


def test_the_version_is_that_of_the_distribution() -> None:
    """``__version__`` is read where it stands once."""
    assert ai_dev_squad.__version__ == version("ai-dev-squad")


def test_the_guides_names_are_all_there() -> None:
    """Every name that the developer guide imports from one place can be imported from the package."""
    guide = """
        Budget BudgetManager CostEntry CostTracker EventFilter EventType LogEvent LogLevel ModelPricing ModelProvider
        OptimizedCostTracker StructuredLogger TraceManager configure_cost_tracking configure_logging configure_tracing
        get_cost_tracker get_logger get_trace_manager trace_function
    """

    assert set(guide.split()) - set(ai_dev_squad.__all__) == set()


def test_no_public_name_is_a_module() -> None:
    """What users import are classes and functions."""
    assert [name for name in ai_dev_squad.__all__ if isinstance(getattr(ai_dev_squad, name), ModuleType)] == []
