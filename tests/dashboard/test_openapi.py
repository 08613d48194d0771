"""The description of the routes covers every route there is, and says what each field means."""

from __future__ import annotations

import re

import pytest

from ai_dev_squad_dashboard import DashboardSettings, create_app
from ai_dev_squad_dashboard.app import running
from ai_dev_squad_dashboard.openapi import describe
from ai_dev_squad_dashboard.store import open_memory_store
from ai_dev_squad_dashboard.views import PAGES


@pytest.fixture(scope="module")
def rules():
    """Path → methods of everything below /api and /v1, as the description writes paths."""
    app = create_app(DashboardSettings(port=0, logs=()), store=open_memory_store(), follow=False)
    found: dict[str, set[str]] = {}
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith(("/api", "/v1")):
            methods = found.setdefault(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), set())
            methods.update(rule.methods - {"HEAD", "OPTIONS"})
    running(app).close()
    return found


def test_every_route_is_described_and_nothing_else(rules):
    """What the application answers under /api and /v1 is what the description has, method by method."""
    described = {path: {method.upper() for method in item} for path, item in describe()["paths"].items()}

    assert described == rules


def test_every_operation_has_a_name_of_its_own_and_a_summary():
    """Generated clients need names, and people a sentence."""
    operations = [operation for item in describe()["paths"].values() for operation in item.values()]

    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert [operation["operationId"] for operation in operations if not operation["summary"].endswith(".")] == []


def test_every_parameter_says_what_it_is_for():
    """No parameter of any route is without a description."""
    silent = [
        (path, parameter["name"])
        for path, item in describe()["paths"].items()
        for operation in item.values()
        for parameter in operation["parameters"]
        if not parameter.get("description")
    ]

    assert silent == []


def test_fields_carry_the_words_of_the_source():
    """What stands below a field in the source is its description."""
    schemas = describe()["components"]["schemas"]

    assert schemas["LogLine"]["properties"]["message"]["description"] == "At most 20,000 characters."
    assert schemas["Session"]["properties"]["turns"]["description"] == "Traces of the session."


def test_references_lead_somewhere():
    """Every ``$ref`` names a schema that is there."""
    text = str(describe())
    schemas = describe()["components"]["schemas"]

    assert {name for name in re.findall(r"#/components/schemas/([\w.]+)", text) if name not in schemas} == set()
    assert {page.view.__name__ for page in PAGES} <= schemas.keys()
