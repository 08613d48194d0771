"""Defects that users of other tools have reported about observing the OpenAI Agents SDK, and that must not be ours.

Their tests stand where the behaviour is at home; this looks for one of each.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

REPORTED = """
openai-agents-python#435, openai-agents-python#515, openai-agents-python#538, openai-agents-python#634,
openai-agents-python#948, openai-agents-python#1612, openai-agents-python#1909, openai-agents-python#2008,
openai-agents-python#2036, openai-agents-python#2540, openai-agents-python#2557, openllmetry#4060, openinference#2530,
sentry-python#5291, sentry-docs#14649, dd-trace-py#13795
"""


@pytest.mark.parametrize("reference", [reference.strip() for reference in REPORTED.split(",")])
def test_every_reported_defect_has_a_test(reference: str, tests_naming: Callable[[str, str], list[str]]) -> None:
    """The docstring of some test of this adapter names the report."""
    assert tests_naming("openai_agents", reference) != []
