"""An answer that comes in pieces."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains, tokens

SYSTEM = "You are the assistant. Answer in one sentence."
REQUEST = "What is the capital of France?"

SCENARIO = Scenario(
    name="streaming",
    title="Streaming",
    purpose="The answer is streamed, and the program uses each piece as it comes. Most tools count no tokens then, because the "
    "provider only sends them when asked.",
    script=lambda: Script(
        [
            role(
                "assistant",
                system_contains("you are the assistant"),
                reply("Paris is the capital of France.", usage=tokens(200, 30), first_token=0.02, per_chunk=0.002),
            )
        ]
    ),
    expected=Expected(answer="Paris is the capital of France.", agents=("assistant",), streamed=True),
)
