"""A crew beside an event listener and a task's callback of the program."""

from typing import Any

from crewai import LLM, Agent, Crew, Task
from crewai.events import BaseEventListener, LLMCallCompletedEvent, crewai_event_bus
from spec import REQUEST, SYSTEM


class Progress(BaseEventListener):
    calls = 0

    def setup_listeners(self, bus: Any) -> None:
        @bus.on(LLMCallCompletedEvent)
        def heard(source: Any, event: Any) -> None:
            self.calls += 1


def build(base_url: str, model: str) -> Crew:
    llm = LLM(model=f"openai/{model}", base_url=base_url)
    assistant = Agent(role="assistant", goal="Answer the question.", backstory=SYSTEM, llm=llm)
    task = Task(description=REQUEST, expected_output="One sentence.", agent=assistant, callback=lambda output: None)
    return Crew(agents=[assistant], tasks=[task])


def run(crew: Any) -> str:
    progress = Progress()
    answer = crew.kickoff().raw
    crewai_event_bus.flush()
    return f"{answer} (heard of {progress.calls} call)"
