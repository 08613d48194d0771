"""The framework looks at the object when the program does."""

from spec import Expected

NOTE = (
    "Agent Framework takes the answer as it is, so that call and run are fine; the program gets pydantic's ValidationError when it asks "
    "for the value: https://learn.microsoft.com/en-us/agent-framework/agents/structured-outputs."
)
EXPECTED = Expected(raises="ValidationError", agents=("clerk",))
