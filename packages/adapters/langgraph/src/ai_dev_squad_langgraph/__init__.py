"""Observe LangGraph: ``graph = observe(graph)``."""

from __future__ import annotations

from importlib import metadata as _metadata

from ai_dev_squad_langgraph._observe import observe, unobserve
from ai_dev_squad_langgraph.adapter import ObservableLangGraphAdapter

__all__ = ["ObservableLangGraphAdapter", "observe", "unobserve"]

__version__ = _metadata.version("ai-dev-squad-langgraph")
