"""The contract of adapters binds those who inherit it, and finds out adapters that do not hold it."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from ai_dev_squad_testing import AdapterContract
from ai_dev_squad_testing.contract.framework import FEATURES

NAME = "test_a_failing_tool"


def replacing(**members: Any) -> type:
    """A subclass of the contract with these members."""
    return type("TestMine", (AdapterContract,), members)


def mark(kind: str, **options: Any) -> pytest.MarkDecorator:
    """A mark that this repository itself would not accept."""
    return getattr(pytest.mark, kind)(**options)


def marked(*marks: pytest.MarkDecorator) -> Any:
    """A test with these marks."""

    def test(self: Any) -> None:
        """Nothing."""

    for mark in marks:
        test = mark(test)
    return test


def test_an_ordinary_subclass_is_accepted():
    """Programs, verbs, fixtures and tests of its own are a subclass's business."""
    mine = replacing(framework="mine", run=lambda self, program, question: "", test_something_of_mine=marked())

    assert issubclass(mine, AdapterContract)


@pytest.mark.parametrize(
    "replacement",
    [
        pytest.param(None, id="deleted"),
        pytest.param(marked(), id="replaced"),
        pytest.param(marked(pytest.mark.skip(reason="slow")), id="skipped"),
        pytest.param(marked(pytest.mark.xfail(reason="not yet")), id="expected to fail, or not"),
        pytest.param(marked(mark("xfail", strict=True)), id="expected to fail, nobody knows why"),
        pytest.param(marked(pytest.mark.xfail(strict=True, reason=" ")), id="expected to fail for a blank"),
    ],
)
def test_a_test_of_the_contract_cannot_be_replaced(replacement):
    """Deleting, replacing or skipping a test is refused, with the cure."""
    with pytest.raises(TypeError, match=rf"TestMine replaces {NAME}.*xfail\(strict=True, reason="):
        replacing(**{NAME: replacement})


def test_a_test_cannot_be_replaced_through_another_base_class():
    """What comes first in the order of classes counts, wherever it is written."""
    other = type("Other", (), {NAME: marked()})

    with pytest.raises(TypeError, match=f"TestMine replaces {NAME}"):
        type("TestMine", (other, AdapterContract), {})


def test_a_test_may_be_expected_to_fail_for_a_reason():
    """A strict xfail with a reason is allowed, also in a subclass of the subclass."""
    mine = replacing(**{NAME: marked(pytest.mark.xfail(strict=True, reason="the framework hides the error"))})

    assert issubclass(type("TestMore", (mine,), {}), AdapterContract)


@pytest.mark.parametrize(
    "members",
    [
        pytest.param({"pytestmark": pytest.mark.skip(reason="later")}, id="skip"),
        pytest.param({"pytestmark": [pytest.mark.xfail(reason="later")]}, id="xfail"),
        pytest.param({"__test__": False}, id="not collected"),
    ],
)
def test_the_contract_as_a_whole_cannot_be_switched_off(members):
    """A mark on the class would hide every test at once."""
    with pytest.raises(TypeError, match="TestMine switches the whole contract off"):
        replacing(**members)


@pytest.mark.parametrize(
    "lacks, message",
    [
        pytest.param({"telepathy": "no"}, r"lacks has 'telepathy'; allowed: run, arun, .*working", id="unknown"),
        pytest.param({"stream": ""}, r"lacks\['stream'\] must say why", id="no reason"),
        pytest.param({"run": "a", "arun": "b"}, "lacks both 'run' and 'arun'", id="cannot run at all"),
    ],
)
def test_what_a_framework_lacks_has_a_name_and_a_reason(lacks, message):
    """Tests are only skipped for a named feature, with a reason."""
    with pytest.raises(TypeError, match=message):
        replacing(lacks=lacks)


@pytest.mark.parametrize("name", sorted(FEATURES))
def test_what_is_neither_written_nor_lacking_is_named(name):
    """A forgotten method says how it is called and what the other way is."""
    mine: Any = replacing()()
    arguments = ("url", None) if name in {"run", "arun", "stream", "astream", "observe_as", "with_tool"} else ("url",)

    with pytest.raises(NotImplementedError, match=rf"TestMine must have a method '{name}', or say why not: lacks = "):
        result = getattr(mine, name)(*arguments)
        result.send(None)  # `arun` is a coroutine


def test_the_contract_itself_is_not_collected(tmp_path):
    """Importing it into a test module adds no tests; importing `testing` alone does not import pytest."""
    program = "import sys, ai_dev_squad_testing; print('pytest' in sys.modules)"
    printed = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert printed.stdout == "False\n"

    summary = pytest_on(tmp_path, "from ai_dev_squad_testing import AdapterContract")
    assert "no tests ran" in summary


def pytest_on(folder: Path, text: str, *options: str) -> str:
    """The report of pytest, in a process of its own, on a module of this text."""
    (folder / "test_mine.py").write_text(textwrap.dedent(text), encoding="utf-8")
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "-o",
        "addopts=",
        *options,
        "test_mine.py",
    ]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False).stdout


UNOBSERVED = '''
    """An adapter that does nothing, of a framework that is a function."""
    import contextlib, types
    import openai
    from ai_dev_squad_testing import AdapterContract

    class Program:
        def __init__(self, base_url):
            self.base_url = base_url

    class TestNothing(AdapterContract):
        framework = "nothing"
        lacks = dict.fromkeys(["arun", "astream", "two_agents", "in_parallel", "with_tool", "observe_as"], "it is tiny")
        trivial_runs, concurrent_runs, model_runs = 100, 5, 10

        def observe(self, program):
            return program

        unobserve = observe

        def asking(self, base_url, *, streaming=False, model="gpt-4o-mini"):
            return lambda question, stream=False: ask(base_url, question, stream, model)

        def working(self, work):
            return lambda question: work()

        def run(self, program, question):
            return str(program(question))

        def stream(self, program, question):
            yield from program(question, True)

    def ask(base_url, question, stream, model):
        with openai.OpenAI(base_url=base_url, api_key="any") as client:
            messages = [{"role": "user", "content": question}]
            answer = client.chat.completions.create(model=model, messages=messages, stream=stream)
            if stream:
                return [chunk.choices[0].delta.content or "" for chunk in answer if chunk.choices]
            return answer.choices[0].message.content
'''


def test_an_adapter_that_does_nothing_is_found_out(tmp_path):
    """Only what any program passes unobserved is passed by an adapter that is none."""
    report = pytest_on(tmp_path, UNOBSERVED, "-rA", "--tb=no")
    passed = {
        line.partition("::test_")[2].partition("[")[0] for line in report.splitlines() if line.startswith("PASSED")
    }

    assert passed == {
        "a_program_can_be_copied_as_before",
        "a_program_looks_as_before",
        "a_result_is_that_of_the_unobserved_program",
        "an_observed_program_is_of_the_type_it_was",
        "between_pieces_the_context_is_the_callers",
        "memory_stays_flat_over_many_programs",
        "memory_stays_flat_over_many_runs",
        "one_setting_switches_everything_off",
        "what_was_never_observed_stays_quiet",
    }
