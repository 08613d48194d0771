"""A run that stops, and goes on in another process."""

import os
from dataclasses import replace
from pathlib import Path

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains, tokens

PLANNER = "You are the planner. Name one step."
CODER = "You are the coder. Do the step."
REQUEST = "Give me a function."


def kept(name: str) -> str:
    """Where both processes keep what they share."""
    return str(Path(os.environ["AI_DEV_SQUAD_LAB_STATE"], name))


EXPECTED = Expected(answer="def f()", agents=("planner", "coder"), traces=2)

SCENARIO = Scenario(
    name="checkpoint_resume",
    title="Checkpoint and resume in a new process",
    purpose="The first half of a run is done, the process ends, and another one does the second half. Nothing is done or counted twice.",
    script=lambda: Script(
        [
            role("planner", system_contains("you are the planner"), reply("Write f().", usage=tokens(90, 6))),
            role("coder", system_contains("you are the coder"), reply("def f(): ...", usage=tokens(110, 9))),
        ]
    ),
    phases=("run", "resume"),
    expected=EXPECTED,
    overrides={"langgraph": replace(EXPECTED, run_status=("interrupted", "ok"), interrupts=1)},
    notes={
        "langgraph": "A graph that stops before a node says that it waits, and so is interrupted "
        "(https://docs.langchain.com/oss/python/langgraph/interrupts); the others end like any other run.",
        "crewai": "A flow begins anew with the state that @persist kept, and finds in it what is done: "
        "https://docs.crewai.com/en/concepts/flows.",
        "autogen": "A team is told to stop after one turn, and its state is saved and loaded by hand: "
        "https://microsoft.github.io/autogen/stable/user-guide/agentchat-user-guide/tutorial/state.html.",
    },
)
