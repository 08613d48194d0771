"""One suite of tests that every adapter passes, whoever wrote it.

An adapter's tests inherit ``ai_dev_squad.testing.AdapterContract`` and say how a few small programs are made and run in
the framework; see the page "Write an adapter" of the documentation.
"""

from __future__ import annotations

from ai_dev_squad.contract.framework import Framework

__all__ = ["AdapterContract"]


class AdapterContract(Framework):
    """Inherit this as ``class TestMyAdapter(AdapterContract)`` and write the methods of ``Framework``."""
