"""A tool call and its answer through LiteLLM."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, call, reply, role, system_contains, tokens, tool_calls

SYSTEM = "You are the clerk. Look words up before you answer."
REQUEST = "What is a fig?"
MODEL = "mistral/mistral-large-latest"


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: a sweet fruit"


SCENARIO = Scenario(
    name="litellm_tool_turn",
    title="LiteLLM tool turn",
    purpose="The model is asked through LiteLLM, wants a tool, and is asked again. Frameworks tell the end of such a first turn "
    "late or never; it is billed all the same.",
    script=lambda: Script(
        [
            role(
                "clerk",
                system_contains("you are the clerk"),
                tool_calls(call("look_up", word="fig"), usage=tokens(120, 18)),
                reply("A fig is a sweet fruit.", usage=tokens(160, 9)),
            )
        ]
    ),
    expected=Expected(answer="sweet fruit", agents=("clerk",), tools=(("look_up", {"word": "fig"}),)),
    needs=("litellm",),
    timeout_s=180.0,
    notes={
        "langgraph": "LangChain's own class for LiteLLM is a package of its own; the node calls LiteLLM, as its documentation does.",
        "autogen": "autogen-ext has no client of LiteLLM; an agent of the program calls it.",
    },
)
