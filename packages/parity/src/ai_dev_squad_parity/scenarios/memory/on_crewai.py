"""A crew with knowledge."""

from typing import Any

from crewai import LLM, Agent, Crew, Task
from crewai.knowledge.knowledge_config import KnowledgeConfig
from crewai.knowledge.source.string_knowledge_source import StringKnowledgeSource
from spec import FACT, REQUEST, SYSTEM


def build(base_url: str, model: str) -> Crew:
    llm = LLM(model=f"openai/{model}", base_url=base_url)
    embedder = {"provider": "openai", "config": {"model_name": "text-embedding-3-small", "api_base": base_url}}
    assistant = Agent(
        role="assistant",
        goal="Answer.",
        backstory=SYSTEM,
        llm=llm,
        embedder=embedder,
        knowledge_sources=[StringKnowledgeSource(content=FACT)],
        knowledge_config=KnowledgeConfig(score_threshold=0.0),  # whatever there is
    )
    task = Task(description=REQUEST, expected_output="One sentence.", agent=assistant)
    return Crew(agents=[assistant], tasks=[task])


def run(crew: Any) -> str:
    return crew.kickoff().raw
