"""Observe CrewAI: ``crew = observe(crew)``."""

from __future__ import annotations

from importlib import metadata as _metadata

from ai_dev_squad_crewai._observe import observe, unobserve
from ai_dev_squad_crewai.adapter import ObservableCrewAIAdapter

__all__ = ["ObservableCrewAIAdapter", "observe", "unobserve"]

__version__ = _metadata.version("ai-dev-squad-crewai")
