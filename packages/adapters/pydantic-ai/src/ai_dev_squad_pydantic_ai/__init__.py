"""Observe Pydantic AI: ``agent = observe(agent)``."""

from __future__ import annotations

from importlib import metadata as _metadata

from ai_dev_squad_pydantic_ai._observe import observe, unobserve

__all__ = ["observe", "unobserve"]

__version__ = _metadata.version("ai-dev-squad-pydantic-ai")
