"""What differs on the OpenAI Agents SDK."""

NOTE = (
    "A session keeps the conversation, in a file here; which step is next is known to the program alone. A state of a run is "
    "made where one waits for approval: https://openai.github.io/openai-agents-python/sessions/."
)
