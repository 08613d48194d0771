"""An answer with a shape that was cut off."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains, tokens

SYSTEM = "You are the clerk. Answer with the city's facts."
REQUEST = "Tell me about Paris."

SCENARIO = Scenario(
    name="structured_cut",
    title="Structured answer cut by length",
    purpose="The object is too long for the limit of output tokens. OpenAI's client raises instead of returning it, and the "
    "framework never sees what it has cost.",
    script=lambda: Script(
        [
            role(
                "clerk",
                system_contains("you are the clerk"),
                reply('{"name": "Paris", "coun', finish_reason="length", usage=tokens(5000, 1024)),
            )
        ]
    ),
    expected=Expected(answer="LengthFinishReasonError", unusable_answers=1),
    overrides={
        "autogen": Expected(raises="LengthFinishReasonError", agents=(), unusable_answers=1, run_status=("error",)),
    },
    notes={"autogen": "An assistant agent lets the exception through, and the run ends with it."},
)
