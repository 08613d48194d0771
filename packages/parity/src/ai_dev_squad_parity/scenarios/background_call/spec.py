"""A call that outlives the step that began it."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains, tokens

SYSTEM = "You are the researcher. Answer in one sentence."
REQUEST = "What should one know about figs?"

SCENARIO = Scenario(
    name="background_call",
    title="Background call",
    purpose="One step starts the call as a background task, the next one waits for it. When the first step ends, its call has "
    "not, and must not be given up as abandoned.",
    script=lambda: Script(
        [
            role(
                "researcher",
                system_contains("you are the researcher"),
                reply("Figs are flowers.", usage=tokens(1000, 200), latency=0.3),
            )
        ]
    ),
    expected=Expected(answer="Figs are flowers."),
)
