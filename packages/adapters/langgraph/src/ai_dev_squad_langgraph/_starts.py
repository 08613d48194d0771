"""The start of a text model, told to all: where one handler runs inline, LangChain's asynchronous code leaves out those that
don't (langchain#39633). Ours runs inline, and takes nobody's place.
"""

from __future__ import annotations

import asyncio
import copy
import functools
from collections.abc import Callable
from typing import Any

from langchain_core.callbacks import AsyncCallbackManager

from ai_dev_squad.patching import Patches
from ai_dev_squad_langgraph._handler import HANDLER

__all__ = ["install"]

_patches = Patches()


def install() -> None:
    """Tell all of them from now on. Harmless when repeated."""
    _patches.wrap(AsyncCallbackManager, "on_llm_start", _telling_all)


def _telling_all(original: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(original)
    async def on_llm_start(self: Any, serialized: Any, prompts: list[str], run_id: Any = None, **more: Any) -> Any:
        others = [handler for handler in self.handlers if handler is not HANDLER]
        is_ours = len(others) < len(self.handlers)
        if not is_ours or not others or any(handler.run_inline for handler in others):
            return await original(self, serialized, prompts, run_id, **more)  # as it would be without ours
        first, rest = _with(self, [HANDLER]), _with(self, others)
        started, told = [], []
        for prompt in prompts:
            (run,) = await original(first, serialized, [prompt], run_id, **more)  # which may refuse
            run.handlers = self.handlers
            started.append(run)
            told.append(original(rest, serialized, [prompt], run.run_id, **more))
            run_id = None
        await asyncio.gather(*told)
        return started

    return on_llm_start


def _with(manager: Any, handlers: list[Any]) -> Any:
    narrowed = copy.copy(manager)
    narrowed.handlers = handlers
    return narrowed
