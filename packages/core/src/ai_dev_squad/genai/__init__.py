"""One vocabulary for model calls: providers, requests, usage, messages, errors.

Tables and pure functions that adapters, the wire, the dashboard and the parity lab share: what a provider is called,
what a setting or a token count is called, what a message looks like, what an error means. Nothing here keeps state,
knows a framework, or imports a client library. Import from the modules: ``from ai_dev_squad.genai.usage import …``.
"""

from __future__ import annotations

__all__: list[str] = []
