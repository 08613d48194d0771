"""A hand-off is a tool call that the framework answers itself."""

from dataclasses import replace

from spec import SCENARIO

NOTE = (
    "Agent Framework calls the tool of a hand-off `handoff_to_billing`: "
    "https://learn.microsoft.com/en-us/agent-framework/workflows/orchestrations/handoff."
)
EXPECTED = replace(SCENARIO.expected, tools=(("handoff_to_billing", {}),))
