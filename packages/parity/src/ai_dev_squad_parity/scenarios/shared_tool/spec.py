"""One tool object for agents in four threads."""

from dataclasses import replace

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import (
    Script,
    call,
    message_contains,
    reply,
    role,
    system_contains,
    tokens,
    tool_calls,
)

SYSTEM = "You are the clerk. Look words up before you answer."
WORDS = ("fig", "date", "olive", "pomegranate")


def look_up(word: str) -> str:
    """Look a word up."""
    return f"{word}: a sweet fruit"


EXPECTED = Expected(
    answer=", ".join(f"A {word} is a fruit." for word in WORDS),
    agents=("clerk",),
    tools=tuple(("look_up", {"word": word}) for word in WORDS),
    parallel=2,
)

SCENARIO = Scenario(
    name="shared_tool",
    title="Shared tool in threads",
    purpose="Four threads run agents that share one tool object. Observing must neither change it under the others' hands nor "
    "mix up whose call it was.",
    script=lambda: Script(
        [
            role(
                "clerk",
                system_contains("you are the clerk"),
                *(
                    step
                    for n, word in enumerate(WORDS)
                    for step in (
                        tool_calls(
                            call("look_up", word=word),
                            when=message_contains(f"What is a {word}?"),
                            usage=tokens(120 + n, 18),
                            together=2,
                        ),
                        reply(
                            f"A {word} is a fruit.",
                            when=message_contains(f"What is a {word}?"),
                            usage=tokens(160 + n, 9),
                        ),
                    )
                ),
            )
        ]
    ),
    expected=EXPECTED,
    overrides={"langgraph": replace(EXPECTED, traces=4)},
    notes={
        "langgraph": "A batch is as many runs; a crew that is started for each input, and an agent that starts others, are one.",
        "autogen": "An agent of AutoGen keeps its conversation, so that each thread has an agent and an event loop of its own; "
        "the agent that starts the threads is the one run: "
        "https://microsoft.github.io/autogen/stable/user-guide/agentchat-user-guide/custom-agents.html.",
    },
)
