"""A flow whose first method starts a call, and whose second waits for it."""

import asyncio
from typing import Any

from crewai import LLM
from crewai.flow.flow import Flow, listen, start
from spec import REQUEST, SYSTEM


class Research(Flow[dict]):
    llm: Any = None

    @start()
    async def begin(self) -> None:
        asked = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": REQUEST}]
        self._call = asyncio.create_task(self.llm.acall(asked))
        await asyncio.sleep(0)

    @listen(begin)
    async def collect(self) -> str:
        return await self._call


def build(base_url: str, model: str) -> Research:
    flow = Research()
    flow.llm = LLM(model=f"openai/{model}", base_url=base_url)
    return flow


async def run(flow: Any) -> str:
    return await flow.kickoff_async()
