"""What differs on the OpenAI Agents SDK."""

from ai_dev_squad_parity.lab.scenario import Expected

NOTE = (
    "A hand-off is offered to the model as a tool, and is no execution of one; the turn of the agent that hands over says to "
    "whom: https://openai.github.io/openai-agents-python/handoffs/."
)
EXPECTED = Expected(answer="a mistake", agents=("triage", "billing"))
