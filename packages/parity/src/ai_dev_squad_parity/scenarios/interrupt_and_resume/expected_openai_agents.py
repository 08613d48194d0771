"""What differs on the OpenAI Agents SDK."""

from ai_dev_squad_parity.lab.scenario import Expected

NOTE = (
    "A run waits where a tool needs approval; here the tool is the agent that publishes: "
    "https://openai.github.io/openai-agents-python/human_in_the_loop/."
)
EXPECTED = Expected(
    answer="Published",
    agents=("writer", "publisher"),
    tools=(("publish", {"input": "Figs are sweet."}),),
    traces=2,
    linked=True,
    interrupts=1,
    run_status=("interrupted", "ok"),
)
