"""What a scenario is, and what is said of a folder that is none."""

from __future__ import annotations

import ast

import pytest

from ai_dev_squad_parity.lab.scenario import (
    Cannot,
    Expected,
    Program,
    ScenarioError,
    columns,
    find_scenarios,
    load_program,
    load_scenario,
)
from ai_dev_squad_parity.lab.template import write

SPEC = """\
from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply

REQUEST = "hello"
SCENARIO = Scenario(
    name="ask", title="Ask", purpose="P.", script=lambda: Script([reply("hi")]),
    expected=Expected(answer="hi"), overrides={"crewai": Expected(answer="ho")},
)
"""


@pytest.fixture
def folder(tmp_path):
    """A scenario on LangGraph."""
    made = tmp_path / "ask"
    made.mkdir()
    (made / "spec.py").write_text(SPEC)
    (made / "on_langgraph.py").write_text(
        "from spec import REQUEST\ndef build(base_url, model): return base_url\ndef run(program): return REQUEST\n"
    )
    return made


def test_there_are_thirty_one():
    """The scenarios that come with the lab, the flagship among them, and ten from the wild."""
    assert list(find_scenarios()) == [
        "background_call", "budget_stop", "cached_and_reasoning", "cancel_and_timeout", "checkpoint_resume", "custom_model",
        "dev_squad", "embeddings_in_retriever", "handoff", "hedged_calls", "interrupt_and_resume", "isolation",
        "litellm_tool_turn", "loop", "memory", "model_error", "nested", "own_callbacks", "parallel_fan_out",
        "parallel_tools", "plain_call", "retry_after_429", "shared_tool", "stream_left_early", "streaming",
        "structured_cut", "structured_output", "supervisor", "thread_pool", "tool_call", "tool_error",
    ]  # fmt: skip


@pytest.mark.parametrize("name", find_scenarios())
def test_a_scenario_is_read_side_by_side(name):
    """Each has a purpose of one to three sentences, a program of at most 60 lines with one docstring for every framework, and
    a note wherever a framework is expected to do it otherwise.
    """
    folder = find_scenarios()[name]
    scenario = load_scenario(folder)
    assert 1 <= scenario.purpose.count(". ") + 1 <= 3
    assert scenario.purpose.endswith(".")
    assert set(scenario.overrides) <= set(scenario.notes)
    frameworks = columns(find_scenarios().values())
    assert set(scenario.notes) <= set(frameworks)
    for framework in frameworks:
        source = (folder / f"on_{framework}.py").read_text()
        assert len(source.splitlines()) <= 60
        assert max(map(len, source.splitlines())) <= 120
        module = ast.parse(source)
        functions = {node.name for node in module.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}
        assigned = {ast.unparse(node.targets[0]) for node in module.body if isinstance(node, ast.Assign)}
        assert ast.get_docstring(module)
        assert {"build", *scenario.phases} <= functions or "CANNOT" in assigned


@pytest.mark.parametrize("name", find_scenarios())
def test_a_scenario_is_read_without_the_frameworks(name):
    """`spec.py` and what says how a framework differs import nothing but the standard library and the lab, because the frameworks may live elsewhere."""
    folder = find_scenarios()[name]
    trees = [ast.parse(path.read_text()) for path in (folder / "spec.py", *folder.glob("expected_*.py"))]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    modules = [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    assert {module for module in modules if not module.startswith("ai_dev_squad")} <= {"dataclasses", "pathlib", "spec"}


def test_a_new_scenario_has_a_program_for_every_framework(tmp_path):
    """They are those of the plain call, and take nothing from its spec that a new one has not."""
    folder = write("my_task", tmp_path)

    programs = {path.name: path.read_text() for path in folder.glob("on_*.py")}
    assert {*programs} == {f"on_{name}.py" for name in columns(find_scenarios().values())}
    nodes = [node for text in programs.values() for node in ast.walk(ast.parse(text))]
    taken = [
        alias.name
        for node in nodes
        if isinstance(node, ast.ImportFrom) and node.module == "spec"
        for alias in node.names
    ]
    assert {*taken} == {"REQUEST", "SYSTEM"}
    assert load_scenario(folder).expected == Expected(answer="Paris", agents=("assistant",))


def test_a_folder_is_a_scenario_and_its_programs(folder):
    """A scenario is found by its folder or its folder's folder, and its program imports from its `spec.py`."""
    assert find_scenarios(folder) == find_scenarios(folder.parent) == {"ask": folder}
    scenario = load_scenario(folder)
    assert (scenario.expected_of("langgraph"), scenario.expected_of("crewai")) == (
        Expected(answer="hi"),
        Expected(answer="ho"),
    )
    program = load_program(folder, "langgraph")
    assert isinstance(program, Program)
    assert program.phases["run"](program.build("http://x", "m")) == "hello"


def test_programs_of_two_scenarios_do_not_mix(folder, tmp_path):
    """Each program has the `spec` of its own folder, whatever was loaded before."""
    other = tmp_path / "other" / "tell"
    other.mkdir(parents=True)
    (other / "spec.py").write_text(SPEC.replace('"hello"', '"tell"').replace('"ask"', '"tell"'))
    (other / "on_langgraph.py").write_text((folder / "on_langgraph.py").read_text())
    first, second = load_program(folder, "langgraph"), load_program(other, "langgraph")
    assert isinstance(first, Program)
    assert isinstance(second, Program)
    assert (first.phases["run"](None), second.phases["run"](None)) == ("hello", "tell")


def test_a_framework_says_for_itself_where_it_differs(folder):
    """`expected_<framework>.py` has a note, and an expectation made from the scenario's; the spec need not know of it."""
    ours = folder / "expected_pydantic_ai.py"
    ours.write_text(
        "from dataclasses import replace\nfrom spec import SCENARIO\n"
        "NOTE = 'It says more.'\nEXPECTED = replace(SCENARIO.expected, agents=('a',))\n"
    )
    (folder / "expected_agent_framework.py").write_text("NOTE = 'It waits.'\n")

    scenario = load_scenario(folder)

    assert scenario.expected_of("pydantic_ai") == Expected(answer="hi", agents=("a",))
    assert scenario.expected_of("agent_framework") == scenario.expected_of("langgraph") == Expected(answer="hi")
    assert scenario.notes == {"pydantic_ai": "It says more.", "agent_framework": "It waits."}


@pytest.mark.parametrize(
    "file, text, message",
    [
        ("expected_crewai.py", "NOTE = 'x'", "speaks of crewai, and spec.py does too; say it in one of them"),
        ("expected_autogen.py", "EXPECTED = None", 'needs NOTE = "why", and EXPECTED = Expected(...) where it differs'),
        ("expected_autogen.py", "NOTE = 'x'\nEXPECTED = 7", 'needs NOTE = "why", and EXPECTED = Expected(...) where it differs'),
    ],
)  # fmt: skip
def test_a_difference_that_cannot_be_read_names_the_cure(folder, file, text, message):
    """A framework is spoken of in one place, always with the reason."""
    (folder / file).write_text(text)
    with pytest.raises(ScenarioError) as raised:
        load_scenario(folder)
    assert str(raised.value) == f"{folder / file} {message}"


def test_the_columns_are_the_frameworks_that_have_a_program(folder):
    """One program makes a column, in the matrix's order; without any, each framework's is missing."""
    (folder / "on_autogen.py").write_text("")
    other = folder.parent / "tell"
    other.mkdir()
    (other / "on_crewai.py").write_text("")

    assert columns([folder]) == ("langgraph", "autogen")
    assert columns([folder, other]) == ("langgraph", "crewai", "autogen")
    assert len(columns([])) >= 6


def test_a_framework_may_say_that_it_cannot(folder):
    """`CANNOT` stands in the place of a program, with its source."""
    (folder / "on_crewai.py").write_text(
        "from ai_dev_squad_parity.lab.scenario import Cannot\nCANNOT = Cannot('no such thing', 'https://example.org')\n"
    )
    assert load_program(folder, "crewai") == Cannot("no such thing", "https://example.org", "framework")


@pytest.mark.parametrize(
    "spec,message",
    [
        ("SCENARIO = 7", "{folder}/spec.py has no SCENARIO = Scenario(...)"),
        (
            SPEC.replace('"ask"', '"other"'),
            "{folder}/spec.py names itself 'other'; use the folder's name 'ask'",
        ),
        ("1 / 0", "{folder}/spec.py cannot be loaded: ZeroDivisionError: division by zero"),
    ],
)
def test_a_malformed_scenario_names_the_cure(folder, spec, message):
    """What is wrong is said with the file that it is wrong in."""
    (folder / "spec.py").write_text(spec)
    with pytest.raises(ScenarioError) as raised:
        load_scenario(folder)
    assert str(raised.value) == message.format(folder=folder)


def test_a_missing_program_names_the_cure(folder):
    """No file, no function, no folder and no scenario each have their own sentence."""
    with pytest.raises(ScenarioError) as raised:
        load_program(folder, "autogen")
    assert str(raised.value) == (
        f"{folder}/on_autogen.py is missing; write it, or say in it why not: CANNOT = Cannot(reason, source)"
    )
    with pytest.raises(ScenarioError) as raised:
        load_program(folder, "langgraph", ("run", "resume"))
    assert str(raised.value) == (
        f"{folder}/on_langgraph.py has no function resume(); it needs build(base_url, model) and run, resume(program)"
    )
    with pytest.raises(ScenarioError) as raised:
        find_scenarios(folder / "nowhere")
    assert str(raised.value) == f"{folder}/nowhere is no folder; give one that holds scenarios (NAME/spec.py)"
    (folder / "empty").mkdir()
    with pytest.raises(ScenarioError) as raised:
        find_scenarios(folder / "empty")
    assert str(raised.value) == (f"{folder}/empty holds no scenario; `ai-dev-squad parity new NAME` writes a template")


def test_a_framework_that_is_not_installed_is_an_import_error(folder):
    """That is for the runner to explain, because it knows the environment."""
    (folder / "on_autogen.py").write_text("import no_such_framework\n")
    with pytest.raises(ImportError, match="no_such_framework"):
        load_program(folder, "autogen")
