"""What stands in a list of runs: how the question and the answer begin, whatever shape the content has."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ai_dev_squad_dashboard.ingest.excerpts import EXCERPT, answer_in, question_in


def said(role: str, text: str) -> dict[str, Any]:
    """A message as the conventions have it."""
    return {"role": role, "parts": [{"type": "text", "content": text}]}


@pytest.mark.parametrize(
    "content, question, answer",
    [
        ([said("system", "Be brief."), said("user", "Old"), said("assistant", "A"), said("user", "New\n  line")], "New line", "A"),
        ({"messages": [{"type": "human", "content": "Hi"}, {"type": "ai", "content": [{"type": "text", "text": "Ho"}]}]}, "Hi", "Ho"),
        ("plain", "plain", "plain"),
        ({"topic": "AI", "count": 3}, "AI", "AI"),
        ([said("tool", "42")], None, "42"),
        ([{"role": "user", "content": [{"type": "image", "content": "x"}]}, said("user", "")], None, None),
        ([1, None, ["a"]], "a", "a"),
        (None, None, None),
        ([{"role": ["user"], "content": "x"}], None, "x"),
    ],
    ids=str,
)  # fmt: skip
def test_what_was_asked_and_answered(content: Any, question: str | None, answer: str | None) -> None:
    """The newest words of a side, in one line; of an answer without a role, what came last."""
    assert (question_in(content), answer_in(content)) == (question, answer)


def test_an_excerpt_is_short() -> None:
    """A long text is cut, and one that is nothing but space is none."""
    assert question_in([said("user", "word " * 10_000)]) == ("word " * 40).strip()[:EXCERPT]
    assert question_in([said("user", " " * 10_000)]) is None


@given(st.text(st.sampled_from("ab \u00a0\u2003\n\t\x1f\u00e9"), max_size=EXCERPT * 2))
def test_an_excerpt_is_one_line_whatever_its_blanks(text: str) -> None:
    """Every run of blanks is one, and none stands at an end."""
    assert question_in([said("user", text)]) == (" ".join(text.split())[:EXCERPT].rstrip() or None)
