"""Defects that users of other tools have reported about observing AutoGen, and that must not be ours.

Their tests stand where the behaviour is at home; this looks for one of each.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

REPORTED = """
autogen#3971, autogen#5697, autogen#5895, autogen#6548, autogen#7100, autogen#7956, langfuse#11505, langfuse#8055,
openinference PR#1871, openinference#1381, openinference#2167, openinference#2258, openinference#2337,
openinference#3078, openinference#3328
"""


@pytest.mark.parametrize("reference", [reference.strip() for reference in REPORTED.split(",")])
def test_every_reported_defect_has_a_test(reference: str, tests_naming: Callable[[str, str], list[str]]) -> None:
    """The docstring of some test of this adapter names the report."""
    assert tests_naming("autogen", reference) != []


def test_what_was_seen_with_another_tool_has_tests(tests_naming: Callable[[str, str], list[str]]) -> None:
    """Statuses after errors and cancelling, the span after a break, and clients of other providers have a test each."""
    assert sorted(tests_naming("autogen", "seen with OpenInference 0.1.22")) == [
        "test_a_server_error_of_an_agent",
        "test_a_token_cancelled_during_a_model_call",
        "test_clients_of_any_kind_have_their_calls_shown",
        "test_the_current_span_after_a_break",
    ]
