"""A flow that waits for feedback, and is resumed from what it kept."""

import os
from pathlib import Path
from typing import Any

from crewai import LLM, Agent
from crewai.flow import HumanFeedbackPending, human_feedback
from crewai.flow.flow import Flow, listen, start
from crewai.flow.persistence import SQLiteFlowPersistence
from pydantic import BaseModel
from spec import PUBLISHER, REQUEST, WRITER


class Later:
    """Asks the person by mail, so that the flow has to wait."""

    def request_feedback(self, context: Any, flow: Any) -> str:
        raise HumanFeedbackPending(context=context)


class State(BaseModel):
    answer: str = ""


def build(base_url: str, model: str) -> type[Flow[State]]:
    llm = LLM(model=f"openai/{model}", base_url=base_url)

    class Line(Flow[State]):
        @start()
        @human_feedback(message="Publish it?", provider=Later())
        async def write(self) -> str:
            writer = Agent(role="writer", goal="Write.", backstory=WRITER, llm=llm)
            return (await writer.kickoff_async(REQUEST)).raw

        @listen(write)
        async def publish(self) -> None:
            publisher = Agent(role="publisher", goal="Publish.", backstory=PUBLISHER, llm=llm)
            self.state.answer = (await publisher.kickoff_async("Publish it.")).raw

    return Line


def run(line: Any) -> str:
    kept = SQLiteFlowPersistence(str(Path(os.environ["AI_DEV_SQUAD_LAB_STATE"], "flows.db")))
    waiting = line(persistence=kept)
    waiting.kickoff()
    resumed = line.from_pending(waiting.flow_id, kept)
    resumed.resume("yes")
    return resumed.state.answer
