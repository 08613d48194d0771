"""The clocks that operations are timed with, in one place so that a test can stop them."""

import time
from datetime import datetime

__all__ = ["monotonic_ns", "now", "wall_ns"]

monotonic_ns = time.perf_counter_ns
"""What durations are measured with: never set back, ns."""
wall_ns = time.time_ns
"""Time since 1970-01-01 UTC, ns."""
now = datetime.now
"""The date and time in a zone."""
