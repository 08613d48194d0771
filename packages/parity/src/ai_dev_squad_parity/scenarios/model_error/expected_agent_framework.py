"""The framework has an exception of its own for what a client library raises."""

from dataclasses import replace

from spec import SCENARIO

NOTE = (
    "Agent Framework raises an exception of its own whose cause is OpenAI's BadRequestError: "
    "https://learn.microsoft.com/en-us/python/api/agent-framework-core/agent_framework.exceptions."
)
EXPECTED = replace(SCENARIO.expected, raises="ChatClientException")
