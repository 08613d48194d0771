"""An agent that remembers what it was told before."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, message_contains, reply, role, system_contains, tokens

SYSTEM = "You are the assistant. Remember what people like."
FACT = "Ann likes figs."
REQUEST = "What does Ann like?"

SCENARIO = Scenario(
    name="memory",
    title="Memory",
    purpose="What was said once is put before the model later. The model really gets it, and what it costs is counted with the call.",
    script=lambda: Script(
        [
            # Only CrewAI asks its model how to ask for what it knows.
            role(
                "crew", system_contains("rewrite the user query"), reply("Ann likes", usage=tokens(90, 2), times=None)
            ),
            role(
                "assistant",
                system_contains("you are the assistant") & message_contains("likes figs"),
                reply("Ann likes figs.", usage=tokens(140, 6)),
            ),
        ]
    ),
    expected=Expected(answer="figs", agents=("assistant",)),
    notes={
        "crewai": "CrewAI makes a model call of its own, to rewrite the question for its search, and calls for embeddings: "
        "https://docs.crewai.com/en/concepts/knowledge."
    },
)
