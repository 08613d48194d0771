"""Observe the OpenAI Agents SDK: ``agent = observe(agent)``."""

from __future__ import annotations

from importlib import metadata as _metadata

from ai_dev_squad_openai_agents._observe import observe, unobserve

__all__ = ["observe", "unobserve"]

__version__ = _metadata.version("ai-dev-squad-openai-agents")
