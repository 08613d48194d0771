"""Processes that tests start run the mutant that is being tried, but don't take part in mutmut's bookkeeping, which needs its folder."""

import os

if os.environ.get("MUTANT_UNDER_TEST") in {"stats", "fail", "mutant_generation"}:
    os.environ["MUTANT_UNDER_TEST"] = ""
