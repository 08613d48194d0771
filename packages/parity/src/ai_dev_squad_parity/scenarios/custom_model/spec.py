"""A model class of the program's own."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains, tokens

SYSTEM = "You are the assistant. Answer in one sentence."
REQUEST = "What is the capital of France?"

SCENARIO = Scenario(
    name="custom_model",
    title="Custom model class",
    purpose="The program has a model class of its own, written as the framework's documentation says, which sends its request "
    "itself and says nothing of tokens.",
    script=lambda: Script(
        [
            role(
                "assistant",
                system_contains("you are the assistant"),
                reply("Paris is the capital of France.", usage=tokens(120, 18, cached=64)),
            )
        ]
    ),
    expected=Expected(answer="Paris", agents=("assistant",)),
)
