"""Tokens that are read from a cache and tokens of reasoning."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, call, reply, role, system_contains, tokens, tool_calls

SYSTEM = "You are the clerk. Look words up before you answer."
REQUEST = "What is a fig?"


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: a sweet fruit"


SCENARIO = Scenario(
    name="cached_and_reasoning",
    title="Cached and reasoning tokens",
    purpose="Cached tokens are part of the input and cheaper; reasoning tokens are part of the output. Counted beside them, "
    "a run costs too much; left out, nobody knows why it costs what it does.",
    script=lambda: Script(
        [
            role(
                "clerk",
                system_contains("you are the clerk"),
                tool_calls(call("look_up", word="fig"), usage=tokens(1400, 300, cached=1024, reasoning=256)),
                reply("A fig is a sweet fruit.", usage=tokens(1700, 140, cached=1408, reasoning=128)),
            )
        ]
    ),
    expected=Expected(answer="sweet fruit", agents=("clerk",), tools=(("look_up", {"word": "fig"}),)),
)
