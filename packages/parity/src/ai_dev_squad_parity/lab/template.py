"""What ``parity new`` writes: a scenario that runs at once, to be changed into one's own."""

from __future__ import annotations

import keyword
from pathlib import Path

from ai_dev_squad_parity.lab.scenario import BUILT_IN, ScenarioError

__all__ = ["write"]

_SPEC = '''\
"""What all frameworks are asked to do, and what must come out."""

from ai_dev_squad_parity.lab.scenario import Expected, Scenario
from ai_dev_squad_testing.model_server import Script, reply, role, system_contains, tokens

SYSTEM = "You are the assistant. Answer in one sentence."
REQUEST = "What is the capital of France?"


def quality(answer: str) -> float:
    """How good an answer is, 0 to 1: what you would look for. It matters with a real model."""
    return float("Paris" in answer)


SCENARIO = Scenario(
    name="{name}",
    title="{title}",
    purpose="An agent answers a question. Say here what you want to find out.",
    # What the scripted model says. A real model (--model-server URL) says what it likes.
    script=lambda: Script(
        [
            role(
                "assistant",
                system_contains("you are the assistant"),
                reply("Paris is the capital of France.", usage=tokens(200, 30)),
            )
        ]
    ),
    expected=Expected(answer="Paris", agents=("assistant",)),
    quality=quality,
)
'''

_PROGRAMS = BUILT_IN / "plain_call"
"""Whose programs it begins with: each framework's asks a model the ``REQUEST`` of its spec, with ``SYSTEM``."""


def write(name: str, directory: Path) -> Path:
    """Write the template to ``directory/name``. Raises ``ScenarioError`` for a bad name and for a folder that is in use."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ScenarioError(f"{name!r} is no name for a scenario; use letters, digits and _, such as my_task")
    folder = directory / name
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise ScenarioError(f"{folder} is in use; choose another name, or another --directory")
    folder.mkdir(parents=True, exist_ok=True)
    title = name.replace("_", " ").strip().capitalize()
    (folder / "spec.py").write_text(_SPEC.replace("{name}", name).replace("{title}", title), encoding="utf-8")
    for program in sorted(_PROGRAMS.glob("on_*.py")):
        (folder / program.name).write_text(program.read_text(encoding="utf-8"), encoding="utf-8")
    return folder
