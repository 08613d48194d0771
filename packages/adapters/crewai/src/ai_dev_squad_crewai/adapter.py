"""The developer guide's adapter class: a thin face over the same machinery that ``observe`` uses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crewai import Agent

from ai_dev_squad.runtime import get_cost_tracker, get_logger, get_trace_manager
from ai_dev_squad_crewai._observe import observe

__all__ = ["ObservableCrewAIAdapter"]


class ObservableCrewAIAdapter:
    """Builds agents that are observed."""

    def __init__(self) -> None:
        self.logger = get_logger()
        self.tracer = get_trace_manager()
        self.cost_tracker = get_cost_tracker()

    def create_observable_agent(self, agent_config: Mapping[str, Any]) -> Agent:
        """A ``crewai.Agent`` of this configuration, observed: alone, and when a crew that isn't observed runs it.

        In a crew that is observed as a whole, its agents are observed already; use ``observe`` alone for those.
        """
        return observe(Agent(**agent_config))
