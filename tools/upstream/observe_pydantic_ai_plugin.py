"""pytest plugin: observe every agent that a test builds, and count what the observation left behind.

Settings and checks are those of ``observe_langgraph_plugin``.
"""

from __future__ import annotations

import observe_langgraph_plugin as base
import pytest


class PydanticAIObserver(base.Observer):
    """Observes agents as soon as they are initialised; what they work with is found when they run."""

    def observe_framework(self) -> None:
        from pydantic_ai import Agent

        self.observe_instances_of(Agent)


def pytest_configure(config: pytest.Config) -> None:
    base.configure(config, PydanticAIObserver)
