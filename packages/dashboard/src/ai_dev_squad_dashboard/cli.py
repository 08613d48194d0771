"""The command ``ai-dev-squad``, which is a package of its own; this is where ``python -m ai_dev_squad_dashboard.cli`` finds it."""

from __future__ import annotations

import sys

from ai_dev_squad_cli import main, make_parser

__all__ = ["main", "make_parser"]

if __name__ == "__main__":
    sys.exit(main())
