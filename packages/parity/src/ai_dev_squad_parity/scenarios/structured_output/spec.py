"""An answer with a shape."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, role, structured, system_contains, tokens

SYSTEM = "You are the clerk. Answer with the city's facts."
REQUEST = "Tell me about Paris."

SCENARIO = Scenario(
    name="structured_output",
    title="Structured output",
    purpose="The answer is an object of a class of the program. It is one model call, whichever way the framework asks for it.",
    script=lambda: Script(
        [
            role(
                "clerk",
                system_contains("you are the clerk"),
                structured({"name": "Paris", "country": "France"}, usage=tokens(90, 14)),
            )
        ]
    ),
    expected=Expected(answer="France", agents=("clerk",)),
)
