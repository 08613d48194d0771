"""Every route that programs use is asked what nobody expects, on a running dashboard, and answers as its description says."""

from __future__ import annotations

import json

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from ai_dev_squad_dashboard.openapi import describe

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]


@schemathesis.serializer("application/x-protobuf")
def as_it_is(context, value):
    """Bytes that claim to be protobuf; what generated them knows nothing of it."""
    return value if isinstance(value, bytes) else str(value).encode()


schema = schemathesis.openapi.from_dict(describe())


def test_the_description_is_served_as_it_is_generated(dashboard):
    """``/api/openapi.json`` is what the code says."""
    assert requests.get(f"{dashboard}/api/openapi.json", timeout=30).json() == json.loads(json.dumps(describe()))


@schema.parametrize()
@settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)
def test_every_route_answers_as_described(case, dashboard):
    """Whatever is asked or sent, the answer has a status, a type and a shape that the description names, and is no failure."""
    response = case.call(base_url=dashboard, timeout=60)
    case.validate_response(response, checks=CHECKS)


def test_real_addresses_answer_as_described(dashboard):
    """The routes with ids in them conform on what is really stored."""
    trace = requests.get(f"{dashboard}/api/traces", timeout=30).json()["rows"][0]["trace_id"]
    session = requests.get(f"{dashboard}/api/sessions", timeout=30).json()["rows"][0]["session_id"]
    span = requests.get(f"{dashboard}/api/logs", params={"trace": trace}, timeout=30).json()["lines"][0]["span_id"]
    for path, arguments in (
        ("/api/traces/{trace_id}", {"trace_id": trace}),
        ("/api/traces/{trace_id}/spans/{span_id}", {"trace_id": trace, "span_id": span}),
        ("/api/sessions/{session_id}", {"session_id": session}),
    ):
        case = schema[path]["GET"].Case(path_parameters=arguments)
        response = case.call(base_url=dashboard)
        assert response.status_code == 200
        case.validate_response(response, checks=CHECKS)
