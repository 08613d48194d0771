"""Every input that once broke a receiver, read again: see tools/fuzz."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

FUZZ = Path(__file__).parents[2] / "tools" / "fuzz"
INPUTS = sorted((FUZZ / "corpus").glob("*/*"))


@pytest.fixture(scope="module")
def targets() -> ModuleType:
    """The functions that fuzzing calls, by receiver."""
    spec = importlib.util.spec_from_file_location("fuzz_targets", FUZZ / "targets.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_receiver_has_a_corpus(targets: ModuleType):
    """No receiver is fuzzed from nothing, and no corpus is without its receiver."""
    assert {each.parent.name for each in INPUTS} == set(targets.TARGETS)


@pytest.mark.parametrize("path", INPUTS, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_what_once_broke_a_receiver_is_taken_or_refused(targets: ModuleType, path: Path):
    """It ends as the receiver says: in rows, in a rejection, or in the error for what is no request."""
    targets.TARGETS[path.parent.name](path.read_bytes())
