"""The Pydantic AI adapter holds the contract of all adapters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.result import StreamedRunResultSync
from pydantic_graph import GraphBuilder, StepContext, reduce_list_append

from ai_dev_squad_pydantic_ai import observe, unobserve
from ai_dev_squad_testing import AdapterContract


def model_at(base_url: str, model: str = "gpt-4o-mini") -> OpenAIChatModel:
    """A real model behind OpenAI's client."""
    return OpenAIChatModel(model, provider=OpenAIProvider(base_url=base_url, api_key="sk-test"))


@contextmanager
def a_loop_of_its_own() -> Iterator[None]:
    """Where a thread has no event loop, the framework makes one for its synchronous functions, and leaves it open."""
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        yield
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.run_until_complete(loop.shutdown_default_executor())
        loop.close()
        asyncio.set_event_loop(None)


class TestPydanticAI(AdapterContract):
    """Agents with ``OpenAIChatModel``, and graphs of ``pydantic_graph`` around them."""

    framework = "pydantic_ai"
    lacks = (
        {}
        if hasattr(StreamedRunResultSync, "__enter__")
        else {"stream": "before 2.0, a synchronous stream cannot be closed"}
    )

    def observe(self, program: Any) -> Any:
        return observe(program)

    def observe_as(self, program: Any, task: str) -> Any:
        return observe(program, task=task)

    def unobserve(self, program: Any) -> Any:
        return unobserve(program)

    def asking(self, base_url: str, *, streaming: bool = False, model: str = "gpt-4o-mini") -> Any:
        return Agent(model_at(base_url, model), name="clerk")

    def with_tool(self, base_url: str, tool: Callable[[str], str]) -> Any:
        return Agent(model_at(base_url), name="clerk", tools=[tool])

    def two_agents(self, base_url: str) -> Any:
        model = model_at(base_url)
        planner = Agent(model, name="planner", instructions="Here you plan.")
        coder = Agent(model, name="coder", instructions="Here you code.")
        builder = GraphBuilder(input_type=str, output_type=str)

        @builder.step
        async def plan(ctx: StepContext[None, None, str]) -> str:
            return (await planner.run(ctx.inputs)).output

        @builder.step
        async def code(ctx: StepContext[None, None, str]) -> str:
            return (await coder.run(ctx.inputs)).output

        builder.add(
            builder.edge_from(builder.start_node).to(plan),
            builder.edge_from(plan).to(code),
            builder.edge_from(code).to(builder.end_node),
        )
        return builder.build()

    def in_parallel(self, base_url: str) -> Any:
        agent = Agent(model_at(base_url), name="clerk")
        builder = GraphBuilder(input_type=str, output_type=list[str])

        @builder.step
        async def questions(ctx: StepContext[None, None, str]) -> list[str]:
            return [f"{ctx.inputs} ({side})" for side in ("left", "middle", "right")]

        @builder.step
        async def ask(ctx: StepContext[None, None, str]) -> str:
            return (await agent.run(ctx.inputs)).output

        answers = builder.join(reduce_list_append, initial_factory=list[str])
        builder.add(
            builder.edge_from(builder.start_node).to(questions),
            builder.edge_from(questions).map().to(ask),
            builder.edge_from(ask).to(answers),
            builder.edge_from(answers).to(builder.end_node),
        )
        return builder.build()

    def working(self, work: Callable[[], None]) -> Any:
        builder = GraphBuilder(input_type=str, output_type=str)

        @builder.step
        async def step(ctx: StepContext[None, None, str]) -> str:
            await asyncio.to_thread(work)
            return "worked"

        builder.add(
            builder.edge_from(builder.start_node).to(step),
            builder.edge_from(step).to(builder.end_node),
        )
        return builder.build()

    def run(self, program: Any, question: str) -> str:
        if isinstance(program, Agent):
            with a_loop_of_its_own():
                return str(program.run_sync(question).output)
        return str(asyncio.run(program.run(inputs=question)))

    async def arun(self, program: Any, question: str) -> str:
        if isinstance(program, Agent):
            return str((await program.run(question)).output)
        return str(await program.run(inputs=question))

    def stream(self, program: Any, question: str) -> Iterator[str]:
        try:
            with a_loop_of_its_own(), program.run_stream_sync(question) as result:
                yield from result.stream_text(delta=True, debounce_by=None)
        except RuntimeError as error:
            # From Python 3.13 on the framework cannot be left by a generator that is closed, unobserved neither.
            if "ignored GeneratorExit" not in str(error):
                raise

    async def astream(self, program: Any, question: str) -> AsyncIterator[str]:
        async with program.run_stream_events(question) as events:
            async for event in events:
                match event:
                    case PartStartEvent(part=TextPart(content=text)) if text:
                        yield text
                    case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                        yield text
