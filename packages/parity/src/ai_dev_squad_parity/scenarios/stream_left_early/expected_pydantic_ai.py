"""What Pydantic AI does otherwise."""

from dataclasses import replace

from spec import SCENARIO

NOTE = "The stream is the run's own, so whoever leaves it leaves the run: https://ai.pydantic.dev/output/#streamed-results."
EXPECTED = replace(SCENARIO.expected, run_status=("closed_early",))
