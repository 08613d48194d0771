"""``python -m ai_dev_squad_testing.gate``: the gate where the command line is not installed."""

from __future__ import annotations

import sys

from ai_dev_squad_testing.gate.command import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
