"""An agent whose tool asks the model in a thread pool."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from spec import CHAPTERS, READER, REQUEST, SYSTEM


def build(base_url: str, model: str) -> Any:
    llm = ChatOpenAI(model=model, base_url=base_url)

    def read(chapter: str) -> str:
        return llm.invoke([("system", READER), ("user", chapter)]).content

    def read_chapters() -> str:
        """Have all chapters read."""
        with ThreadPoolExecutor(4) as pool:
            return "\n".join(pool.map(read, CHAPTERS))

    return create_agent(llm, [read_chapters], system_prompt=SYSTEM, name="editor")


def run(agent: Any) -> str:
    return agent.invoke({"messages": [("user", REQUEST)]})["messages"][-1].content
