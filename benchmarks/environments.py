"""One environment per peer, because their pins conflict with one another and with ours.

``ours`` is the environment that runs the benchmarks; the others are made once under ``.cache/bench`` and share our
versions of the framework under test. An environment that can't be made costs its rows of the table, nothing else.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["CACHE", "OURS", "REQUIREMENTS", "python_of", "versions"]

_ROOT = Path(__file__).resolve().parents[1]
CACHE = _ROOT / ".cache" / "bench"
OURS = "ours"

_LANGGRAPH = ["langgraph", "langgraph-checkpoint", "langchain-core"]
_AUTOGEN = ["autogen-agentchat", "autogen-core"]
_CREWAI = ["crewai"]
_AGENT_FRAMEWORK = ["agent-framework-core"]
_OPENAI_AGENTS = ["openai-agents"]
_PYDANTIC_AI = ["pydantic-ai-slim"]
_PINNED = {*_LANGGRAPH, *_AUTOGEN, *_CREWAI, *_AGENT_FRAMEWORK, *_OPENAI_AGENTS, *_PYDANTIC_AI}
_EXPORTER = "opentelemetry-exporter-otlp-proto-http"
REQUIREMENTS = {
    "openinference": [*_LANGGRAPH, "openinference-instrumentation-langchain", "opentelemetry-sdk", _EXPORTER],
    "openinference-agent-framework": [
        *_AGENT_FRAMEWORK,
        "openinference-instrumentation-agent-framework",
        "opentelemetry-sdk",
        _EXPORTER,
    ],
    "openinference-autogen": [
        *_AUTOGEN,
        "autogen-ext[openai]",  # without it, it does not start
        "openinference-instrumentation-autogen-agentchat",
        "opentelemetry-sdk",
        _EXPORTER,
    ],
    "openinference-crewai": [*_CREWAI, "openinference-instrumentation-crewai", "opentelemetry-sdk", _EXPORTER],
    "openinference-openai-agents": [
        *_OPENAI_AGENTS,
        "openinference-instrumentation-openai-agents",
        "opentelemetry-sdk",
        _EXPORTER,
    ],
    "openinference-pydantic-ai": [
        *_PYDANTIC_AI,
        "openinference-instrumentation-pydantic-ai",
        "opentelemetry-sdk",
        _EXPORTER,
    ],
    "openllmetry": [*_LANGGRAPH, "opentelemetry-instrumentation-langchain", "opentelemetry-sdk", _EXPORTER],
    "traceloop": [*_LANGGRAPH, "traceloop-sdk"],
    # It wants another OpenTelemetry than the newest; a resolver may then choose an old OpenLIT, which does not start.
    "openlit": [*_LANGGRAPH, "openlit>=1.45", _EXPORTER],
    "logging": ["loguru", "structlog", "orjson", "python-json-logger"],
    "genai-prices": ["genai-prices"],
    "tokencost": ["tokencost"],
    "litellm": ["litellm"],
    "detect-secrets": ["detect-secrets>=1.5,<2"],
    "phoenix": ["arize-phoenix"],
    "dashboard": [
        str(_ROOT / "packages" / "core"),
        str(_ROOT / "packages" / "cli"),
        str(_ROOT / "packages" / "dashboard"),
    ],  # alone, as its users have it
}
"""What each environment holds. The framework under test is pinned to the version in ``ours``."""


def _pinned(requirement: str) -> str:
    return f"{requirement}=={importlib.metadata.version(requirement)}" if requirement in _PINNED else requirement


def _make(directory: Path, requirements: list[str]) -> None:
    uv = shutil.which("uv")
    if uv:
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, directory], check=True)
        # Compiled, as pip does it: a first start is measured as its user has it.
        command = [uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", directory / "bin" / "python"]
    else:
        subprocess.run([sys.executable, "-m", "venv", directory], check=True)
        command = [directory / "bin" / "python", "-m", "pip", "install", "--quiet"]
    subprocess.run([*command, *requirements], check=True)


def _newest(requirement: str) -> float:
    """When a package of this tree was changed last; 0 for one from the index."""
    sources = (Path(requirement) / "src").rglob("*") if requirement.startswith(str(_ROOT)) else ()
    return max((path.stat().st_mtime for path in sources if "__pycache__" not in path.parts), default=0.0)


def python_of(name: str) -> Path | None:
    """The interpreter of environment ``name``, made on first use; ``None`` (and a word on stderr) if that fails."""
    if name == OURS:
        return Path(sys.executable)
    requirements = [_pinned(requirement) for requirement in REQUIREMENTS[name]]
    made_of = [sys.version, requirements, [_newest(requirement) for requirement in requirements]]
    key = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:8]
    directory = CACHE / f"{name}-{key}"
    ready = directory / "ready"
    if not ready.exists():
        shutil.rmtree(directory, ignore_errors=True)
        directory.parent.mkdir(parents=True, exist_ok=True)
        try:
            _make(directory, requirements)
        except subprocess.CalledProcessError as error:
            print(f"{name}: no environment, its rows are left out ({error})", file=sys.stderr)
            return None
        ready.touch()
    return directory / "bin" / "python"


def versions(*distributions: str) -> dict[str, str]:
    """The versions of those distributions that the running interpreter has."""
    found = {}
    for distribution in distributions:
        try:
            found[distribution] = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
