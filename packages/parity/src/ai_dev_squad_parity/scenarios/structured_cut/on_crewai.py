"""A flow that wants an object of its model."""

from typing import Any

from crewai import LLM
from crewai.flow.flow import Flow, start
from openai import LengthFinishReasonError
from pydantic import BaseModel
from spec import REQUEST, SYSTEM


class City(BaseModel):
    name: str
    country: str


class Clerk(Flow[dict]):
    llm: Any = None

    @start()
    def clerk(self) -> str:
        asked = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": REQUEST}]
        try:
            return self.llm.call(asked, response_model=City).country
        except LengthFinishReasonError as error:
            return type(error).__name__


def build(base_url: str, model: str) -> Clerk:
    flow = Clerk()
    flow.llm = LLM(model=f"openai/{model}", base_url=base_url, max_tokens=1024)
    return flow


def run(flow: Any) -> str:
    return flow.kickoff()
