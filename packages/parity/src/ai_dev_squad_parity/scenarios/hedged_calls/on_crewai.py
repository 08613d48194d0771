"""A flow whose method races two calls."""

import asyncio
from typing import Any

from crewai import LLM
from crewai.flow.flow import Flow, start
from spec import REQUEST, SYSTEM


class Race(Flow[dict]):
    llm: Any = None

    @start()
    async def race(self) -> str:
        asked = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": REQUEST}]
        calls = [asyncio.create_task(self.llm.acall(asked)) for _ in range(2)]
        done, late = await asyncio.wait(calls, return_when=asyncio.FIRST_COMPLETED)
        for call in late:
            call.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        return done.pop().result()


def build(base_url: str, model: str) -> Race:
    flow = Race()
    flow.llm = LLM(model=f"openai/{model}", base_url=base_url)
    return flow


async def run(flow: Any) -> str:
    return await flow.kickoff_async()
