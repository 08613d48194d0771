"""How many runs the gate needs: `python benchmarks/gate_power.py`, with fixed seeds.

Costs of runs are drawn from a log-normal distribution, three tasks on each side, one of them dearer by some factor. The share of 100
simulated changes that are stopped. How often one is stopped that changes nothing, tests/testing/test_gate.py has.
"""

from __future__ import annotations

import random

from ai_dev_squad_testing.gate import Limits, Samples, compare

CHANGES, TASKS = 100, 3
LIMITS = Limits(permutations=1_999, resamples=0)


def side(draw: random.Random, sigma: float, runs: int, factor: float) -> Samples:
    samples = Samples()
    for task in range(TASKS):
        for _ in range(runs):
            samples.add(f"task {task}", "cost", draw.lognormvariate(-6.0, sigma) * (factor if task == 0 else 1.0))
    return samples


def main() -> None:
    runs = (10, 20, 40, 60)
    print(f"{'spread of costs':18}{'dearer by':>10}" + "".join(f"{count:>8}" for count in runs) + "  runs a side")
    for sigma, name in ((0.1, "a tenth"), (0.25, "a quarter"), (0.5, "a half")):
        for factor in (1.2, 1.3, 1.5):
            draw = random.Random(20_260_103)
            shares = []
            for count in runs:
                stopped = sum(
                    bool(compare(side(draw, sigma, count, 1.0), side(draw, sigma, count, factor), LIMITS).worse)
                    for _ in range(CHANGES)
                )
                shares.append(stopped / CHANGES)
            print(f"{name:18}{factor - 1:10.0%}" + "".join(f"{share:8.1%}" for share in shares), flush=True)


if __name__ == "__main__":
    main()
