"""A client library in a framework: what it needs, and how it is made; and the program around it."""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ai_dev_squad_parity.lab.scenario import FRAMEWORKS, Cannot, Program
from ai_dev_squad_parity.providers.spec import Provider

__all__ = ["Client", "Missing", "UnusableClientError", "client_of", "missing_of", "program_of", "with_providers"]


@dataclass(frozen=True)
class Client:
    """A framework's client of a provider."""

    make: Callable[[str, str, bool], Any]
    """Given the server's address without a path, the model and whether answers are streamed."""
    needs: tuple[str, ...]
    """The distributions that it comes from, the framework's own part first."""
    unstreamed: Cannot | None = None
    """Why it streams no answer, where it does not."""


class UnusableClientError(Exception):
    """A client library is here in a release that the framework refuses; the message is the framework's own."""


@dataclass(frozen=True)
class Missing:
    """What must be installed first."""

    distributions: tuple[str, ...]


def with_providers() -> tuple[str, ...]:
    """The frameworks that say of each provider how it is asked, in the order of the matrix."""
    return tuple(name for name in FRAMEWORKS if Path(__file__).with_name(f"on_{name}.py").is_file())


def client_of(framework: str, provider: Provider, *, streamed: bool) -> Client | Cannot | Missing:
    """The framework's client of a provider. Imports the framework."""
    module = importlib.import_module(f"ai_dev_squad_parity.providers.on_{framework}")
    clients: Mapping[str, Client | Cannot] = module.CLIENTS
    client = clients[provider.name]
    if isinstance(client, Cannot):
        return client
    if streamed and client.unstreamed is not None:
        return client.unstreamed
    return missing_of(client.needs) or client


def missing_of(distributions: Sequence[str]) -> Missing | None:
    """Which of these are not installed here; ``None``: all are."""
    missing = tuple(name for name in distributions if not _is_installed(name))
    return Missing(missing) if missing else None


def program_of(framework: str, client: Client, *, streamed: bool) -> Program:
    """An agent that asks this client's model once. Making it raises ``UnusableClientError`` where the framework refuses the library."""
    module = importlib.import_module(f"ai_dev_squad_parity.providers.on_{framework}")

    def build(url: str, model: str) -> Any:
        try:
            made = client.make(url, model, streamed)
        except ImportError as error:
            raise UnusableClientError(str(error)) from error
        return module.build(made, streamed)

    return Program(Path(str(module.__file__)), build, {"run": module.stream if streamed else module.run})


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
