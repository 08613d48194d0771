"""A workflow that stops in the middle asks somebody whether to go on."""

from dataclasses import replace

from spec import EXPECTED as ELSEWHERE

NOTE = (
    "A workflow that stops in the middle asks whether to go on, and so is interrupted; what it waits for stands in the checkpoint: "
    "https://learn.microsoft.com/en-us/agent-framework/workflows/checkpoints."
)
EXPECTED = replace(ELSEWHERE, run_status=("interrupted", "ok"), interrupts=1)
