"""What differs on the OpenAI Agents SDK."""

NOTE = (
    "No team is a member of another; the guardrail of an agent runs another agent, within the first one's run: "
    "https://openai.github.io/openai-agents-python/guardrails/."
)
