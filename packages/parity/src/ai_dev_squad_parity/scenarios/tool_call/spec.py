"""An agent uses a tool."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, call, reply, role, system_contains, tokens, tool_calls

SYSTEM = "You are the clerk. Look words up before you answer."
REQUEST = "What is a fig?"


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: a sweet fruit"


SCENARIO = Scenario(
    name="tool_call",
    title="Tool call",
    purpose="The model asks for a tool, the agent runs it, the model answers with what it returned.",
    script=lambda: Script(
        [
            role(
                "clerk",
                system_contains("you are the clerk"),
                tool_calls(call("look_up", word="fig"), usage=tokens(120, 18)),
                reply("A fig is a sweet fruit.", usage=tokens(160, 9, cached=64)),
            )
        ]
    ),
    expected=Expected(answer="sweet fruit", agents=("clerk",), tools=(("look_up", {"word": "fig"}),)),
)
