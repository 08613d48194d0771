"""The provider refuses a request."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, fail, role, system_contains

SYSTEM = "You are the assistant. Answer in one sentence."
REQUEST = "What is the capital of France?"

SCENARIO = Scenario(
    name="model_error",
    title="Model error",
    purpose="The provider answers 400. The program gets its exception unchanged, and the call and the run say what went wrong.",
    script=lambda: Script(
        [
            role(
                "assistant",
                system_contains("you are the assistant"),
                fail(400, message="no such parameter", times=None),
            )
        ]
    ),
    expected=Expected(agents=("assistant",), raises="BadRequestError", failed_calls=1, run_status=("error",)),
    overrides={
        "crewai": Expected(agents=("assistant",), raises="BadRequestError", failed_calls=3, run_status=("error",))
    },
    notes={
        "crewai": "An agent of CrewAI tries its task again twice, whatever the error was: max_retry_limit, "
        "https://docs.crewai.com/en/concepts/agents."
    },
)
