"""One agent hands the conversation over to another."""

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

TRIAGE = "You are the triage agent. Hand questions about money over to billing."
BILLING = "You are the billing agent. Answer questions about money."
REQUEST = "Why was I billed twice?"


def _hand_over(request: ModelRequest) -> Step:
    """By a tool where the framework has one for it, else in a word."""
    for tool in ("transfer_to_billing", "handoff_to_billing"):
        if tool in request.tools:
            return tool_calls(call(tool), usage=tokens(100, 12))
    return reply("billing", usage=tokens(100, 12))


SCENARIO = Scenario(
    name="handoff",
    title="Handoff",
    purpose="The agent that was asked hands over to another, which answers. Handing over is no error, and each call belongs to who made it.",
    script=lambda: Script(
        [
            role("triage", system_contains("you are the triage"), respond(_hand_over)),
            role(
                "billing",
                system_contains("you are the billing"),
                reply("It was a mistake, you will get it back.", usage=tokens(140, 13)),
            ),
        ]
    ),
    expected=Expected(answer="a mistake", agents=("triage", "billing"), tools=(("transfer_to_billing", {}),)),
    overrides={"crewai": Expected(answer="a mistake", agents=("triage", "billing"))},
    notes={
        "crewai": "CrewAI's agents delegate work and get the answer back (https://docs.crewai.com/en/concepts/collaboration); "
        "none hands over for good. A flow's router passes the question on by the first agent's word."
    },
)
