"""An agent that looks into the store of its graph."""

from typing import Any

from langchain.agents import create_agent
from langchain.agents.middleware import ModelRequest, dynamic_prompt
from langchain_openai import ChatOpenAI
from langgraph.store.memory import InMemoryStore
from spec import FACT, REQUEST, SYSTEM


@dynamic_prompt
def what_is_known(request: ModelRequest) -> str:
    known = request.runtime.store.search(("people",))
    return "\n".join([SYSTEM, *(item.value["fact"] for item in known)])


def build(base_url: str, model: str) -> Any:
    store = InMemoryStore()
    store.put(("people",), "ann", {"fact": FACT})
    llm = ChatOpenAI(model=model, base_url=base_url)
    return create_agent(llm, middleware=[what_is_known], store=store, name="assistant")


def run(agent: Any) -> str:
    result = agent.invoke({"messages": [("user", REQUEST)]})
    return result["messages"][-1].content
