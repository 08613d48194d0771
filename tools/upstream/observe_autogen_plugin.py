"""pytest plugin: observe every agent and team that a test builds, and count what the observation left behind.

Settings and checks are those of ``observe_langgraph_plugin``.
"""

from __future__ import annotations

import observe_langgraph_plugin as base
import pytest


class AutoGenObserver(base.Observer):
    """Observes agents and teams as soon as they are initialised; their parts are found when they run."""

    def observe_framework(self) -> None:
        from autogen_agentchat.agents import BaseChatAgent
        from autogen_agentchat.teams import BaseGroupChat

        self.observe_instances_of(BaseChatAgent)
        self.observe_instances_of(BaseGroupChat)


def pytest_configure(config: pytest.Config) -> None:
    base.configure(config, AutoGenObserver)
