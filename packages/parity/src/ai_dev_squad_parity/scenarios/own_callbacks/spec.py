"""The program listens to its framework itself."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains, tokens

SYSTEM = "You are the assistant. Answer in one sentence."
REQUEST = "What is the capital of France?"

SCENARIO = Scenario(
    name="own_callbacks",
    title="Own callbacks",
    purpose="The program has callbacks or listeners of its own around the model call. In LangChain a call's own list replaces "
    "the one that observers are in, and the call is lost to whoever only listens there.",
    script=lambda: Script(
        [
            role(
                "assistant",
                system_contains("you are the assistant"),
                reply("Paris is the capital of France.", usage=tokens(100, 10)),
            )
        ]
    ),
    expected=Expected(answer="Paris is the capital of France. (heard of 1 call)", agents=("assistant",)),
)
