"""A team inside a team, a graph inside a graph."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains, tokens

RESEARCHER = "You are the researcher. Find one fact."
CHECKER = "You are the checker. Check the fact."
EDITOR = "You are the editor. Write the sentence."
REQUEST = "Tell me about figs."

SCENARIO = Scenario(
    name="nested",
    title="Nested team or subgraph",
    purpose="Two agents work as a unit inside a larger one. The inner unit is one operation under the outer, in the same trace.",
    script=lambda: Script(
        [
            role(
                "researcher", system_contains("you are the researcher"), reply("Figs are fruits.", usage=tokens(70, 6))
            ),
            role("checker", system_contains("you are the checker"), reply("That is right.", usage=tokens(80, 5))),
            role("editor", system_contains("you are the editor"), reply("Figs are tasty fruits.", usage=tokens(95, 8))),
        ]
    ),
    expected=Expected(answer="tasty fruits", agents=("researcher", "checker", "editor")),
    notes={
        "crewai": "No crew is a member of another; a crew is a step of a flow: https://docs.crewai.com/en/concepts/flows."
    },
)
