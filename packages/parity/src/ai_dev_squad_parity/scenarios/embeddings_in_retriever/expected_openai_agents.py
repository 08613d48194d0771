"""What differs on the OpenAI Agents SDK."""

NOTE = (
    "The SDK searches OpenAI's own vector stores; other documents are looked up by the program, as in instructions that are a "
    "function: https://openai.github.io/openai-agents-python/agents/#dynamic-instructions."
)
