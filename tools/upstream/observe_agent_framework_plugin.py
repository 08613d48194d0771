"""pytest plugin: observe every agent, workflow and chat client that a test builds, and count what the observation left behind.

Settings and checks are those of ``observe_langgraph_plugin``.
"""

from __future__ import annotations

import observe_langgraph_plugin as base
import pytest


class AgentFrameworkObserver(base.Observer):
    """Observes them as soon as they are initialised."""

    def observe_framework(self) -> None:
        from agent_framework import BaseAgent, BaseChatClient, FunctionalWorkflow, Workflow

        for cls in (BaseAgent, BaseChatClient, FunctionalWorkflow, Workflow):
            self.observe_instances_of(cls)


def pytest_configure(config: pytest.Config) -> None:
    base.configure(config, AgentFrameworkObserver)
