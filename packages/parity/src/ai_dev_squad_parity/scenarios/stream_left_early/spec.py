"""A streamed answer that its reader leaves in the middle."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains

SYSTEM = "You are the assistant. Tell what you know."
REQUEST = "What should one know about figs?"
ANSWER = " ".join(f"Fig fact number {number} is worth knowing." for number in range(60))

SCENARIO = Scenario(
    name="stream_left_early",
    title="Stream left early",
    purpose="The program stops reading when it has enough. The provider bills what it sent and reports nothing any more: the "
    "call must be there, with an estimate of what had arrived that says that it is one.",
    script=lambda: Script([role("assistant", system_contains("you are the assistant"), reply(ANSWER, per_chunk=0.02))]),
    expected=Expected(answer="Fig fact number 0", cancelled_calls=1, estimated=True),
)
