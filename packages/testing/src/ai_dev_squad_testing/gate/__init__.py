"""The gate: whether runs take more than those of a baseline did, by more than chance, and by more than is allowed.

    samples = read_samples([Path("logs")])
    comparison = compare(read_samples([Path("baseline.json")]), samples)
    assert not comparison.worse

``ai-dev-squad gate`` is the same on the command line.
"""

from __future__ import annotations

from ai_dev_squad_testing.gate.comparison import Comparison, Finding, Limits, compare
from ai_dev_squad_testing.gate.samples import MEASURES, Samples, SamplesError, read_samples, samples_of, save_samples

__all__ = [
    "MEASURES",
    "Comparison",
    "Finding",
    "Limits",
    "Samples",
    "SamplesError",
    "compare",
    "read_samples",
    "samples_of",
    "save_samples",
]
