"""A small dev squad: a planner, a coder with tools, and a reviewer who sends the work back."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import (
    Script,
    call,
    fail,
    reply,
    role,
    structured,
    system_contains,
    tokens,
    tool_calls,
)

PLANNER = "You are the planner. Say in one sentence what is to be written, and where."
CODER = "You are the coder. Look at the file and its tests, then answer with the code."
REVIEWER = "You are the reviewer. Approve the code, or say what is missing."
REQUEST = "Our text tools need truncate(text, limit)."

PLAN = "Write truncate(text, limit) in text.py."
FIRST = "def truncate(text, limit):\n    return text[:limit]\n"
SECOND = 'def truncate(text, limit):\n    return text[:limit + 1].rpartition(" ")[0]\n'


def read_file(path: str) -> str:
    """Read a file of the project."""
    return "def shout(text):\n    return text.upper()\n"


def run_tests(name: str) -> str:
    """Run the tests of one function."""
    return f"{name}: 3 failed, {name} is not defined"


SCENARIO = Scenario(
    name="dev_squad",
    title="Dev squad",
    purpose="A planner, a coder with tools and a reviewer work until the reviewer approves. All that the other rows ask "
    "comes together: turns, tools, a retry, cached and reasoning tokens, one trace and one bill.",
    script=lambda: Script(
        [
            role("planner", system_contains("you are the planner"), reply(PLAN, usage=tokens(412, 36, cached=256))),
            role(
                "coder",
                system_contains("you are the coder"),
                tool_calls(
                    call("read_file", path="text.py"), call("run_tests", name="truncate"), usage=tokens(530, 48)
                ),
                reply(FIRST, usage=tokens(690, 61, cached=512)),
                reply(SECOND, usage=tokens(742, 74, cached=512)),
            ),
            role(
                "reviewer",
                system_contains("you are the reviewer"),
                fail(429, retry_after=0.05),
                structured({"approved": False, "feedback": "Keep whole words."}, usage=tokens(880, 154, reasoning=128)),
                structured({"approved": True, "feedback": ""}, usage=tokens(931, 77, cached=768, reasoning=64)),
            ),
        ]
    ),
    expected=Expected(
        answer='rpartition(" ")',
        agents=("planner", "coder", "reviewer"),
        tools=(("read_file", {"path": "text.py"}), ("run_tests", {"name": "truncate"})),
    ),
    notes={
        "crewai": "A crew does its tasks once, in order; what goes back is a flow: https://docs.crewai.com/en/concepts/flows.",
        "autogen": "A function says whose turn it is, so that no model is asked who is next: "
        "https://microsoft.github.io/autogen/stable/user-guide/agentchat-user-guide/selector-group-chat.html.",
    },
)
