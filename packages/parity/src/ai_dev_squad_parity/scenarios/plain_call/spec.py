"""One question, one answer."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains, tokens

SYSTEM = "You are the assistant. Answer in one sentence."
REQUEST = "What is the capital of France?"

SCENARIO = Scenario(
    name="plain_call",
    title="Plain call",
    purpose="An agent asks its model once. Whoever gets this wrong gets everything wrong.",
    script=lambda: Script(
        [
            role(
                "assistant",
                system_contains("you are the assistant"),
                reply("Paris is the capital of France.", usage=tokens(200, 30)),
            )
        ]
    ),
    expected=Expected(answer="Paris", agents=("assistant",)),
)
