"""A crew that is asked four things in four threads."""

from typing import Any

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from spec import SYSTEM, WORDS, look_up


def build(base_url: str, model: str) -> Crew:
    llm = LLM(model=f"openai/{model}", base_url=base_url)
    clerk = Agent(role="clerk", goal="Answer.", backstory=SYSTEM, llm=llm, tools=[tool(look_up)])
    task = Task(description="What is a {word}?", expected_output="One sentence.", agent=clerk)
    return Crew(agents=[clerk], tasks=[task])


async def run(crew: Any) -> str:
    results = await crew.kickoff_for_each_async([{"word": word} for word in WORDS])
    return ", ".join(result.raw for result in results)
