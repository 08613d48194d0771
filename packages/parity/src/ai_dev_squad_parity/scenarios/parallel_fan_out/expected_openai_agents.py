"""What differs on the OpenAI Agents SDK."""

NOTE = (
    "Agents that take turns are plain Python, and one run in the block of a trace(): "
    "https://openai.github.io/openai-agents-python/multi_agent/."
)
