"""A crew whose tool asks the model in a thread pool."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool
from spec import CHAPTERS, READER, REQUEST, SYSTEM


def build(base_url: str, model: str) -> Crew:
    llm = LLM(model=f"openai/{model}", base_url=base_url)

    def read(chapter: str) -> str:
        return llm.call([{"role": "system", "content": READER}, {"role": "user", "content": chapter}])

    @tool
    def read_chapters() -> str:
        """Have all chapters read."""
        with ThreadPoolExecutor(4) as pool:
            return "\n".join(pool.map(read, CHAPTERS))

    editor = Agent(role="editor", goal="Answer.", backstory=SYSTEM, llm=llm, tools=[read_chapters])
    task = Task(description=REQUEST, expected_output="One sentence.", agent=editor)
    return Crew(agents=[editor], tasks=[task])


def run(crew: Any) -> str:
    return crew.kickoff().raw
