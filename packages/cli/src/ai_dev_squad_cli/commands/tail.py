"""``ai-dev-squad tail``: what ``logs tail`` is, in a word."""

from __future__ import annotations

from ai_dev_squad_cli.commands.logs import register_tail as register

__all__ = ["register"]
