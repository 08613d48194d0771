"""pytest plugin: observe every run of the OpenAI Agents SDK, and count what the observation left behind.

Settings and checks are those of ``observe_langgraph_plugin``. The suite resets the runner that is set before each test, so that a
runner of our own would observe nothing: what is observed is ``Runner``, whichever runner it passes a run on to.
"""

from __future__ import annotations

import observe_langgraph_plugin as base
import pytest


class OpenAIAgentsObserver(base.Observer):
    """Observes all runs, and counts the agents that tests make."""

    def observe_framework(self) -> None:
        from agents import Agent, Runner

        self.observe(Runner)
        self.observe_instances_of(Agent)


def pytest_configure(config: pytest.Config) -> None:
    base.configure(config, OpenAIAgentsObserver)
