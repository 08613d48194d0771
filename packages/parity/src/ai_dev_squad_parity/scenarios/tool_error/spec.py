"""A tool that fails, and an agent that gets over it."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, call, reply, role, system_contains, tokens, tool_calls

SYSTEM = "You are the clerk. Look words up before you answer."
REQUEST = "What is a quux?"


def look_up(word: str) -> str:
    """Look a word up."""
    raise LookupError(f"{word} is in no dictionary")


SCENARIO = Scenario(
    name="tool_error",
    title="Tool error",
    purpose="A tool raises, the model is told, and the run ends well: the tool call is an error, the run is not.",
    script=lambda: Script(
        [
            role(
                "clerk",
                system_contains("you are the clerk"),
                tool_calls(call("look_up", word="quux"), usage=tokens(120, 18)),
                reply("Nobody knows what a quux is.", usage=tokens(170, 11)),
            )
        ]
    ),
    expected=Expected(answer="Nobody knows", agents=("clerk",), tools=(("look_up", {"word": "quux"}),), failed_tools=1),
    notes={
        "langgraph": "A tool's exception ends an agent of LangChain unless middleware turns it into a message: "
        "https://docs.langchain.com/oss/langchain/middleware/built-in."
    },
)
