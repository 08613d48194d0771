"""An agent whose answer another one checks within its run, before a third goes on with it."""

from typing import Any

from agents import Agent, GuardrailFunctionOutput, OpenAIChatCompletionsModel, Runner, output_guardrail, trace
from openai import AsyncOpenAI
from spec import CHECKER, EDITOR, REQUEST, RESEARCHER


def build(base_url: str, model: str) -> tuple[Agent, Agent]:
    chat = OpenAIChatCompletionsModel(model, AsyncOpenAI(base_url=base_url))
    checker = Agent(name="checker", instructions=CHECKER, model=chat)

    @output_guardrail
    async def checked(context: Any, agent: Any, fact: str) -> GuardrailFunctionOutput:
        result = await Runner.run(checker, fact, context=context.context)
        return GuardrailFunctionOutput(result.final_output, tripwire_triggered="right" not in result.final_output)

    researcher = Agent(name="researcher", instructions=RESEARCHER, model=chat, output_guardrails=[checked])
    editor = Agent(name="editor", instructions=EDITOR, model=chat)
    return researcher, editor


async def run(squad: Any) -> str:
    researcher, editor = squad
    with trace("paper"):
        fact = await Runner.run(researcher, REQUEST)
        result = await Runner.run(editor, fact.final_output)
    return result.final_output
