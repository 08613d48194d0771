"""A flow that retrieves, then has an agent answer."""

from typing import Any

from crewai import LLM, Agent
from crewai.flow.flow import Flow, listen, start
from openai import OpenAI
from spec import DOCUMENTS, EMBEDDING_MODEL, REQUEST, SYSTEM


class Library(Flow[dict]):
    embedder: Any = None
    librarian: Any = None

    def embed(self, texts: list[str]) -> list[list[float]]:
        return [item.embedding for item in self.embedder.embeddings.create(model=EMBEDDING_MODEL, input=texts).data]

    @start()
    def retrieve(self) -> str:
        known, (asked,) = self.embed([*DOCUMENTS]), self.embed([REQUEST])
        near = [sum(a * b for a, b in zip(vector, asked, strict=True)) for vector in known]
        return DOCUMENTS[near.index(max(near))]

    @listen(retrieve)
    def answer(self, found: str) -> str:
        return self.librarian.kickoff(f"{REQUEST}\n{found}").raw


def build(base_url: str, model: str) -> Library:
    flow = Library()
    flow.embedder = OpenAI(base_url=base_url)
    llm = LLM(model=f"openai/{model}", base_url=base_url)
    flow.librarian = Agent(role="librarian", goal="Answer.", backstory=SYSTEM, llm=llm)
    return flow


def run(flow: Any) -> str:
    return flow.kickoff()
