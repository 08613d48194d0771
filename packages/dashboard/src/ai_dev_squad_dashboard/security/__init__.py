"""Who may look and who may send.

``attach(app, settings)`` refuses every request that is not explicitly allowed, and answers with a ``Guard`` that the live
connection and OTLP/gRPC ask. ``docs/how-to/secure-the-dashboard.md`` tells what that means for whoever runs a dashboard.
"""

from __future__ import annotations

from .policy import EXEMPT, Guard, attach

__all__ = ["EXEMPT", "Guard", "attach"]
