"""Users, tags and metadata: what programs and other instrumentations write, and what a row makes of it."""

from __future__ import annotations

from typing import Any

import pytest

from ai_dev_squad_dashboard.ingest.labels import MOST_LABELS, labels_of
from ai_dev_squad_dashboard.ingest.otlp_shapes import Origin, Span
from ai_dev_squad_dashboard.ingest.pricing import Prices
from ai_dev_squad_dashboard.ingest.translate import span_row
from ai_dev_squad_dashboard.store.rows import label_pairs

PRICES = Prices()
SECOND_NS = 1_000_000_000


@pytest.mark.parametrize(
    "attributes, pairs",
    [
        ({"langgraph.metadata.tenant": "acme", "langgraph.run_id": "x"}, [("tenant", "acme")]),
        ({"traceloop.association.properties.chat": 7, "traceloop.association.properties.user_id": "ada"}, [("chat", "7")]),
        ({"langfuse.trace.tags": ["beta", "eu"], "langfuse.environment": "prod"}, [("tag", "beta"), ("tag", "eu"), ("environment", "prod")]),
        ({"metadata": '{"tenant": "acme", "ls_provider": "openai", "paid": true, "deep": {"a": 1}}', "tag.tags": '["x"]'},
         [("tenant", "acme"), ("paid", "true"), ("tag", "x")]),
        ({"ai.telemetry.metadata.tags": ["x", "x"], "ai.telemetry.metadata.userId": "ada"}, [("tag", "x")]),
        ({"metadata": "{", "langgraph.metadata.long": "x" * 300, "gen_ai.request.model": "m"}, []),
    ],
    ids=str,
)  # fmt: skip
def test_labels_are_read_under_every_name_that_senders_give_them(
    attributes: dict[str, Any], pairs: list[tuple[str, str]]
) -> None:
    """Plain values become keys and texts; ids with a column of their own, a framework's own keys and long texts do not."""
    labels = labels_of(attributes)
    assert (label_pairs(labels) if labels is not None else []) == pairs


def test_an_environment_of_the_resource_counts_where_the_span_names_none() -> None:
    """However often the same was said before, and whichever of both said it."""
    said = {"langfuse.environment": "prod"}
    for _ in range(2):
        assert labels_of(said, {"deployment.environment": "test"}) == '{"environment":"prod"}'
        assert labels_of({}, {"deployment.environment": "test"}) == '{"environment":"test"}'
        assert labels_of({"langgraph.metadata.a": 1}, {"deployment.environment": "x"}) == '{"a":"1","environment":"x"}'
        assert labels_of({"langgraph.metadata.a": True}) == '{"a":"true"}'


def test_a_span_has_so_many_labels_and_no_more() -> None:
    """A sender that makes a key of everything fills attributes, not the table that filters."""
    labels = labels_of({f"langgraph.metadata.k{number}": "v" for number in range(500)})
    assert labels is not None
    assert label_pairs(labels) == [(f"k{number}", "v") for number in range(MOST_LABELS)]


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "{", '{"a": ["b", 1]}'])
def test_a_text_that_is_no_object_of_labels_has_no_pairs(text: str) -> None:
    """A row is never refused for what it is labelled with."""
    assert label_pairs(text) == []


@pytest.mark.parametrize(
    "attributes, user",
    [
        ({"ai_dev_squad.framework": "crewai", "ai_dev_squad.user.id": "ada"}, "ada"),
        ({"ai_dev_squad.framework": "crewai", "enduser.id": "ada"}, "ada"),
        ({"user.id": "ada", "enduser.id": "bob"}, "ada"),
        ({"enduser.id": 17}, "17"),
        ({"langfuse.user.id": "ada"}, "ada"),
        ({"traceloop.association.properties.user_id": "ada"}, "ada"),
        ({"ai.telemetry.metadata.userId": "ada", "ai.operationId": "ai.generateText"}, "ada"),
        ({"user.id": ""}, None),
        ({}, None),
    ],
    ids=str,
)
def test_whom_a_span_was_for(attributes: dict[str, Any], user: str | None) -> None:
    """A sender's user stands in the row, whatever the attribute is called, and the environment comes from the resource."""
    given = Span("1" * 32, "2" * 16, "", "run", 1, SECOND_NS, 2 * SECOND_NS, attributes, [], [], False, "")
    row = span_row(given, Origin({"deployment.environment.name": "prod"}), 3_000_000, PRICES)
    assert (row.user_id, row.labels) == (user, '{"environment":"prod"}')
