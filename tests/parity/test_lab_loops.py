"""No cell may raise a false alarm of the loop guard: what raises one that nobody expects turns red."""

from __future__ import annotations

from pathlib import Path

from ai_dev_squad_parity.lab.fork_server import preloaded
from ai_dev_squad_parity.lab.runner import Plan, run

SPEC = """\
from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, call, reply, role, system_contains, tokens, tool_calls

again = [tool_calls(call("look_up", word="fig"), usage=tokens(120, 18))] * 6
SCENARIO = Scenario(
    name="{name}",
    title="T",
    purpose="P",
    script=lambda: Script([role("clerk", system_contains("clerk"), *again, reply("nothing", usage=tokens(160, 9)))]),
    expected=Expected(answer="nothing", agents=("clerk",), tools=(("look_up", {{"word": "fig"}}),) * 6, loops={loops}),
)
"""

PROGRAM = """\
from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient


def look_up(word: str) -> str:
    \"\"\"Look a word up.\"\"\"
    return "nothing found"


def build(base_url, model):
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return AssistantAgent(
        "clerk", client, tools=[look_up], max_tool_iterations=7, system_message="You are the clerk."
    )


async def run(agent):
    return (await agent.run(task="What is a fig?")).messages[-1].content
"""


def scenario(folder: Path, loops: int) -> Path:
    """An agent looks the same word up six times, and finds nothing each time."""
    folder.mkdir()
    (folder / "spec.py").write_text(SPEC.format(name=folder.name, loops=loops))
    (folder / "on_autogen.py").write_text(PROGRAM)
    return folder


def test_an_alarm_that_nobody_expects_turns_a_cell_red(tmp_path):
    """The same program passes where a scenario expects the alarm, and fails by this check alone where it expects none."""
    scenarios = {name: scenario(tmp_path / name, loops) for name, loops in {"foreseen": 1, "unforeseen": 0}.items()}
    matrix = run(Plan(scenarios, ("autogen",), jobs=2, preload=preloaded("ours")))

    said = "clerk is in a loop: look_up, 5 times with the same arguments and results; 5 model calls, 690 tokens, "
    red = {cell.scenario: [check.name for check in cell.checks if not check.ok] for cell in matrix.cells}
    assert red == {"foreseen": [], "unforeseen": ["loops"]}
    assert matrix.cells[1].reason.startswith(f"loops: {said}")
