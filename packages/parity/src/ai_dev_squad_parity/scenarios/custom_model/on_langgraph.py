"""An agent with a chat model class of the program."""

from typing import Any

import httpx
from langchain.agents import create_agent
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, convert_to_openai_messages
from langchain_core.outputs import ChatGeneration, ChatResult
from spec import REQUEST, SYSTEM


class OurModel(BaseChatModel):
    address: str
    name_of_model: str

    @property
    def _llm_type(self) -> str:
        return "ours"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        body = {"model": self.name_of_model, "messages": convert_to_openai_messages(messages)}
        answer = httpx.post(f"{self.address}/chat/completions", json=body).raise_for_status().json()
        said = AIMessage(answer["choices"][0]["message"]["content"])
        return ChatResult(generations=[ChatGeneration(message=said)])


def build(base_url: str, model: str) -> Any:
    return create_agent(OurModel(address=base_url, name_of_model=model), system_prompt=SYSTEM, name="assistant")


def run(agent: Any) -> str:
    return agent.invoke({"messages": [("user", REQUEST)]})["messages"][-1].content
