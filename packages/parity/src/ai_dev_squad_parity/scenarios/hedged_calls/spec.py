"""Two calls race, and the slower one is given up."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains, tokens

SYSTEM = "You are the assistant. Answer in one sentence."
REQUEST = "What is the capital of France?"

SCENARIO = Scenario(
    name="hedged_calls",
    title="Hedged calls",
    purpose="A step asks twice at the same time, takes the first answer and cancels the other call. One answer is billed and "
    "used, the other call ends as cancelled and takes nothing from the first.",
    script=lambda: Script(
        [
            role(
                "assistant",
                system_contains("you are the assistant"),
                reply("Paris, after a while.", usage=tokens(200, 30), together=2, latency=20),
                reply("Paris.", usage=tokens(200, 5), together=2),
            )
        ]
    ),
    expected=Expected(answer="Paris.", cancelled_calls=1, parallel=2),
)
