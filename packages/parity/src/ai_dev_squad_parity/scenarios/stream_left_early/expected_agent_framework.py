"""The stream that is left is the run's own."""

from dataclasses import replace

from spec import SCENARIO

NOTE = (
    "The program reads the agent's stream itself: who leaves it leaves the run, "
    "https://learn.microsoft.com/en-us/agent-framework/agents/running-agents."
)
EXPECTED = replace(SCENARIO.expected, run_status=("closed_early",))
