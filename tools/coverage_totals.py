"""Say which shares of core's lines and branches ran, and end with 1 where one is below what is promised:

coverage json -o coverage.json && python tools/coverage_totals.py coverage.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

PROMISED = {"lines": 95.0, "branches": 90.0}
"""Percent."""


def main() -> int:
    """Read what was measured, and judge it."""
    totals = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))["totals"]
    found = {
        "lines": 100 * totals["covered_lines"] / totals["num_statements"],
        "branches": 100 * totals["covered_branches"] / totals["num_branches"],
    }
    for name, share in found.items():
        print(f"{name}: {share:.1f} %, at least {PROMISED[name]:.0f} % wanted")
    return int(any(share < PROMISED[name] for name, share in found.items()))


if __name__ == "__main__":
    sys.exit(main())
