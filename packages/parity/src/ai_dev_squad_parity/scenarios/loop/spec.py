"""A writer and a critic, until the critic is content."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains, tokens

WRITER = "You are the writer. Write one line about figs."
CRITIC = "You are the critic. Say APPROVE, or what is missing."
REQUEST = "Write about figs."

SCENARIO = Scenario(
    name="loop",
    title="Loop with a condition",
    purpose="A draft goes back until the critic approves. Each turn of the loop is an operation of its own, and the loop ends by its condition.",
    script=lambda: Script(
        [
            role(
                "writer",
                system_contains("you are the writer"),
                reply("Figs are fruits.", usage=tokens(80, 6)),
                reply("Figs are sweet fruits.", usage=tokens(120, 7)),
            ),
            role(
                "critic",
                system_contains("you are the critic"),
                reply("Say how they taste.", usage=tokens(90, 8)),
                reply("APPROVE", usage=tokens(110, 2)),
            ),
        ]
    ),
    expected=Expected(answer="sweet", agents=("writer", "critic")),
    notes={
        "crewai": "A crew does its tasks once, in order; what goes back is a flow: https://docs.crewai.com/en/concepts/flows."
    },
)
