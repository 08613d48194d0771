"""A run that takes too long and is cancelled."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, hang, role, system_contains

SYSTEM = "You are the assistant. Answer in one sentence."
REQUEST = "What is the capital of France?"
PATIENCE_S = 5.0

SCENARIO = Scenario(
    name="cancel_and_timeout",
    title="Cancel and time-out",
    purpose="The model never answers, and the program gives up after five seconds: cancelled, not an error, and nothing is left open.",
    script=lambda: Script([role("assistant", system_contains("you are the assistant"), hang())]),
    measured=False,
    expected=Expected(agents=("assistant",), raises="TimeoutError", cancelled_calls=1, run_status=("cancelled",)),
    overrides={
        "crewai": Expected(agents=("assistant",), raises="ConnectionError", failed_calls=1, run_status=("error",))
    },
    notes={
        "crewai": "A crew that is cancelled ends, and its model call does not: it waits in a thread, which asyncio cannot cancel, "
        "and so the process waits with it. What CrewAI offers is the time-out of the model "
        "(https://docs.crewai.com/en/concepts/llms), which ends the run with an error."
    },
)
