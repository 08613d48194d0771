"""A run that waits for a person, and goes on."""

from dataclasses import replace

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

WRITER = "You are the writer. Write one line, and ask the user before it is published."
PUBLISHER = "You are the publisher. Publish what was approved."
REQUEST = "Write about figs."


def _write(request: ModelRequest) -> Step:
    """Asking the user, or what a user has to approve of, is a tool where the framework has one for it."""
    if "transfer_to_user" in request.tools:
        return tool_calls(call("transfer_to_user"), text="Figs are sweet.", usage=tokens(100, 12))
    if "publish" in request.tools:
        return tool_calls(call("publish", input="Figs are sweet."), usage=tokens(100, 12))
    return reply("Figs are sweet.", usage=tokens(100, 12))


EXPECTED = Expected(
    answer="Published",
    agents=("writer", "publisher"),
    traces=2,
    linked=True,
    interrupts=1,
    run_status=("interrupted", "ok"),
)

SCENARIO = Scenario(
    name="interrupt_and_resume",
    title="Human interrupt and resume",
    purpose="The run stops for a person's approval and goes on later. Waiting is no error, and the second run is linked to the first.",
    script=lambda: Script(
        [
            role("writer", system_contains("you are the writer"), respond(_write)),
            role("publisher", system_contains("you are the publisher"), reply("Published.", usage=tokens(130, 4))),
        ]
    ),
    expected=EXPECTED,
    overrides={"autogen": replace(EXPECTED, tools=(("transfer_to_user", {}),))},
    notes={
        "crewai": "A flow that need not wait in its process has a provider that says that feedback is pending: "
        "https://docs.crewai.com/en/learn/human-feedback-in-flows.",
        "autogen": "A team waits for a person by handing over to one, which is a tool call: "
        "https://microsoft.github.io/autogen/stable/user-guide/agentchat-user-guide/tutorial/human-in-the-loop.html.",
    },
)
