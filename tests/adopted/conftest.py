"""Each of these frameworks has an environment of its own; there alone its tests are collected."""

from __future__ import annotations

import os

collect_ignore = [] if "AI_DEV_SQUAD_ADOPTED" in os.environ else ["test_adopted.py"]
