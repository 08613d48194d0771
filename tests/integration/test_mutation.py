"""Which mutants are tried, and what is said of them; mutmut itself is run by `nox -s mutation`."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"ai_dev_squad.costs.{module}.x_f__mutmut_{number}" for module in ("money", "names") for number in range(500)]


@pytest.fixture(scope="module")
def run() -> ModuleType:
    """The program."""
    spec = importlib.util.spec_from_file_location("mutation_run", ROOT / "tools" / "mutation" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_each_area_names_code_and_tests_that_are_there(run: ModuleType) -> None:
    """A module that was renamed is noticed here, and not by a score that grew."""
    core = ROOT / "packages" / "core" / "src" / "ai_dev_squad"
    wanted = [
        *(core / pattern for area in run.AREAS.values() for pattern in area.code),
        *(ROOT / "tests" / "core" / pattern for area in run.AREAS.values() for pattern in area.tests),
        *(ROOT / name.partition("::")[0] for area in run.AREAS.values() for name in area.without),
    ]

    assert [str(path) for path in wanted if not list(path.parent.glob(path.name))] == []


def test_a_share_is_the_same_in_each_run_and_of_every_module(run: ModuleType) -> None:
    """Drawn by names: a smaller share is a part of a larger one, a pattern narrows it, and another word draws others."""
    tenth, half = run.chosen(NAMES, "*", 0.1), run.chosen(NAMES, "*", 0.5)

    assert run.chosen(NAMES, "*", 1.0) == NAMES
    assert run.chosen(NAMES, "*", 0.0) == []
    assert set(tenth) < set(half)
    assert [60 < len(run.chosen(NAMES, f"*.{module}.*", 0.2)) < 140 for module in ("money", "names")] == [True, True]
    assert 0 < len(set(tenth) & set(run.chosen(NAMES, "*", 0.1, "other"))) < len(tenth) / 2
    assert run.chosen(NAMES, "*.money.*", 0.1) == [name for name in tenth if ".money." in name]


def test_what_never_ends_is_noticed_and_what_no_test_reaches_is_not(run: ModuleType) -> None:
    """The score of a module is of all that were tried."""
    found = dict(zip(NAMES[:4], ("killed", "timeout", "survived", "no tests"), strict=True)) | {NAMES[500]: "segfault"}

    assert list(run.table(found)) == [
        "costs.money     4 tried     2 noticed   50.0 %",
        "costs.names     1 tried     1 noticed  100.0 %",
    ]


def test_a_mutant_whose_tests_were_not_found_is_not_noticed_but_an_error(run: ModuleType, tmp_path: Path) -> None:
    """To mutmut both are time-outs; one that never ends is stopped by a signal, and pytest that finds no test says so at once."""
    kept = tmp_path / "mutants" / "src" / "ai_dev_squad" / "costs" / "money.py.meta"
    kept.parent.mkdir(parents=True)
    codes = dict(zip(NAMES[:6], (1, 0, -24, 255, None, 255), strict=True))
    kept.write_text(json.dumps({"exit_code_by_key": codes}), encoding="utf-8")

    assert run.not_run(tmp_path, NAMES[:5]) == [NAMES[3]]
