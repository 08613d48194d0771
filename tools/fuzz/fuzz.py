"""Fuzz a receiver with atheris, guided by coverage, for as long as it is told to.

    pip install atheris
    python tools/fuzz/fuzz.py otlp_json -max_total_time=60

What breaks a receiver is copied to ``tools/fuzz/corpus/<receiver>/``, under a name that says what it is, and stays: a test reads the
corpus. What libFuzzer collects for itself on its way goes to ``.cache/fuzz``.
"""

from __future__ import annotations

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["ai_dev_squad_dashboard"]):
    from targets import TARGETS

from ai_dev_squad import guard

CORPUS = Path(__file__).with_name("corpus")


def main() -> None:
    """Fuzz the receiver that the first argument names; the others are libFuzzer's."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"name one of {', '.join(TARGETS)}, such as: python tools/fuzz/fuzz.py otlp_json -max_total_time=60")
    name = sys.argv[1]
    # What cannot be translated is rejected and reported; here it is a finding.
    guard.set_strict(True)
    collected = CORPUS.parents[2] / ".cache" / "fuzz" / name
    collected.mkdir(parents=True, exist_ok=True)
    atheris.Setup([sys.argv[0], *sys.argv[2:], str(collected), str(CORPUS / name)], TARGETS[name])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
