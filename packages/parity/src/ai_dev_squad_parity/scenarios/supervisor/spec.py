"""A supervisor who gives work to another agent."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import (
    ModelRequest,
    Script,
    Step,
    call,
    reply,
    respond,
    role,
    system_contains,
    tokens,
    tool_calls,
)

SUPERVISOR = "You are the supervisor. Give the work to the botanist, then answer."
BOTANIST = "You are the botanist. Answer in one sentence."
REQUEST = "What is a fig?"
DELEGATED = {"task": REQUEST, "context": "A reader asks.", "coworker": "botanist"}


def _delegate(request: ModelRequest) -> Step:
    """By the tool that the framework calls it by."""
    if "delegate_work_to_coworker" in request.tools:
        return tool_calls(call("delegate_work_to_coworker", **DELEGATED), usage=tokens(150, 20))
    return tool_calls(call("botanist", task=REQUEST), usage=tokens(150, 20))


SCENARIO = Scenario(
    name="supervisor",
    title="Supervisor",
    purpose="An agent uses another one as a tool. The other's work stands under the tool call, and nothing is counted twice on the way up.",
    script=lambda: Script(
        [
            role(
                "supervisor",
                system_contains("you are the supervisor"),
                respond(_delegate),
                reply("A fig is a fruit, says the botanist.", usage=tokens(190, 12)),
            ),
            role("botanist", system_contains("you are the botanist"), reply("A fig is a fruit.", usage=tokens(60, 7))),
        ]
    ),
    expected=Expected(
        answer="says the botanist", agents=("supervisor", "botanist"), tools=(("botanist", {"task": REQUEST}),)
    ),
    overrides={
        "crewai": Expected(
            answer="says the botanist",
            agents=("supervisor", "botanist"),
            tools=(("delegate_work_to_coworker", DELEGATED),),
        )
    },
    notes={
        "crewai": "In CrewAI's hierarchical process the manager has one tool for all coworkers: "
        "https://docs.crewai.com/en/learn/hierarchical-process."
    },
)
