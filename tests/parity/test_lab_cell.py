"""What a cell's process finds out about itself."""

from __future__ import annotations

import subprocess
import sys


def test_a_cells_peak_memory_is_its_own():
    """The memory of the process that started it is not counted: frameworks are compared by what they need themselves."""
    ours = bytearray(300 * 2**20)
    ours[::4096] = b"x" * len(ours[::4096])
    program = "from ai_dev_squad_parity.lab.cell import _peak_mib; print(_peak_mib())"
    found = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert 5 < float(found.stdout) < 250
