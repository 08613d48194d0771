"""The lab's commands without the dashboard: ``python -m ai_dev_squad_parity.lab run``."""

from __future__ import annotations

import sys

from ai_dev_squad_parity.lab.command import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
