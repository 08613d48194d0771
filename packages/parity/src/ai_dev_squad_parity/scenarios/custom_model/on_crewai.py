"""A crew whose model is a class of the program."""

from typing import Any

import httpx
from crewai import Agent, BaseLLM, Crew, Task
from spec import REQUEST, SYSTEM


class OurModel(BaseLLM):
    def call(self, messages: Any, *args: Any, **kwargs: Any) -> str:
        body = {"model": self.model, "messages": messages}
        answer = httpx.post(f"{self.base_url}/chat/completions", json=body).raise_for_status().json()
        return answer["choices"][0]["message"]["content"]


def build(base_url: str, model: str) -> Crew:
    llm = OurModel(model=model, base_url=base_url)
    assistant = Agent(role="assistant", goal="Answer the question.", backstory=SYSTEM, llm=llm)
    task = Task(description=REQUEST, expected_output="One sentence.", agent=assistant)
    return Crew(agents=[assistant], tasks=[task])


def run(crew: Any) -> str:
    return crew.kickoff().raw
