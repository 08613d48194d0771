"""A flow whose method reads a part of the stream of OpenAI's own client."""

from typing import Any

from crewai.flow.flow import Flow, start
from openai import OpenAI
from spec import REQUEST, SYSTEM


class Reader(Flow[dict]):
    client: Any = None
    model: str = ""

    @start()
    def read(self) -> str:
        answer = ""
        asked = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": REQUEST}]
        with self.client.chat.completions.create(model=self.model, messages=asked, stream=True) as stream:
            for piece in stream:
                answer += piece.choices[0].delta.content or ""
                if len(answer) > 200:
                    break
        return answer


def build(base_url: str, model: str) -> Reader:
    flow = Reader()
    flow.client, flow.model = OpenAI(base_url=base_url), model
    return flow


def run(flow: Any) -> str:
    return flow.kickoff()
