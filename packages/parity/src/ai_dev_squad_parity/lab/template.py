"""What ``parity new`` writes: a scenario that runs at once, to be changed into one's own."""

from __future__ import annotations

import keyword
from collections.abc import Mapping
from pathlib import Path

from ai_dev_squad_parity.lab.scenario import ScenarioError

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

_LANGGRAPH = '''\
"""The task on LangGraph."""

from typing import Any

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)
    return create_agent(llm, system_prompt=SYSTEM, name="assistant")


def run(agent: Any) -> str:
    result = agent.invoke({"messages": [("user", REQUEST)]})
    return result["messages"][-1].content
'''

_CREWAI = '''\
"""The task on CrewAI."""

from typing import Any

from crewai import LLM, Agent, Crew, Task
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> Crew:
    llm = LLM(model=f"openai/{model}", base_url=base_url)
    assistant = Agent(role="assistant", goal="Answer the question.", backstory=SYSTEM, llm=llm)
    task = Task(description=REQUEST, expected_output="One sentence.", agent=assistant)
    return Crew(agents=[assistant], tasks=[task])


def run(crew: Any) -> str:
    return crew.kickoff().raw
'''

_AUTOGEN = '''\
"""The task on AutoGen."""

from typing import Any

from autogen_agentchat.agents import AssistantAgent
from autogen_ext.models.openai import OpenAIChatCompletionClient
from spec import REQUEST, SYSTEM


def build(base_url: str, model: str) -> AssistantAgent:
    client = OpenAIChatCompletionClient(model=model, base_url=base_url)
    return AssistantAgent("assistant", client, system_message=SYSTEM)


async def run(agent: Any) -> str:
    result = await agent.run(task=REQUEST)
    return result.messages[-1].content
'''

_FILES: Mapping[str, str] = {
    "spec.py": _SPEC,
    "on_langgraph.py": _LANGGRAPH,
    "on_crewai.py": _CREWAI,
    "on_autogen.py": _AUTOGEN,
}


def write(name: str, directory: Path) -> Path:
    """Write the template to ``directory/name``. Raises ``ScenarioError`` for a bad name and for a folder that is in use."""
    if not name.isidentifier() or keyword.iskeyword(name):
        raise ScenarioError(f"{name!r} is no name for a scenario; use letters, digits and _, such as my_task")
    folder = directory / name
    if folder.exists() and any(folder.iterdir() if folder.is_dir() else [folder]):
        raise ScenarioError(f"{folder} is in use; choose another name, or another --directory")
    folder.mkdir(parents=True, exist_ok=True)
    title = name.replace("_", " ").strip().capitalize()
    for file, text in _FILES.items():
        (folder / file).write_text(text.replace("{name}", name).replace("{title}", title), encoding="utf-8")
    return folder
