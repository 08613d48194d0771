"""The provider asks to wait, and the client does."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, fail, reply, role, system_contains, tokens

SYSTEM = "You are the assistant. Answer in one sentence."
REQUEST = "What is the capital of France?"

SCENARIO = Scenario(
    name="retry_after_429",
    title="Retry after 429",
    purpose="The provider answers 429 and the client asks again by itself: one model call that took longer, one bill, no error.",
    script=lambda: Script(
        [
            role(
                "assistant",
                system_contains("you are the assistant"),
                fail(429, retry_after=0.05),
                reply("Paris is the capital of France.", usage=tokens(200, 30)),
            )
        ]
    ),
    expected=Expected(answer="Paris", agents=("assistant",)),
)
