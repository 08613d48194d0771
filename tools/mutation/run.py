"""Change core's code in one place at a time, and say which changes no test notices:

    nox -s mutation -- prices --share 0.1
    nox -s mutation -- journal --only '*.rotation.*'
    nox -s mutation -- journal --survivors

mutmut wants the code in ``src/`` beside the tests, so each area is a copy of the tree, with core there, in ``.cache/mutation/``. What
was found stays in it: a further run tries the mutants that it is asked for again, on the code and the tests as they are now.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import shlex
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
CORE = Path("packages/core/src/ai_dev_squad")
PROMISED = 85.0
"""Percent of an area's mutants that are noticed."""
SLOW_S = 1.0
# A mutant that never ends, kills its process or cannot be imported ("interrupted") is noticed, too.
NOTICED = frozenset({"killed", "timeout", "segfault", "suspicious", "check was interrupted by user"})

NOT_RUN = 255
"""How mutmut's worker ends when pytest did not run; one that is stopped for its time ends by a signal."""


@dataclass(frozen=True)
class Area:
    """What is mutated, as patterns below ``ai_dev_squad``, and the tests that are to notice."""

    code: tuple[str, ...]
    tests: tuple[str, ...]
    without: tuple[str, ...] = ()
    """Tests that are not run: those about time and memory, which each mutant would take again; and those whose threads come and
    go by hundreds, where the context variable by which mutmut follows calls crashes Python 3.11."""
    built: tuple[str, ...] = ()
    """Functions that run once, when a module is imported or a pattern is compiled: a mutant that comes later changes nothing."""


AREAS = {
    "prices": Area(
        (
            *(f"costs/{name}.py" for name in ("money", "names", "tokens", "tracker")),
            *(f"costs/{name}/*" for name in ("prices", "ledger", "advice")),
        ),
        ("test_pricing*.py", "test_tracker.py", "test_tokens.py", "test_advice.py"),
    ),
    "budgets": Area(
        ("costs/budgets/*", "costs/stores/*"),
        ("test_budgets*.py", "test_budget_stores.py", "test_budget_ledgers.py"),
        (
            "tests/core/test_budgets_state.py::test_any_order_of_spending_and_flushing_adds_up",
            "tests/core/test_budget_stores.py::test_processes_and_threads_never_oversell",
        ),
    ),
    "redaction": Area(
        ("redaction*.py",),
        ("test_redaction*.py",),
        (
            "tests/core/test_redaction.py::test_no_text_makes_redaction_explode",
            "tests/core/test_redaction_values.py::test_a_field_of_two_hundred_megabytes_costs_what_its_visible_part_costs",
        ),
        built=("_anchored", "_families", "_is_brief", "_least_word", "_not_inside_a_word", "_plain", "_width"),
    ),
    "journal": Area(
        ("events/*",),
        ("test_journal*.py", "test_sanitise.py", "test_left_open.py", "test_filters.py", "test_logger*.py"),
        ("tests/core/test_journal.py::test_drops_are_counted_exactly_when_threads_compete",),
    ),
}


def prepare(area: Area, folder: Path) -> None:
    """Bring the copy up to what the tree is now. A file that is as it was keeps its time, by which mutmut knows what it has done."""
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "tests", "packages"]
    names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines()
    for name in (Path(name) for name in names):
        target = folder / ("src/ai_dev_squad" / name.relative_to(CORE) if name.is_relative_to(CORE) else name)
        content = (ROOT / name).read_bytes() if (ROOT / name).is_file() else None
        if content is None:
            target.unlink(missing_ok=True)
        elif not target.is_file() or target.read_bytes() != content:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    settings = {
        "source_paths": ["src"],
        "only_mutate": [f"src/ai_dev_squad/{pattern}" for pattern in area.code],
        "also_copy": ["packages"],
        "pytest_add_cli_args_test_selection": sorted(
            str(path.relative_to(ROOT)) for pattern in area.tests for path in (ROOT / "tests/core").glob(pattern)
        ),
        "pytest_add_cli_args": [
            *("-p", "no:cacheprovider", "--hypothesis-profile=mutants"),
            *(f"--deselect={name}" for name in area.without),
        ],
        "process_isolation": "forkserver",
        "timeout_multiplier": 5.0,
        "timeout_constant": 4.0,
        "use_git_change_detection": False,
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    workspace = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (folder / "pyproject.toml").write_text("\n".join([workspace, "[tool.mutmut]", *lines, ""]), encoding="utf-8")


def mutmut(folder: Path, *args: str, without: Iterable[str] = ()) -> subprocess.CompletedProcess[str]:
    """Run mutmut in the copy, without these tests. Processes that tests start import the mutants as well."""
    options = shlex.join(f"--deselect={name}" for name in without)
    paths = [str(HERE / "children"), str(folder / "mutants" / "src"), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "PYTEST_ADDOPTS": options}
    command = [str(Path(sys.executable).with_name("mutmut")), *args]
    return subprocess.run(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False
    )


def results(folder: Path) -> dict[str, str]:
    """Mutant → what became of it."""
    printed = mutmut(folder, "results", "--all", "true").stdout
    lines = [line.strip().rpartition(": ") for line in printed.splitlines() if "__mutmut_" in line]
    return {name: status for name, _, status in lines}


def not_run(folder: Path, names: Iterable[str]) -> list[str]:
    """The mutants whose tests pytest did not find, or could not start: mutmut says "timeout", as of those that never end.

    So it is where names of tests change when they are collected once more: pytest escapes a list of ``ids`` again each time.
    """
    codes: dict[str, int | None] = {}
    for file in (folder / "mutants" / "src").rglob("*.meta"):
        codes |= json.loads(file.read_text(encoding="utf-8"))["exit_code_by_key"]
    return [name for name in names if codes.get(name) == NOT_RUN]


def slow_tests(folder: Path) -> list[str]:
    """Those that took long when mutmut looked which tests run which function."""
    stats = json.loads((folder / "mutants" / "mutmut-stats.json").read_text(encoding="utf-8"))
    return [name for name, seconds in stats["duration_by_test"].items() if seconds > SLOW_S]


def tried(folder: Path, names: list[str], processes: int, *, quick: bool) -> dict[str, str]:
    """What became of these mutants: quick tests first, and all of them for what those don't notice."""
    left, found = names, {}
    for without in [slow_tests(folder)] if quick else [slow_tests(folder), []]:
        run = mutmut(folder, "run", f"--max-children={processes}", *left, without=without)
        if run.returncode:
            raise RuntimeError(f"mutmut ended with {run.returncode}: {run.stdout[-5_000:]}")
        if untold := not_run(folder, left):
            raise RuntimeError(
                f"the tests of {untold[0]} and {len(untold) - 1} others could not be run: do their names change?"
            )
        now = results(folder)
        found |= {name: now[name] for name in left}
        left = [name for name in left if now[name] not in NOTICED]
        print(f"{len(left)} of {len(names)} left after the {'quick' if without else 'other'} tests", flush=True)
        if not left:
            break
    return found


def chosen(found: Iterable[str], only: str, share: float, draw: str = "") -> list[str]:
    """The mutants to try. A share is the same ones each time, by the checksums of their names; another ``draw`` has others."""

    def drawn(name: str) -> bool:
        return zlib.crc32(f"{draw}{name}".encode()) % 10_000 < share * 10_000

    return [name for name in found if fnmatch.fnmatch(name, only) and drawn(name)]


def table(found: Mapping[str, str]) -> Iterable[str]:
    """Module by module: mutants tried, noticed, and their share of those tried."""
    every, noticed = Counter(map(_module, found)), Counter(_module(name) for name in found if found[name] in NOTICED)
    width = max(map(len, every), default=0)
    for module, count in sorted(every.items()):
        yield f"{module:{width}} {count:5} tried {noticed[module]:5} noticed {100 * noticed[module] / count:6.1f} %"


def _module(mutant: str) -> str:
    return mutant.rpartition(".")[0].removeprefix("ai_dev_squad.")


def _function(mutant: str) -> str:
    return mutant.rpartition(".")[2].partition("__mutmut_")[0].removeprefix("x_")


def main() -> int:
    """Try mutants, and print what no test noticed, the score by module, and the score."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("area", choices=AREAS)
    parser.add_argument("--share", type=float, default=1.0, help="of the mutants, between 0 and 1")
    parser.add_argument(
        "--draw", default="", help="a word; another one draws other mutants, which no test was written for"
    )
    parser.add_argument("--only", default="*", help="a pattern of mutants' names")
    parser.add_argument("--survivors", action="store_true", help="only those that no test noticed the last time")
    parser.add_argument("--quick", action="store_true", help=f"without the tests that take more than {SLOW_S:g} s")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 2)
    parser.add_argument("--folder", type=Path, default=ROOT / ".cache" / "mutation")
    options = parser.parse_args()
    folder = options.folder.resolve() / options.area
    # A folder on the path that is made only later would never be looked into.
    (folder / "mutants" / "src").mkdir(parents=True, exist_ok=True)
    os.nice(10)
    prepare(AREAS[options.area], folder)
    # No mutant is called so: this makes them and finds out which tests run which function.
    made = mutmut(folder, "run", "none", f"--max-children={options.processes}")
    found = results(folder)
    known = [name for name in found if _function(name) not in AREAS[options.area].built]
    kept = folder / "survivors.txt"
    before = kept.read_text(encoding="utf-8").split() if options.survivors and kept.is_file() else known
    names = chosen([name for name in known if name in set(before)], options.only, options.share, options.draw)
    if not (folder / "mutants" / "mutmut-stats.json").is_file() or not names:
        print(
            made.stdout[-20_000:], f"error: of {len(found)} mutants none is left to be tried", sep="\n", file=sys.stderr
        )
        return 2
    print(f"{len(names)} of {len(found)} mutants", flush=True)
    found = tried(folder, names, options.processes, quick=options.quick)
    survivors = [name for name in names if found[name] not in NOTICED]
    kept.write_text("\n".join(survivors), encoding="utf-8")
    print(*(mutmut(folder, "show", name).stdout for name in survivors), sep="\n")
    print(*table(found), sep="\n")
    score = 100 * sum(status in NOTICED for status in found.values()) / len(found)
    print(f"{options.area}: {score:.1f} % of {len(found)} mutants noticed, at least {PROMISED:.0f} % wanted")
    return int(score < PROMISED)


if __name__ == "__main__":
    sys.exit(main())
