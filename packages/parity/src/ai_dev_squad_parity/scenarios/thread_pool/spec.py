"""A tool asks the model from threads of its own."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, call, reply, role, system_contains, tokens, tool_calls

SYSTEM = "You are the editor. Have the chapters read before you answer."
READER = "You are the reader. Sum up in one sentence."
REQUEST = "What is the book about?"
CHAPTERS = ("figs", "dates", "olives", "pomegranates")

SCENARIO = Scenario(
    name="thread_pool",
    title="Thread pool",
    purpose="A tool asks the model four times in a plain ThreadPoolExecutor. A thread knows nothing of the context that it was "
    "started in, so callbacks and parents that live there are gone.",
    script=lambda: Script(
        [
            role(
                "editor",
                system_contains("you are the editor"),
                tool_calls(call("read_chapters"), usage=tokens(120, 18)),
                reply("It is about fruit.", usage=tokens(260, 9)),
            ),
            role(
                "reader",
                system_contains("you are the reader"),
                *(reply(f"It praises {name}.", usage=tokens(500 + n, 20 + n)) for n, name in enumerate(CHAPTERS)),
            ),
        ]
    ),
    expected=Expected(answer="about fruit", tools=(("read_chapters", {}),)),
)
