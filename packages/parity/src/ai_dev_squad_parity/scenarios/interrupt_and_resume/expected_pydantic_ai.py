"""What Pydantic AI does otherwise."""

from ai_dev_squad_parity.lab.scenario import Expected

NOTE = (
    "What waits is a tool call, and the agent that asked for it goes on with it, here with other instructions: "
    "https://ai.pydantic.dev/deferred-tools/#human-in-the-loop-tool-approval."
)
EXPECTED = Expected(
    answer="Published",
    tools=(("transfer_to_user", {}),),
    traces=2,
    linked=True,
    interrupts=1,
    run_status=("interrupted", "ok"),
)
