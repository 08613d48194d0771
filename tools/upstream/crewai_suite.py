"""Run CrewAI's own test suite twice, unobserved and with everything observed, and compare.

What must hold, and how it's checked, is the same as for LangGraph: see ``langgraph_suite``. Besides, hundreds of the
tests play recorded answers of model services: the tokens counted may never exceed what these answers say.

    python tools/upstream/crewai_suite.py [--no-spans] [pytest arguments]

The suite is the one of the *installed* version, taken from its source distribution on the package index, laid out as
in CrewAI's repository. What it needs to run stands here, because that distribution doesn't say.
"""

from __future__ import annotations

import fnmatch
import importlib.metadata
import json
import os
import shutil
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from langgraph_suite import (
    HERE,
    Run,
    details,
    differs,
    fetch,
    install,
    judge,
    run_pytest,
    run_unobserved,
    suite_parser,
    table,
    under_test,
)

PACKAGE = "crewai"
FILES = "crewai-files"  # its tests have the pictures and documents that CrewAI's ask models about
NEEDS = (
    "crewai[a2a,anthropic,azure-ai-inference,bedrock,embeddings,file-processing,google-genai,litellm,openpyxl]=={version}",
    "crewai-tools=={version}",
    "pytest==9.0.3",
    "pytest-asyncio==1.3.0",
    "pytest-recording==0.13.4",
    "pytest-subprocess",
    "pytest-timeout",
    "pytest-xdist",
    "vcrpy==8.2.1",
)
INI = """[pytest]
asyncio_mode = strict
asyncio_default_fixture_loop_scope = function
"""
ARGUMENTS = ("--dist=loadfile", "--timeout=60", "--block-network", "--import-mode=importlib", "--max-worker-restart=2")

Compared = Mapping[str, Mapping[str, Sequence[int]]]

REFUSED = "OpenAI's client throws away an answer that doesn't fit the class asked for: CrewAI never sees its tokens"
MOCKED = "the test has a mock in the place of CrewAI's events"
BEFORE = "what is embedded while a crew is made belongs to no run"
REASONS = {
    "*::test_planning_handles_sequential_dependency_task": REFUSED,
    "*::test_crew_train_success": REFUSED,
    "*::test_memory_events_are_emitted": REFUSED,
    "*::test_using_memory*": REFUSED,
    "*/test_project.py::*_kickoff*": REFUSED,  # what is saved to memory after the kick-off
    "*/test_task.py::test_*_json*": REFUSED,
    "*/test_task.py::test_save_task_pydantic_output": REFUSED,
    "*::test_crew_with_knowledge_sources_works_with_copy": BEFORE,
    "*/test_tool_call_streaming.py::*": MOCKED,
    "*::test_handle_streaming_tool_calls*": MOCKED,
}
"""Why fewer tokens are counted than were recorded, by test. No reason makes more of them right."""


def install_test_dependencies(work: Path, version: str) -> None:
    """Install what the suite needs, without moving a version under test."""
    # LiteLLM wants one very release of tiktoken, which no observed program has anything to do with.
    kept = [line for line in under_test(PACKAGE) if not line.startswith("tiktoken==")]
    install(work, kept, *(need.format(version=version) for need in NEEDS))


def tokens_compared(observed: Path) -> dict[str, dict[str, list[int]]]:
    """What the workers of an observed run left about tokens, of all tests."""
    compared = {}
    for path in sorted(observed.glob("*/tokens.json")):
        compared |= json.loads(path.read_text(encoding="utf-8"))
    return compared


def verdicts_on_tokens(compared: Compared) -> dict[str, str]:
    """A word for each test: ``equal``, ``less``, ``nothing`` when no call was counted, or ``more``, which may not be."""
    words = {}
    for test, both in compared.items():
        recorded, counted = both["recorded"][:2], both["counted"][:2]
        if list(recorded) == list(counted):
            words[test] = "equal"
        elif any(ours > theirs for ours, theirs in zip(counted, recorded, strict=True)):
            words[test] = "more"
        else:
            words[test] = "less" if any(counted) else "nothing"
    return words


def table_of_tokens(compared: Compared, words: Mapping[str, str]) -> str:
    """The comparison as a Markdown table."""
    rows = [("tokens counted, against recorded answers", "tests", "recorded in / out", "counted in / out")]
    rows += [("---", "--:", "--:", "--:")]
    for word in ("equal", "less", "nothing", "more"):
        tests = [test for test in compared if words[test] == word]
        sums = [
            " / ".join(f"{sum(compared[test][side][place] for test in tests):,}" for place in (0, 1))
            for side in ("recorded", "counted")
        ]
        rows += [(word, f"{len(tests):,}", *sums)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def reason_for(test: str, word: str) -> str | None:
    """Why this test's counted tokens are fewer than the recorded; ``None`` when that isn't known."""
    if word not in {"less", "nothing"}:
        return None
    return next((reason for pattern, reason in REASONS.items() if fnmatch.fnmatch(test, pattern)), None)


def exceptions_of_tokens(compared: Compared, words: Mapping[str, str]) -> list[str]:
    """Every test whose counted tokens aren't those of the recorded answers, and why."""
    tests = sorted((words[test], test) for test in compared if words[test] != "equal")
    return [
        f"  {word}: {test}: recorded {tuple(compared[test]['recorded'])}, counted {tuple(compared[test]['counted'])}: "
        f"{reason_for(test, word) or 'NOT EXPLAINED'}"
        for word, test in tests
    ]


def failing_either_way(unobserved: Run, observed: Run) -> list[str]:
    """The tests that fail unobserved as well, counted by file and outcome."""
    files = Counter(
        (test.partition("::")[0], outcome)
        for test, outcome in unobserved.outcomes.items()
        if outcome in {"failed", "error"} and observed.outcomes.get(test) == outcome
    )
    return [f"  {file}: {count} {outcome}" for (file, outcome), count in sorted(files.items())]


def main(argv: Sequence[str] | None = None) -> int:
    parser = suite_parser(__doc__, "ai_dev_squad_crewai._marks:mark", workers=4)
    options, arguments = parser.parse_known_args(argv)
    os.environ["UPSTREAM_PLUGIN"] = "observe_crewai_plugin"
    if options.no_spans:
        os.environ["UPSTREAM_SPANS"] = "off"

    version = importlib.metadata.version(PACKAGE)
    work = options.cache.resolve() / f"{PACKAGE}-{version}"
    work.mkdir(parents=True, exist_ok=True)
    if not options.no_install:
        install_test_dependencies(work, version)
    suite = fetch(PACKAGE, version, work / "lib", PACKAGE)
    fetch(FILES, importlib.metadata.version(FILES), work / "lib", FILES)
    shutil.copy(HERE / "crewai_conftest.py", suite / "conftest.py")
    # Its own settings: without any, pytest would take those of a directory above.
    (suite / "pytest.ini").write_text(INI, encoding="utf-8")
    arguments = ["-n", str(options.workers), "-c", "pytest.ini", *ARGUMENTS, *(arguments or ["tests"])]

    unobserved = run_unobserved(suite, arguments, work / "unobserved")
    observed = run_pytest(suite, arguments, work / "observed", options.observe)
    compared = tokens_compared(work / "observed" / "observed")
    verdicts = judge(suite, work, options.observe, unobserved, observed, options.reruns)
    words = verdicts_on_tokens(compared)
    print(table(PACKAGE, version, unobserved, observed, verdicts))
    print(*details(observed, verdicts), sep="\n")
    print("", "tests that fail both ways, by file:", *failing_either_way(unobserved, observed), sep="\n")
    print("", table_of_tokens(compared, words), "", *exceptions_of_tokens(compared, words), sep="\n")
    print(f"\nEverything is in {work}")
    return int(failed(observed, verdicts, words))


def failed(observed: Run, verdicts: Mapping[str, str], words: Mapping[str, str]) -> bool:
    """Whether anything was found that may not be."""
    explained = all(word == "equal" or reason_for(test, word) for test, word in words.items())
    return not explained or differs(observed, verdicts)


if __name__ == "__main__":
    sys.exit(main())
