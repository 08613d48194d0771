"""A model asks for several tools at once."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, call, reply, role, system_contains, tokens, tool_calls

SYSTEM = "You are the clerk. Look all words up at once before you answer."
REQUEST = "Which of fig, oak and yew is a fruit?"


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: a {'fruit' if word == 'fig' else 'tree'}"


SCENARIO = Scenario(
    name="parallel_tools",
    title="Parallel tools",
    purpose="One answer of the model asks for three tool calls: three operations, side by side, each with its own arguments.",
    script=lambda: Script(
        [
            role(
                "clerk",
                system_contains("you are the clerk"),
                tool_calls(*(call("look_up", word=word) for word in ("fig", "oak", "yew")), usage=tokens(130, 54)),
                reply("The fig is a fruit.", usage=tokens(240, 8)),
            )
        ]
    ),
    expected=Expected(
        answer="fig", agents=("clerk",), tools=tuple(("look_up", {"word": word}) for word in ("fig", "oak", "yew"))
    ),
)
