"""``python -m ai_dev_squad_cli``: the command, where its script is not on the path."""

from __future__ import annotations

import sys

from ai_dev_squad_cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(main())
