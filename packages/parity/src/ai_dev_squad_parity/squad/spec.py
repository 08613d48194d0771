"""The dev squad's script: who says what, which tools they use, what goes wrong, and what must come out.

Nothing here knows a framework, so that every framework's squad can be held against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypedDict

from ai_dev_squad_testing.model_server import (
    Script,
    Tokens,
    call,
    fail,
    message_contains,
    reply,
    role,
    structured,
    system_contains,
    tokens,
    tool_calls,
)

__all__ = [
    "CODER",
    "EXPECTED",
    "MODELS",
    "PLANNER",
    "REQUEST",
    "REVIEWER",
    "WRITER",
    "Expected",
    "read_file",
    "run_tests",
    "script",
]

REQUEST = "Give our text tools two functions: slugify(text) and truncate(text, limit)."

PLANNER = "You are the planner of a dev squad. Split the request into one task per function."
CODER = "You are a coder of a dev squad. Look before you write, then answer with the code."
REVIEWER = "You are the reviewer of a dev squad. Approve the patches, or send one task back with feedback."
WRITER = "You are the writer of a dev squad. Write one line of release notes."

MODELS = {"planner": "gpt-4o", "coder": "gpt-4o-mini", "reviewer": "o4-mini", "writer": "gpt-4o-mini"}
"""Which model each role uses."""

FILES = {"text.py": "def shout(text):\n    return text.upper()\n"}


def read_file(path: str) -> str:
    """Read a file of the project."""
    if path not in FILES:
        raise FileNotFoundError(f"no such file: {path}; there is {', '.join(FILES)}")
    return FILES[path]


def run_tests(name: str) -> str:
    """Run the tests of one function."""
    return f"tests of {name}: 3 failed, {name} is not defined"


SLUGIFY = 'def slugify(text):\n    return "-".join(text.lower().split())\n'
TRUNCATE = "def truncate(text, limit):\n    return text[:limit]\n"
TRUNCATE_WORDS = 'def truncate(text, limit):\n    return text[:limit + 1].rpartition(" ")[0]\n'
NOTES = "Text tools gain slugify() and truncate(), which keeps whole words."


class Pace(TypedDict):
    """Directions that every line of the squad shares."""

    latency: float
    per_chunk: float


def script(pace: float = 0.0) -> Script:
    """The squad's script. ``pace`` is the time to the first token in seconds, so that a demo has durations to show.

    Two coders work at the same time, each with lines of its own. One asks for a file that does not exist and gets
    over it; the reviewer meets a rate limit, sends a task back, and approves at the second look.
    """
    slow: Pace = {"latency": pace, "per_chunk": pace / 20}
    return Script(
        [
            role(
                "planner",
                system_contains("you are the planner"),
                structured({"tasks": ["slugify", "truncate"]}, usage=tokens(412, 36, cached=256), **slow),
            ),
            role(
                "coder of slugify",
                system_contains("you are a coder") & message_contains("task: slugify"),
                tool_calls(
                    call("read_file", path="text.py"),
                    call("run_tests", name="slugify"),
                    usage=tokens(530, 48),
                    **slow,
                ),
                reply(SLUGIFY, usage=tokens(690, 85, cached=512), **slow),
            ),
            role(
                "coder of truncate",
                system_contains("you are a coder") & message_contains("task: truncate"),
                tool_calls(call("read_file", path="truncate.py"), usage=tokens(528, 22), **slow),
                tool_calls(call("read_file", path="text.py"), usage=tokens(610, 21, cached=512), **slow),
                reply(TRUNCATE, usage=tokens(655, 61, cached=512), **slow),
                reply(TRUNCATE_WORDS, usage=tokens(742, 74), **slow),
            ),
            role(
                "reviewer",
                system_contains("you are the reviewer"),
                fail(429, retry_after=0.05),
                structured(
                    {"approved": False, "task": "truncate", "feedback": "Keep whole words."},
                    usage=tokens(880, 154, reasoning=128),
                    **slow,
                ),
                structured(
                    {"approved": True, "task": "", "feedback": ""},
                    usage=tokens(931, 77, reasoning=64, cached=768),
                    **slow,
                ),
            ),
            role("writer", system_contains("you are the writer"), reply(NOTES, usage=tokens(301, 19), **slow)),
        ]
    )


@dataclass(frozen=True)
class Expected:
    """What a run of the squad comes to, whatever the framework."""

    calls: int
    successful_calls: int
    billed: Tokens
    tool_calls: tuple[tuple[str, str], ...]
    """The tools that ran, with their arguments, sorted."""
    patches: tuple[str, ...]
    """The patches that the reviewer approved: the last one of each task, sorted."""
    notes: str


EXPECTED = Expected(
    calls=11,
    successful_calls=10,
    billed=tokens(6279, 597, cached=2560, reasoning=192),
    tool_calls=(
        ("read_file", '{"path":"text.py"}'),
        ("read_file", '{"path":"text.py"}'),
        ("read_file", '{"path":"truncate.py"}'),
        ("run_tests", '{"name":"slugify"}'),
    ),
    patches=(SLUGIFY, TRUNCATE_WORDS),
    notes=NOTES,
)
