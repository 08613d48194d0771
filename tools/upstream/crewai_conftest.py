"""What CrewAI's tests find around them in its repository, and its source distribution leaves out.

``crewai_suite`` puts this file beside the tests as their ``conftest.py``. It is the same for both runs: no key, no
network, nothing of the user's home, recorded answers instead of model services, and no state handed from one test to
the next.
"""

from __future__ import annotations

import gzip
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_home = tempfile.TemporaryDirectory(prefix="crewai-suite-")

# Before CrewAI is imported: it reads much of this only once. The values are those that the recordings were made with
# where these are part of a request's address; keys only have to be there.
ENVIRONMENT = {
    "HOME": _home.name,
    "OPENAI_API_KEY": "none",
    "ANTHROPIC_API_KEY": "none",
    "GEMINI_API_KEY": "none",
    "AZURE_API_KEY": "none",
    "AZURE_OPENAI_API_KEY": "none",
    "OPENROUTER_API_KEY": "none",
    "EXA_API_KEY": "none",
    "SERPER_API_KEY": "none",
    "HF_TOKEN": "none",
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AZURE_ENDPOINT": "https://fake-azure-endpoint.openai.azure.com",
    "AZURE_OPENAI_ENDPOINT": "https://fake-azure-endpoint.openai.azure.com",
    "AZURE_API_VERSION": "2024-02-15-preview",
    "OPENAI_API_VERSION": "2024-02-15-preview",
    "OPENAI_BASE_URL": "https://api.openai.com/v1",
    "OPENAI_API_BASE": "https://api.openai.com/v1",
    "CREWAI_PERSONAL_ACCESS_TOKEN": "none",
    "CREWAI_PLUS_URL": "https://fake.crewai.com",
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_TESTING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
}
UNSET = ("GITHUB_ACTIONS", "CREWAI_PLATFORM_INTEGRATION_TOKEN", "GOOGLE_CLOUD_PROJECT", "GOOGLE_API_KEY", "MODEL")
# The tests expect to find these only at first.
LEFT_TO_TESTS = ("CREWAI_DISABLE_TELEMETRY", "OPENAI_BASE_URL", "OPENAI_API_BASE")
BEDROCK = re.compile(r"bedrock-runtime\.[a-z0-9-]+\.amazonaws\.com")
AZURE = re.compile(r"[a-z0-9-]+\.openai\.azure\.com")

os.environ.update(ENVIRONMENT)
for name in UNSET:
    os.environ.pop(name, None)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "telemetry: the test is about telemetry")


@pytest.fixture(autouse=True)
def a_storage_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep what a test stores from the next one."""
    os.environ["CREWAI_STORAGE_DIR"] = str(tmp_path_factory.mktemp("storage"))
    os.environ["CREWAI_TESTING"] = "true"
    yield
    for name in ("CREWAI_STORAGE_DIR", "CREWAI_TESTING", *LEFT_TO_TESTS):
        os.environ.pop(name, None)


@pytest.fixture(autouse=True)
def events_start_afresh() -> Iterator[None]:
    """Forget handlers, counters and listeners of the test before."""
    from crewai.events import event_context
    from crewai.events.base_events import reset_emission_counter
    from crewai.events.event_bus import crewai_event_bus as bus
    from crewai.events.listeners.tracing.trace_listener import TraceCollectionListener

    reset_emission_counter()
    event_context._event_id_stack.set(())
    event_context._event_context_config.set(event_context.EventContextConfig())
    yield
    with bus._rwlock.w_locked():
        bus._sync_handlers.clear()
        bus._async_handlers.clear()
    TraceCollectionListener._instance = None


# ---------------------------------------------------------------------------------------------- recorded answers


@pytest.fixture(scope="module")
def vcr_cassette_dir(request: pytest.FixtureRequest) -> str:
    """The recordings lie as the tests do, in a folder of their own."""
    tests = Path(__file__).parent / "tests"
    return str(tests / "cassettes" / request.path.parent.relative_to(tests))


@pytest.fixture(scope="module")
def vcr_config() -> dict[str, Any]:
    """Play and never record; the region and the account of a service are no difference."""
    return {
        "record_mode": "none",
        "match_on": ["method", "scheme", "host", "port", "path"],
        "before_record_request": without_place,
        "before_record_response": readable,
    }


def without_place(request: Any) -> Any:
    """The request with the same host for all regions and accounts."""
    for pattern, host in ((BEDROCK, "bedrock-runtime.amazonaws.com"), (AZURE, "an-account.openai.azure.com")):
        if request.host and pattern.fullmatch(request.host):
            request.uri = request.uri.replace(request.host, host)
    request.method = request.method.upper()
    return request


def readable(response: dict[str, Any]) -> dict[str, Any] | None:
    """The response uncompressed; ``None``, so that it is left out, where a client was recorded reading twice."""
    body = response.get("body", {}).get("string", b"")
    headers = response.get("headers", {})
    lengths = [value for name, values in headers.items() if name.lower() == "content-length" for value in values]
    if not body or "0" in lengths or response.get("status", {}).get("code", 0) >= 400:
        return None
    for name in [name for name in headers if name.lower() == "content-encoding"]:
        del headers[name]
    if isinstance(body, bytes) and body.startswith(b"\x1f\x8b"):
        response["body"]["string"] = gzip.decompress(body)
    return response
