"""Many conversations at the same time."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains, tokens

SYSTEM = "You are the assistant. Answer in one sentence."
PEOPLE = tuple(f"person-{number}" for number in range(8))

SCENARIO = Scenario(
    name="isolation",
    title="Async and concurrent isolation",
    purpose="Eight people ask at the same time, each in a conversation of their own. Every call, token and dollar stays with its conversation.",
    script=lambda: Script(
        [
            role(
                "assistant",
                system_contains("you are the assistant"),
                *(reply("Paris.", usage=tokens(100 + number, 3), together=4) for number in range(len(PEOPLE))),
            )
        ]
    ),
    expected=Expected(
        answer="Paris", agents=("assistant",), sessions=PEOPLE, parallel=4, run_status=("ok",), traces=len(PEOPLE)
    ),
)
