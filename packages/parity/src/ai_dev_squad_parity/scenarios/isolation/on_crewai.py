"""One crew, eight conversations at the same time."""

import asyncio
from typing import Any

from crewai import LLM, Agent, Crew, Task
from spec import PEOPLE, SYSTEM

from ai_dev_squad import session


def build(base_url: str, model: str) -> Crew:
    llm = LLM(model=f"openai/{model}", base_url=base_url)
    assistant = Agent(role="assistant", goal="Answer the question.", backstory=SYSTEM, llm=llm)
    question = "I am {person}. What is the capital of France?"
    task = Task(description=question, expected_output="One sentence.", agent=assistant)
    return Crew(agents=[assistant], tasks=[task])


async def run(crew: Any) -> str:
    async def ask(person: str) -> str:
        with session(person):
            # A crew keeps the state of its run, so that each conversation has a copy, as in kickoff_for_each.
            return (await crew.copy().akickoff(inputs={"person": person})).raw

    return " ".join(await asyncio.gather(*map(ask, PEOPLE)))
